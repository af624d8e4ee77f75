"""What is worked on and what comes of it: workers, outcomes, and the ways in which a worker can fail."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from mgn_ma.errors import MGNMAError

Item = TypeVar("Item")
Result = TypeVar("Result")

Worker: TypeAlias = Callable[[Iterable[Item]], Iterator[Result]]
"""Takes a stream of items and gives one result each, in their order. It may read ahead, so that items share a batch."""

MakeWorker: TypeAlias = Callable[[], Worker[Item, Result]]
"""Builds a worker, once per process, where it will work (it may load a network). Must be picklable."""


class ExecutionError(MGNMAError):
    """The work as a whole can't go on: no worker comes up, or there is nowhere to run one."""


class WorkerDiedError(MGNMAError):
    """The worker of an item ended without a word: killed, out of memory, crashed, or its machine is gone."""


@dataclass(frozen=True, slots=True)
class Outcome(Generic[Item, Result]):
    """What came of one item: a result, or the error that kept it from having one.

    Attributes:
        seconds: from when the worker had both the item and its hands free, to the result.
    """

    item: Item
    result: Result | None
    error: Exception | None
    seconds: float


@dataclass(frozen=True)
class PerItem(Generic[Item, Result]):
    """Makes a worker of a function of one item.

    Attributes:
        make: builds the function, where it will work.
    """

    make: Callable[[], Callable[[Item], Result]]

    def __call__(self) -> Worker[Item, Result]:
        """Build the function and map it over the stream."""
        function = self.make()
        return lambda items: map(function, items)
