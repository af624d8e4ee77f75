"""Reading ahead in a thread: decoding overlaps what is done with the decoded, in bounded memory.

PyAV and torch let go of the interpreter while they work, so threads suffice; nothing is copied between processes.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Prefetch(Generic[T], Iterator[T]):
    """Iterate something in a thread of its own, at most ``depth`` items ahead of the consumer.

    What the iteration raises is raised at the consumer, in its place. Leaving the context (or :meth:`close`) stops the
    thread and closes a generator there, in the thread that ran it, even if the consumer stops half way.

    Args:
        items: what to iterate; touched by the thread only.
        depth: bound on the items that wait.
        name: of the thread, for a debugger.
    """

    def __init__(self, items: Iterable[T], depth: int, name: str = "prefetch") -> None:
        if depth < 1:
            raise ValueError(f"depth must be at least 1, not {depth}")
        self._depth = depth
        self._waiting: deque[T] = deque()
        self._changed = threading.Condition()
        self._finished = False
        self._stopped = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(items,), name=name, daemon=True)
        self._thread.start()

    def __next__(self) -> T:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._finished or self._stopped)
            if self._waiting and not self._stopped:
                item = self._waiting.popleft()
                self._changed.notify_all()
                return item
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        raise StopIteration

    def close(self) -> None:
        """Stop reading ahead, drop what waits, and wait until the thread has let go of its source."""
        with self._changed:
            self._stopped = True
            self._waiting.clear()
            self._changed.notify_all()
        self._thread.join()

    def __enter__(self) -> Prefetch[T]:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _run(self, items: Iterable[T]) -> None:
        iterator: Iterator[T] | None = None
        try:
            iterator = iter(items)
            for item in iterator:
                if not self._put(item):
                    break
        except BaseException as error:
            self._error = error
        finally:
            close = getattr(iterator, "close", None)
            if close is not None:
                close()
            with self._changed:
                self._finished = True
                self._changed.notify_all()

    def _put(self, item: T) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: len(self._waiting) < self._depth or self._stopped)
            if self._stopped:
                return False
            self._waiting.append(item)
            self._changed.notify_all()
            return True
