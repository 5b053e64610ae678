"""The ledger: everything ever planned, sent and answered, in one database. A leaf."""
