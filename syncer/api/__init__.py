"""The client of the Scantrust REST API. A leaf: it knows neither ledger nor files."""
