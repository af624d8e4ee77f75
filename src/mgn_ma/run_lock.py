"""One writer at a time: each run keeps a file that says what it writes and reads, locked for as long as it lives.

The lock is the operating system's, which takes it from a process that dies, however it dies: what a killed run has left
keeps nobody out, and the next run removes it.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import sys
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO

from mgn_ma.errors import MGNMAError

logger = logging.getLogger(__name__)

FOLDER = ".locks"
"""Below the folder that is written to."""
_NAMES_SHOWN = 3


class BusyError(MGNMAError):
    """Another run writes what this one would write or read, or reads what it would write; the message says whose."""


@dataclass(frozen=True)
class Claim:
    """What a run writes and reads, by name, and whose it is.

    Attributes:
        command: which started it.
        began: in seconds since 1970.
    """

    command: str
    writes: tuple[str, ...]
    reads: tuple[str, ...] = ()
    process: int = field(default_factory=os.getpid)
    host: str = field(default_factory=socket.gethostname)
    began: float = field(default_factory=time.time)

    def conflicts(self, other: Claim) -> list[str]:
        """What one of the two writes and the other one touches."""
        return sorted(
            {*self.writes} & {*other.writes, *other.reads} | {*self.reads} & {*other.writes},
        )

    def owner(self) -> str:
        """Whose it is and since when, for messages."""
        minutes = max(0, int(time.time() - self.began)) // 60
        age = f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
        return f"process {self.process} on {self.host} (`{self.command}`, begun {age} ago)"


@contextmanager
def claimed(folder: Path, command: str, writes: Iterable[str], reads: Iterable[str] = ()) -> Iterator[Path]:
    """Claim parts of ``folder`` while the context lasts; gives the claim's file, which is gone when the run is.

    Raises:
        BusyError: a run that lives has claimed some of it.
        OSError: the folder can't be written to.
    """
    mine = Claim(command, tuple(sorted(set(writes))), tuple(sorted(set(reads))))
    place = folder / FOLDER
    place.mkdir(parents=True, exist_ok=True)
    path = place / f"{uuid.uuid4().hex}.json"
    with (place / "turn").open("w") as turn:
        _lock(turn, wait=True)
        for other in _living(place):
            conflicts = mine.conflicts(other)
            if conflicts:
                raise BusyError(_message(folder, other, conflicts))
        file = path.open("x", encoding="utf-8")
        _lock(file)
        json.dump(asdict(mine), file)
        file.flush()
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)
        file.close()


def _living(place: Path) -> Iterator[Claim]:
    """The claims of runs that live; those of dead ones are removed."""
    for path in sorted(place.glob("*.json")):
        with path.open("r+", encoding="utf-8") as file:
            if _lock(file):
                path.unlink()
            else:
                yield Claim(**json.load(file))


def _lock(file: IO[str], *, wait: bool = False) -> bool:
    """Whether this process has the lock of an open file now."""
    if sys.platform == "win32":
        return True
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError as error:
        logger.warning("%s: this file system keeps no locks (%s): let only one run write to it", file.name, error)
    return True


def _message(folder: Path, other: Claim, conflicts: list[str]) -> str:
    more = f" and {len(conflicts) - _NAMES_SHOWN} more" if len(conflicts) > _NAMES_SHOWN else ""
    return (
        f"{folder} is in use: {other.owner()} works with {', '.join(conflicts[:_NAMES_SHOWN])}{more}, which this run "
        "would work with at the same time. Nothing was changed: wait until it has ended, or stop it (its work is kept)"
    )
