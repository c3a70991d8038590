"""Labels of boxes in the formats that people have, over one form in memory (`form`).

A format is a module with ``read`` and ``write``; `formats` lists them, `recognise` says which one a path holds.
"""
