"""Send, poll, settle, resume: the only folder that drives both the ledger and the API client."""
