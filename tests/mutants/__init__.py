"""Bugs put into the program on purpose, and the tests that find them: one by one by hand, or all that an operator makes."""
