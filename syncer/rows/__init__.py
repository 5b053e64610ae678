"""From columns of text to valid rows, and rejections with codes. Pure."""
