"""What may be shown or written: masking of secrets, inert text, formulas, private files."""
