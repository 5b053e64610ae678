"""Own codes: a file is read and checked, cut into parts, uploaded step by step, and accounted for."""
