"""Python's garbage collector, set for commands that import a lot and then end."""

from __future__ import annotations

import atexit
import gc

OBJECTS = 50_000
"""New objects after which the collector looks for garbage; Python's own number is 700."""


def collect_rarely() -> None:
    """Let this process look for cyclic garbage after so many objects, and no more when it ends.

    The libraries of a run make half a million objects that last as long as it does. As Python is set, it looks through
    them again and again while they are imported, and once more at the end: a third of the seconds that a start takes.
    """
    gc.set_threshold(OBJECTS, *gc.get_threshold()[1:])
    atexit.register(gc.freeze)
