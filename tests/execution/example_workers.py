"""Functions that tests send to other processes, in a module that those can import."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np  # noqa: F401 - its threads are counted
from threadpoolctl import threadpool_info


@dataclass(frozen=True)
class Make:
    """Picklable: builds a function of this module by its name."""

    name: str

    def __call__(self) -> Callable[[Any], Any]:
        return globals()[self.name]


def square(item: int) -> tuple[int, int]:
    return item * item, os.getpid()


def warn(item: int) -> int:
    logging.getLogger("mgn_ma.extractors.fake").warning("halved the batch at %d", item)
    return item


def threads(item: int) -> tuple[str, set[int]]:
    """What a library that is still to be loaded will go by, and what numpy's goes by."""
    blas = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
    return os.environ["OMP_NUM_THREADS"], set(blas)


def bits(item: int) -> tuple[int, bytes]:
    """Threads of torch, and a product whose last bits depend on them."""
    import torch

    generator = torch.Generator().manual_seed(item)
    a, b = torch.randn(2, 700, 700, generator=generator)
    return torch.get_num_threads(), bytes((a @ b).numpy().tobytes())


def misbehave(item: str) -> str:
    """Do what a bad file or a bad library does to a process, by its name."""
    if item == "crash":
        ctypes.string_at(0)
    if item == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if item == "hang":
        time.sleep(3600)
    if item == "hang_in_c":
        ctypes.PyDLL(None).sleep(3600)  # holds the interpreter's lock
    if item == "bomb":
        bytearray(8 << 30)
    if item == "exit":
        sys.exit(7)
    if item == "raise":
        raise ValueError("no, thanks")
    if item == "unpicklable":
        raise UnpicklableError("left ", "right")
    return item


class UnpicklableError(Exception):
    def __init__(self, one: str, two: str) -> None:
        super().__init__(one + two)


@dataclass(frozen=True)
class Trouble:
    """Squares, but for some items.

    Attributes:
        folder: where builds are counted and each try of an item leaves its mark.
        killer_once: kills its process on the first try.
        killer: kills its process on every try.
    """

    folder: Path
    killer_once: int | None = None
    killer: int | None = None
    pause: float = 0.0

    def __call__(self) -> Callable[[int], int]:
        (self.folder / f"built-{os.getpid()}").touch()
        return self.one

    def one(self, item: int) -> int:
        with (self.folder / f"tries-{item}").open("a") as tries:
            tries.write("x")
        time.sleep(self.pause)
        if item == self.killer or (item == self.killer_once and not (self.folder / "killed").exists()):
            (self.folder / "killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return item * item

    def tries(self, item: int) -> int:
        return len((self.folder / f"tries-{item}").read_text())

    def builds(self) -> set[int]:
        return {int(path.name.removeprefix("built-")) for path in self.folder.glob("built-*")}


def make_broken() -> Callable[[int], int]:
    raise FileNotFoundError("s3d.pth is not here")


def make_dying() -> Callable[[int], int]:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError
