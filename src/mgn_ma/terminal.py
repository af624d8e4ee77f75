"""What is printed never fails the work: a terminal that can't show a character shows its code."""

from __future__ import annotations

import io
import sys


def escape_unprintable() -> None:
    r"""Let standard output and error write ``\u65e5`` for a character that their encoding doesn't have."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
