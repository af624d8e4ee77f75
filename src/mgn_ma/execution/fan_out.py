"""One way to do many things: in this process, in processes of this machine, or on a Ray cluster."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import TypeVar

from mgn_ma.execution.config import ExecutionConfig
from mgn_ma.execution.coordinator import Coordinator, Crew
from mgn_ma.execution.work import ExecutionError, MakeWorker, Outcome, Worker

logger = logging.getLogger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")


def run(
    make_worker: MakeWorker[Item, Result], items: Iterable[Item], config: ExecutionConfig
) -> Iterator[Outcome[Item, Result]]:
    """Work on items, and yield each one's outcome when it is there.

    Every item has exactly one outcome. A worker is built once per process. An exception of a worker costs the item that
    raises it; the death of a worker (killed, crashed, its machine gone) costs nothing but a retry, and after
    ``config.retries`` of them the item. Closing the iterator, as Ctrl-C does, ends the workers at once.

    Args:
        make_worker: builds a worker; must be picklable unless there is one local worker.
        items: what to work on; none are no work, and no worker is built.
        config: where, and by how many.

    Raises:
        ExecutionError: workers don't come up, or Ray isn't there.
        Exception: whatever ``make_worker`` raised.
    """
    todo = list(items)
    if not todo:
        return
    workers = min(config.workers, len(todo))
    if config.engine == "local" and config.workers == 1:
        yield from _here(make_worker(), todo)
        return
    crew = _crew(make_worker, config, workers)
    with contextlib.closing(Coordinator(crew, todo, workers, config.retries).outcomes()) as outcomes:
        yield from outcomes


def _crew(make_worker: MakeWorker[Item, Result], config: ExecutionConfig, workers: int) -> Crew:
    if config.engine == "local":
        from mgn_ma.execution.processes import ProcessCrew

        return ProcessCrew(make_worker, workers)
    try:
        from mgn_ma.execution.ray_actors import RayCrew
    except ImportError as error:
        raise ExecutionError("the engine 'ray' needs Ray: install mgn_ma with the extra 'ray'") from error
    return RayCrew(make_worker, config, workers)


def _here(worker: Worker[Item, Result], items: Sequence[Item]) -> Iterator[Outcome[Item, Result]]:
    """Work in this process: through the stream, and alone on what was in the worker's hands when the stream broke."""
    pending = deque(items)
    while pending:
        before = len(pending)
        feed = _Feed(pending)
        yield from _stream(worker, feed)
        suspects = feed.close()
        if pending and len(pending) == before:
            suspects.append(pending.popleft())  # a worker that takes nothing of a stream is asked singly
        for item in suspects:
            yield _alone(worker, item)


class _Feed(Iterator[Item]):
    """Items for one stream, and which of them have no result yet; a worker may read ahead from a thread of its own."""

    def __init__(self, pending: deque[Item]) -> None:
        self._pending = pending
        self._held: deque[tuple[Item, float]] = deque()
        self._closed = False
        self._turn = threading.Lock()
        self._free_at = 0.0

    def __next__(self) -> Item:
        with self._turn:
            if self._closed or not self._pending:
                raise StopIteration
            item = self._pending.popleft()
            self._held.append((item, time.perf_counter()))
            return item

    def settle(self, result: Result) -> Outcome[Item, Result]:
        """The outcome of the oldest item held."""
        now = time.perf_counter()
        item, handed_at = self._held.popleft()
        seconds = now - max(handed_at, self._free_at)
        self._free_at = now
        return Outcome(item, result, None, seconds)

    def close(self) -> list[Item]:
        """Hand out no more, and say what has had no result."""
        with self._turn:
            self._closed = True
            return [item for item, _ in self._held]


def _stream(worker: Worker[Item, Result], feed: _Feed[Item]) -> Iterator[Outcome[Item, Result]]:
    """Outcomes until the stream is over, or an exception of the worker breaks it."""
    results = worker(feed)
    try:
        while True:
            try:
                result = next(results)
            except StopIteration:
                return
            except Exception as error:  # whoever is held is tried alone, and fails or not by itself
                logger.info("A stream of work broke off, what was in hand is tried singly: %s", error)
                return
            yield feed.settle(result)
    finally:
        if isinstance(results, Generator):
            results.close()


def _alone(worker: Worker[Item, Result], item: Item) -> Outcome[Item, Result]:
    began = time.perf_counter()
    try:
        results = list(worker(iter([item])))
        if len(results) != 1:
            raise RuntimeError("the worker gave no result for it")
    except Exception as error:
        return Outcome(item, None, error, time.perf_counter() - began)
    return Outcome(item, results[0], None, time.perf_counter() - began)
