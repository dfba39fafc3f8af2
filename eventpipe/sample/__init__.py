"""`eventpipe sample`: exports of an invented shop in the four vendors' own formats, and what a run must make
of them.
"""
