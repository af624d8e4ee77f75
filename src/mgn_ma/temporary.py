"""Temporary files and folders, and what becomes of those that a killed process leaves: the next run removes them.

Each is locked for as long as somebody works with it. The lock is the operating system's, which takes it from a process
that dies, however it dies.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

PREFIX = "mgn_ma-"
"""Begins the name of a folder in the system's temporary directory."""


@contextmanager
def temporary_folder(purpose: str) -> Iterator[Path]:
    """A folder in the system's temporary directory, called by its purpose and gone afterwards."""
    remove_abandoned_folders()
    with in_use(lambda: Path(tempfile.mkdtemp(prefix=f"{PREFIX}{purpose}-"))) as folder:
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def in_use(make: Callable[[], Path]) -> Iterator[Path]:
    """A new file or folder, which `remove_if_abandoned` leaves alone while the context lasts.

    Args:
        make: makes it, each time under another name; it is called again in the rare case that somebody took the first
            one for abandoned before it was locked.
    """
    while True:
        path = make()
        lock = _locked(path, wait=True)
        if path.exists():
            break
        _release(lock)
    try:
        yield path
    finally:
        _release(lock)


def remove_abandoned_folders() -> None:
    """Remove the temporary folders of processes that are gone."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        remove_if_abandoned(folder)


def remove_if_abandoned(path: Path) -> None:
    """Remove a temporary file or folder that nobody works with; one that can't be locked or removed stays."""
    lock = _locked(path, wait=False)
    if lock is None:
        return
    with contextlib.suppress(OSError):
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink()
    _release(lock)


def _locked(path: Path, *, wait: bool) -> int | None:
    """A descriptor with the lock of a path; ``None`` where it can't be had."""
    if sys.platform == "win32":
        return None
    import fcntl

    try:
        lock = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:  # another's, or a file system without locks
        os.close(lock)
        return None
    return lock


def _release(lock: int | None) -> None:
    if lock is not None:
        os.close(lock)
