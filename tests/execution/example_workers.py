"""Workers that tests send to other processes, in a module that those can import."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from mgn_ma.execution.work import Worker


def square(item: int) -> int:
    return item * item


def make_square() -> Callable[[int], int]:
    return square


@dataclass(frozen=True)
class SquaresInBatches:
    """Reads ahead: no result before ``size`` items are there."""

    size: int = 3

    def __call__(self) -> Worker[int, tuple[int, int]]:
        return self.work

    def work(self, items: Iterable[int]) -> Iterator[tuple[int, int]]:
        items = iter(items)
        while batch := list(islice(items, self.size)):
            yield from ((item * item, os.getpid()) for item in batch)


@dataclass(frozen=True)
class Trouble:
    """Squares, in batches, but for some items.

    Attributes:
        folder: where builds are counted and the first try of an item leaves its mark.
        killer_once: kills its process on the first try.
        killer: kills its process on every try.
        raiser: raises.
    """

    folder: Path
    killer_once: int | None = None
    killer: int | None = None
    raiser: int | None = None
    size: int = 2
    pause: float = 0.0

    def __call__(self) -> Worker[int, int]:
        (self.folder / f"built-{os.getpid()}").touch()
        return self.work

    def work(self, items: Iterable[int]) -> Iterator[int]:
        items = iter(items)
        while batch := list(islice(items, self.size)):
            yield from (self.one(item) for item in batch)

    def one(self, item: int) -> int:
        with (self.folder / f"tries-{item}").open("a") as tries:
            tries.write("x")
        time.sleep(self.pause)
        if item == self.killer or (item == self.killer_once and not (self.folder / "killed").exists()):
            (self.folder / "killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if item == self.raiser:
            raise ValueError(f"no {item}, please")
        return item * item

    def tries(self, item: int) -> int:
        return len((self.folder / f"tries-{item}").read_text())

    def builds(self) -> int:
        return len(list(self.folder.glob("built-*")))


class UnpicklableError(Exception):
    def __init__(self, one: str, two: str) -> None:
        super().__init__(one + two)


def raise_unpicklable(item: int) -> int:
    raise UnpicklableError("left ", "right")


def make_raise_unpicklable() -> Callable[[int], int]:
    return raise_unpicklable


def make_broken() -> Callable[[int], int]:
    raise FileNotFoundError("s3d.pth is not here")


def make_dying() -> Callable[[int], int]:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def warn(item: int) -> int:
    logging.getLogger("mgn_ma.extractors.fake").warning("halved the batch at %d", item)
    return item


def make_warn() -> Callable[[int], int]:
    return warn


def sleep_and_mark(folder: Path, item: int) -> int:
    (folder / str(os.getpid())).touch()
    time.sleep(60)
    return item


@dataclass(frozen=True)
class Sleeper:
    folder: Path

    def __call__(self) -> Callable[[int], int]:
        return self.work

    def work(self, item: int) -> int:
        return sleep_and_mark(self.folder, item)


def threads(item: int) -> str:
    return os.environ["OMP_NUM_THREADS"]


def make_threads() -> Callable[[int], str]:
    return threads


class TakesNothing:
    """A worker whose stream is over before it began."""

    def __call__(self) -> Worker[int, int]:
        return self.work

    def work(self, items: Iterable[int]) -> Iterator[int]:
        return iter(())
