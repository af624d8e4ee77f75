"""The worker's side of a conversation: pull items, hand back results, forward the log. The same for every engine.

A worker says what it does with one of the messages below, and is told what to do with an order. It works through a
stream of items that it pulls one by one, or on one item alone where that item may have been the end of another worker.
"""

from __future__ import annotations

import contextlib
import logging
import pickle
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from logging.handlers import QueueHandler
from typing import Any, Literal

from mgn_ma.execution.work import MakeWorker, Worker


@dataclass(frozen=True, slots=True)
class Message:
    """From a worker. ``value`` is the result, the exception or the log record.

    - ``ready``: it is built. ``broken``: it can't be.
    - ``pull``: it wants an item of the stream.
    - ``result``: of the oldest item that it holds. ``log``: something for the log.
    - ``done``: the stream is over. ``error``: an exception ended it, and what it held has no result.
    """

    kind: Literal["ready", "broken", "pull", "result", "log", "done", "error"]
    value: Any = None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Order:
    """To a worker: work through a ``stream``, or on one item ``alone``. The answer to a pull: an ``item``, or ``end``.

    Nobody is told to stop: a worker ends with its process, when the way that orders come is closed.
    """

    kind: Literal["stream", "alone", "item", "end"]
    item: Any = None


Send = Callable[[Message], None]
Receive = Callable[[], Order]


def serve(make_worker: MakeWorker[Any, Any], send: Send, receive: Receive) -> None:
    """Build a worker and work until ``receive`` raises."""
    lock = threading.Lock()

    def say(message: Message) -> None:
        with lock:  # the log and a thread that reads ahead speak too
            send(message)

    _forward_log(say)
    try:
        worker = make_worker()
    except Exception as error:
        say(Message("broken", portable(error)))
        return
    say(Message("ready"))
    turn = threading.Lock()
    while True:
        with turn:
            order = receive()
        _work(worker, Feed(order, say, receive, turn), say)


def _work(worker: Worker[Any, Any], feed: Feed, say: Send) -> None:
    last = Message("done")
    try:
        for result in worker(feed):
            say(Message("result", result, feed.seconds_of_oldest()))
    except Exception as error:
        last = Message("error", portable(error))
    feed.close()
    say(last)


class Feed(Iterator[Any]):
    """The items of one order, pulled as the worker asks for them; it may ask from a thread of its own.

    Args:
        order: a stream, or an item alone.
        say: to the coordinator.
        receive: from the coordinator.
        turn: held from a pull to its answer, so that nobody takes another's.
    """

    def __init__(self, order: Order, say: Send, receive: Receive, turn: threading.Lock) -> None:
        self._alone: deque[Any] | None = deque([order.item]) if order.kind == "alone" else None
        self._say = say
        self._receive = receive
        self._turn = turn
        self._closed = False
        self._handed_at: deque[float] = deque()
        self._free_at = 0.0

    def __next__(self) -> Any:
        with self._turn:
            item = self._take()
            self._handed_at.append(time.perf_counter())
            return item

    def _take(self) -> Any:
        if self._closed:
            raise StopIteration
        if self._alone is not None:
            if not self._alone:
                raise StopIteration
            return self._alone.popleft()
        self._say(Message("pull"))
        answer = self._receive()
        if answer.kind == "end":
            self._closed = True
            raise StopIteration
        return answer.item

    def seconds_of_oldest(self) -> float:
        """Time spent on the oldest item since the one before it was done."""
        now = time.perf_counter()
        handed_at = self._handed_at.popleft() if self._handed_at else now
        spent = now - max(handed_at, self._free_at)
        self._free_at = now
        return spent

    def close(self) -> None:
        """Wait for a pull that is under way, and allow no other."""
        with self._turn:
            self._closed = True


def portable(error: Exception) -> Exception:
    """The error, with its traceback as a note, in a form that survives pickling."""
    trace = "".join(traceback.format_exception(error))
    copy: Exception = RuntimeError(f"{type(error).__name__}: {error}")
    with contextlib.suppress(Exception):
        copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    copy.add_note(f"In the worker:\n{trace}")
    return copy


class _LogForwarder(QueueHandler):
    def __init__(self, say: Send) -> None:
        super().__init__(None)  # type: ignore[arg-type]
        self._say = say

    def enqueue(self, record: logging.LogRecord) -> None:
        self._say(Message("log", record))


def _forward_log(say: Send) -> None:
    ours = logging.getLogger("mgn_ma")
    for handler in [h for h in ours.handlers if isinstance(h, _LogForwarder)]:
        ours.removeHandler(handler)
    ours.addHandler(_LogForwarder(say))
    ours.setLevel(logging.INFO)
    ours.propagate = False
