"""`python -m eventpipe`: the command line where the console script is not on the path."""

from __future__ import annotations

from eventpipe.cli.main import run

if __name__ == "__main__":
    run()
