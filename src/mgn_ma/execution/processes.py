"""Workers as spawned processes of this machine, each at the end of a pipe of its own."""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import os
import pickle
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import ModuleType
from typing import Any

from mgn_ma.execution.coordinator import Death
from mgn_ma.execution.service import Message, Order, serve
from mgn_ma.execution.work import MakeWorker

REAP_SECONDS = 5.0
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True, slots=True)
class _Member:
    process: SpawnProcess
    pipe: Connection[Order | MakeWorker[Any, Any], Message]


class ProcessCrew:
    """Spawned processes, which share nothing, so that one that is killed takes nothing with it but its own item.

    Args:
        make_worker: sent to each process.
        workers: among how many the processor's cores are divided.
    """

    def __init__(self, make_worker: MakeWorker[Any, Any], workers: int) -> None:
        self._make_worker = make_worker
        self._needs_main = b"__main__" in pickle.dumps(make_worker)
        self._threads = max(1, usable_cpus() // workers)
        self._members: dict[int, _Member] = {}
        self._numbers = itertools.count()

    def hire(self) -> int:
        """Spawn a process."""
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_main, args=(theirs,), daemon=True, name="mgn_ma worker")
        with _threads_of_children(self._threads), _main_module_hidden(unless=self._needs_main):
            process.start()
        theirs.close()
        number = next(self._numbers)
        self._members[number] = _Member(process, ours)
        self._send(number, self._make_worker)
        return number

    def tell(self, worker: int, order: Order) -> None:
        """Send an order down the pipe."""
        self._send(worker, order)

    def listen(self) -> list[tuple[int, Message | Death]]:
        """Wait for any pipe to hold a message or to close."""
        waitables: dict[Any, int] = {}
        for number, member in self._members.items():
            waitables[member.pipe] = waitables[member.process.sentinel] = number
        speakers = {waitables[ready] for ready in wait(list(waitables))}
        return [(number, self._hear(number)) for number in speakers]

    def dismiss(self, patience: float) -> None:
        """Close the pipes, which ends a process that waits for an order, and end the others."""
        for member in self._members.values():
            member.pipe.close()
        deadline = time.monotonic() + patience
        for member in self._members.values():
            member.process.join(max(0.0, deadline - time.monotonic()))
            _end(member.process)
        self._members.clear()

    def _send(self, number: int, content: Order | MakeWorker[Any, Any]) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._members[number].pipe.send(content)

    def _hear(self, number: int) -> Message | Death:
        member = self._members[number]
        try:
            if member.pipe.poll():
                return member.pipe.recv()
        except (EOFError, OSError):
            pass
        member.pipe.close()
        member.process.join(REAP_SECONDS)
        reason = _how_it_ended(member.process.exitcode)
        _end(member.process)
        del self._members[number]
        return Death(reason)


def usable_cpus() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextlib.contextmanager
def _threads_of_children(threads: int) -> Iterator[None]:
    """Numerical libraries read these variables when they are loaded, so they have to stand before the process does."""
    unset = [name for name in THREAD_VARIABLES if name not in os.environ]
    os.environ.update(dict.fromkeys(unset, str(threads)))
    try:
        yield
    finally:
        for name in unset:
            os.environ.pop(name, None)


@contextlib.contextmanager
def _main_module_hidden(*, unless: bool) -> Iterator[None]:
    """Keep a spawned process from importing the program that runs here, of which a worker has no need.

    Importing Kedro's command line would cost each process seconds. Where the worker itself comes from the main module,
    as in a short script, it is needed.
    """
    main = sys.modules["__main__"]
    if not unless:
        sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _main(pipe: Connection[Message, Any]) -> None:
    """Serve until the pipe closes. Ctrl-C reaches the whole group; it is for the coordinator to act on it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        serve(pipe.recv(), pipe.send, pipe.recv)


def _end(process: SpawnProcess) -> None:
    if process.is_alive():
        process.terminate()
        process.join(REAP_SECONDS)
    if process.is_alive():
        process.kill()
        process.join()
    process.close()


def _how_it_ended(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        hint = " (the system does that when memory runs out)" if exit_code == -signal.SIGKILL else ""
        return f"the process was ended by {signal.Signals(-exit_code).name}{hint}"
    return f"the process ended with exit code {exit_code}"
