"""Scans: pulled once each, written in parts, and compared with what the ledger says was confirmed."""
