"""Diff with the ledger, grouping, batching. Pure: no input, no output, no time."""
