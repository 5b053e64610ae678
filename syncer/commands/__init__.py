"""The composition root: one plain function per command, a module for each group of them.

They build the parts from the settings, pass values between them, and return results; `cli` is a thin skin over them.
Nothing here prints, and nothing here decides what the parts decide.
"""
