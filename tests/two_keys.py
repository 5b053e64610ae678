"""A configuration of two keys for one code: codes by their ids, and the same codes by their cases."""

from __future__ import annotations

CASES = """
[limits]
max_changed_percent = 0
[jobs.erp]
key = "extended_id"
[jobs.erp.columns]
extended_id = "extended_id"
shipment = "shipment"
case_no = "case_no"
[jobs.karton]
key = "case_no"
[jobs.karton.columns]
case_no = "case_no"
shipment = "shipment"
"""
