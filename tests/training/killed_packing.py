"""Packs a split of five videos, and is killed by the system on the way.

``python killed_packing.py FOLDER WHERE``: the split's folder; ``in_track_N``, or ``after_NAME``, the file or folder
that was put in place last.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from conftest import MemoryTracks, make_plan
from mgn_ma.training.packing import pack


def kill() -> None:
    """End at once, as a machine that runs out of memory would have it."""
    os.kill(os.getpid(), signal.SIGKILL)


def kill_in_track(number: int) -> None:
    """While the track of that number is read."""
    read, n_read = MemoryTracks.read, iter(range(1, 1000))

    def reading(self: MemoryTracks, video_id: str) -> Any:
        if next(n_read) == number:
            kill()
        return read(self, video_id)

    MemoryTracks.read = reading  # type: ignore[method-assign]


def kill_after(name: str) -> None:
    """When a folder or file of that name (``arrays`` for the arrays of any split) has got its name."""
    rename, replace = Path.rename, Path.replace

    def renaming(self: Path, target: Path) -> Any:
        renamed = rename(self, target)
        if name == "arrays":
            kill()
        return renamed

    def replacing(self: Path, target: Path) -> Any:
        replaced = replace(self, target)
        if Path(target).name == name:
            kill()
        return replaced

    Path.rename, Path.replace = renaming, replacing  # type: ignore[method-assign, assignment]


if __name__ == "__main__":
    folder, where = Path(sys.argv[1]), sys.argv[2]
    if where.startswith("in_track_"):
        kill_in_track(int(where.removeprefix("in_track_")))
    else:
        kill_after(where.removeprefix("after_"))
    pack(make_plan(5), folder)
