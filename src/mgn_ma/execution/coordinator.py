"""The side that hands out items and collects results, whatever the workers are made of and however they die."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from mgn_ma.execution.service import Message, Order
from mgn_ma.execution.work import ExecutionError, Outcome, WorkerDiedError

logger = logging.getLogger(__name__)

PATIENCE_SECONDS = 5.0
HIRES_IN_VAIN = 3
"""Workers in a row that may die without taking an item before the work is given up."""


@dataclass(frozen=True, slots=True)
class Death:
    """A worker is gone, and why, as far as that is known."""

    reason: str


class Crew(Protocol):
    """Workers of one kind, by number."""

    def hire(self) -> int:
        """Start one more worker; it will say that it is ready."""

    def tell(self, worker: int, order: Order) -> None:
        """Send an order. A worker that is gone is found out by ``listen``, not here."""

    def listen(self) -> list[tuple[int, Message | Death]]:
        """Wait until some worker says something or dies; what it said before its death comes first."""

    def dismiss(self, patience: float) -> None:
        """End all workers: those that wait at once, those that still work after ``patience`` seconds."""


@dataclass(slots=True)
class _Desk:
    """What the coordinator knows of one worker."""

    held: deque[int] = field(default_factory=deque)
    alone: bool = False
    idle: bool = False
    pulled: bool = False


class Coordinator:
    """Works through items with a crew. An item whose worker dies is tried again, alone and in a fresh worker.

    When a worker dies that has read ahead, nobody knows which of its items was its end. Each of them is then worked on
    alone, so that the one that kills workers fails by itself.

    Args:
        crew: the workers.
        items: what to work on.
        workers: how many at once.
        retries: how often an item is tried again after the death of a worker that held nothing else.
    """

    def __init__(self, crew: Crew, items: Sequence[Any], workers: int, retries: int) -> None:
        self._crew = crew
        self._items = items
        self._workers = workers
        self._retries = retries
        self._pending = deque(range(len(items)))
        self._suspects: deque[int] = deque()
        self._deaths: Counter[int] = Counter()
        self._desks: dict[int, _Desk] = {}
        self._in_vain = 0

    def outcomes(self) -> Generator[Outcome[Any, Any], None, None]:
        """Every item's outcome, in the order of completion.

        Raises:
            ExecutionError: workers keep dying before they take an item.
            Exception: whatever kept a worker from being built.
        """
        left = len(self._items)
        try:
            self._staff()
            while left:
                for worker, message in self._crew.listen():
                    for outcome in self._hear(worker, message):
                        self._in_vain = 0
                        left -= 1
                        yield outcome
                self._staff()
        finally:
            self._crew.dismiss(0.0 if left else PATIENCE_SECONDS)

    def _staff(self) -> None:
        for worker, desk in self._desks.items():
            if desk.idle and (self._suspects or self._pending):
                self._assign(worker)
        wanted = len(self._pending) + len(self._suspects)
        coming = sum(not desk.held and not desk.idle for desk in self._desks.values())
        while len(self._desks) < self._workers and coming < wanted:
            self._desks[self._crew.hire()] = _Desk()
            coming += 1

    def _assign(self, worker: int) -> None:
        desk = self._desks[worker]
        desk.idle = False
        if self._suspects:
            desk.alone = True
            desk.held.append(self._suspects.popleft())
            self._crew.tell(worker, Order("alone", self._items[desk.held[0]]))
        elif self._pending:
            desk.alone = desk.pulled = False
            self._crew.tell(worker, Order("stream"))
        else:
            desk.idle = True

    def _hear(self, worker: int, message: Message | Death) -> Iterator[Outcome[Any, Any]]:
        desk = self._desks[worker]
        if isinstance(message, Death):
            yield from self._bury(worker, message.reason)
        elif message.kind == "result":
            yield Outcome(self._items[desk.held.popleft()], message.value, None, message.seconds)
        elif message.kind == "pull":
            self._answer(worker)
        elif message.kind == "log":
            logging.getLogger(message.value.name).handle(message.value)
        elif message.kind == "broken":
            raise message.value
        else:  # ready, done, error
            yield from self._settle(desk, message)
            self._assign(worker)

    def _answer(self, worker: int) -> None:
        if not self._pending:
            self._crew.tell(worker, Order("end"))
            return
        item = self._pending.popleft()
        self._desks[worker].held.append(item)
        self._desks[worker].pulled = True
        self._crew.tell(worker, Order("item", self._items[item]))

    def _settle(self, desk: _Desk, message: Message) -> Iterator[Outcome[Any, Any]]:
        """A stream is over: what the worker still holds has no result."""
        error = message.value if message.kind == "error" else RuntimeError("the worker gave no result for it")
        if desk.alone and desk.held:
            yield Outcome(self._items[desk.held.popleft()], None, error, message.seconds)
        elif desk.held:
            self._suspects.extend(desk.held)
            desk.held.clear()
        elif self._pending and message.kind != "ready" and not desk.pulled:
            self._suspects.append(self._pending.popleft())  # a worker that takes nothing of a stream is asked singly
        elif message.kind == "error":
            logger.warning("A worker failed after its last result, which changes nothing: %s", error)

    def _bury(self, worker: int, reason: str) -> Iterator[Outcome[Any, Any]]:
        held = self._desks.pop(worker).held
        if not held:
            self._in_vain += 1
            if self._in_vain >= HIRES_IN_VAIN:
                raise ExecutionError(f"{HIRES_IN_VAIN} workers in a row ended before they took any work; {reason}")
            return
        if len(held) == 1:
            self._deaths[held[0]] += 1
        if (tries := self._deaths[held[0]]) > self._retries:
            error = WorkerDiedError(f"its worker ended {tries} times in a row; the last time: {reason}")
            yield Outcome(self._items[held[0]], None, error, 0.0)
            return
        logger.warning("A worker is gone (%s); what it had in hand is tried again (%d)", reason, len(held))
        self._suspects.extend(held)
