"""What comes of an item, and the ways in which the worker on it can fail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeAlias, TypeVar

from mgn_ma.errors import MGNMAError

Item = TypeVar("Item")
Result = TypeVar("Result")

MakeFunction: TypeAlias = Callable[[], Callable[[Item], Result]]
"""Builds the function of one item, once per worker and where it will work: it may load a network. Must be picklable."""


def ready(function: Callable[[Item], Result]) -> MakeFunction[Item, Result]:
    """Make nothing: what ``run`` takes for a function that needs no building."""
    return partial(partial, function)


class ExecutionError(MGNMAError):
    """The work as a whole can't go on: no worker comes up, or there is nowhere to run one."""


class WorkerDiedError(MGNMAError):
    """The worker on an item ended without an answer: killed, out of memory, crashed, or its machine is gone."""


class TimeLimitError(MGNMAError):
    """An item took longer than the time limit, and its worker was ended."""


@dataclass(frozen=True, slots=True)
class Outcome(Generic[Item, Result]):
    """What came of one item: a result, or the error that kept it from having one.

    Attributes:
        seconds: that the function took; building it and sending the result are not counted.
    """

    item: Item
    result: Result | None
    error: Exception | None
    seconds: float
