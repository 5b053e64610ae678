"""States and events of what the ledger follows: the machine, a batch, a part of an upload. Pure."""
