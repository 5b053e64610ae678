"""Excel workbooks, read as a stream: the few parts of the format that a table needs, each within bounds.

What always holds: every part that is read is checked whole (its checksum) before a cell of it is believed; memory and
time are bounded by what a sheet of Excel can hold, whatever a file claims; of the styles only number formats count.
"""
