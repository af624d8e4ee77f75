"""A process of this machine that works on one item at a time. When it ends, another takes its place."""

from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import CancelledError
from logging.handlers import QueueHandler
from multiprocessing.connection import Connection
from multiprocessing.util import get_temp_dir
from types import ModuleType, SimpleNamespace
from typing import Any, Generic

import cloudpickle
from pebble import ProcessExpired, ProcessPool
from threadpoolctl import threadpool_limits

from mgn_ma.execution.config import ExecutionConfig
from mgn_ma.execution.outcome import (
    ExecutionError,
    Item,
    MakeFunction,
    Outcome,
    Result,
    TimeLimitError,
    WorkerDiedError,
)

logger = logging.getLogger(__name__)

STARTS_IN_VAIN = 3
"""Processes in a row that may end while they build the function before the work is given up."""
LOG_SECONDS = 1.0
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
PRELOADED = ["av", "fsspec", "mgn_ma.execution", "numpy", "pyarrow", "soxr"]
"""Imported once by the server that workers are forked from, so that each starts in a tenth of the time."""

LONGEST_FOLDER = 70
"""Bytes of the path of a temporary directory: with the names below it, a socket's has to fit into 103 (Linux: 107)."""

_context: Any = multiprocessing.get_context("forkserver" if sys.platform == "linux" else "spawn")
if sys.platform == "linux":
    _context.set_forkserver_preload(PRELOADED)
_starting = threading.Lock()


class _Process(_context.Process):  # type: ignore[misc]
    """A process that does not import the program that runs here: Kedro's command line would cost each one a second."""

    def start(self) -> None:
        with _starting:
            main, sys.modules["__main__"] = sys.modules["__main__"], ModuleType("__main__")
            try:
                super().start()
            finally:
                sys.modules["__main__"] = main


class _Context(type(_context)):  # type: ignore[misc]
    Process = _Process


class WorkerProcess(Generic[Item, Result]):
    """Calls a function with one item at a time, in a process that may crash.

    A pool of one: workers of one pool share a pipe and its lock, so that one that is killed at a bad moment would stop
    the others. Only the thread that asks for outcomes starts and replaces the process; any may stop it.

    Args:
        make_function: builds the function in the process.
        config: limits and retries.
        threads: for numerical libraries and decoders.
    """

    def __init__(self, make_function: MakeFunction[Item, Result], config: ExecutionConfig, threads: int) -> None:
        self._make_function = cloudpickle.dumps(make_function)
        self._config = config
        self._threads = threads
        self._changing = threading.Lock()
        self._pool: Any = None
        self._task: Any = None
        self._stopped = False

    def outcome(self, item: Item) -> Outcome[Item, Result]:
        """Call the function.

        Raises:
            ExecutionError: one process after the other ends while it builds the function.
            CancelledError: somebody has stopped it.
            Exception: whatever building the function raised.
        """
        tries = self._config.retries + 1
        for left in reversed(range(tries)):
            if self._pool is None:
                self._start()
            try:
                return Outcome(item, *self._call(_work, item, time_limit_s=self._config.time_limit_s))
            except TimeLimitError as error:
                return Outcome(item, None, error, self._config.time_limit_s or 0.0)
            except WorkerDiedError as error:
                reason = error
                if left:
                    logger.warning("A worker is gone (%s); what it worked on is tried again", error)
        times = "once" if tries == 1 else f"{tries} times in a row"
        return Outcome(item, None, WorkerDiedError(f"its worker ended {times}; the last time: {reason}"), 0.0)

    def stop(self) -> None:
        """End the process whatever it does; nothing can be asked of it any more. Returns at once."""
        with self._changing:
            self._stopped = True
            if self._pool is not None:
                self._pool.stop()
            if self._task is not None:
                self._task.cancel()

    def join(self) -> None:
        """Wait until a process that was stopped is gone, and its last words are in the log."""
        with self._changing:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.stop()
            pool.join()
            self._log_writer.close()
            self._log_reader.join(LOG_SECONDS)

    def _start(self) -> None:
        _find_room_for_sockets()
        for _ in range(STARTS_IN_VAIN):
            reader, writer = _context.Pipe(duplex=False)
            settings = [self._threads, self._config.memory_limit_gib, writer, logger.getEffectiveLevel()]
            with self._changing:
                if self._stopped:
                    raise CancelledError
                self._log_writer = writer
                self._log_reader = threading.Thread(target=_handle_records, args=(reader,), daemon=True)
                self._log_reader.start()
                self._pool = ProcessPool(1, initializer=_initialise, initargs=settings, context=_Context())
            try:
                error = self._call(_build, self._make_function)
            except WorkerDiedError as died:
                reason = died
                continue
            if error is not None:
                raise error
            return
        raise ExecutionError(f"{STARTS_IN_VAIN} workers in a row ended before they took any work; {reason}")

    def _call(self, function: Callable[[Any], Any], argument: Any, time_limit_s: float | None = None) -> Any:
        try:
            with self._changing:
                if self._stopped or self._pool is None:
                    raise CancelledError
                self._task = self._pool.schedule(function, (argument,), timeout=time_limit_s)
            return self._task.result()
        except TimeoutError:
            self.join()
            raise TimeLimitError(f"took longer than the {time_limit_s:g} s that it may (time_limit_s)") from None
        except (ProcessExpired, RuntimeError) as error:
            self.join()
            raise WorkerDiedError(_how_it_ended(error)) from None


def _find_room_for_sockets() -> None:
    """Let processes meet in ``/tmp`` where the path of the temporary directory is too long for a socket below it.

    multiprocessing looks for the directory once, and keeps what it has found.
    """
    if sys.platform == "win32" or len(os.fsencode(tempfile.gettempdir())) <= LONGEST_FOLDER:
        return
    with _starting:
        usual, tempfile.tempdir = tempfile.tempdir, "/tmp"  # noqa: S108 - what is made there has a random name
        try:
            get_temp_dir()
        finally:
            tempfile.tempdir = usual


def _how_it_ended(error: Exception) -> str:
    code = error.exitcode if isinstance(error, ProcessExpired) else None
    if code is None:
        return "the process ended before it had taken it up"
    if code < 0:
        hint = " (the system does that when memory runs out)" if code == -signal.SIGKILL else ""
        return f"the process was ended by {signal.Signals(-code).name}{hint}"
    return f"the process ended with exit code {code}"


def _handle_records(reader: Connection[Any, Any]) -> None:
    with reader:
        while True:
            try:
                record = reader.recv()
            except (EOFError, OSError, pickle.UnpicklingError):  # nobody is left to write, or died while writing
                return
            logging.getLogger(record.name).handle(record)


# What follows runs in the process.

_function: Callable[[Any], Any]


def _initialise(threads: int, memory_limit_gib: float | None, log: Connection[Any, Any], level: int) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # at once, also in the midst of decoding
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # For the libraries that are still to be loaded, and for those that are.
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))
    threadpool_limits(threads)
    if memory_limit_gib is not None:
        _limit_memory(int(memory_limit_gib * 2**30))
    ours = logging.getLogger("mgn_ma")
    ours.addHandler(QueueHandler(SimpleNamespace(put_nowait=log.send)))
    ours.setLevel(level)
    ours.propagate = False


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _limit_memory(size: int) -> None:
    """Limit the data segment and not the address space, of which a GPU's driver reserves more than any machine has."""
    import resource  # there is none on Windows

    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    resource.setrlimit(resource.RLIMIT_DATA, (size if hard == resource.RLIM_INFINITY else min(size, hard), hard))


def _build(make_function: bytes) -> Exception | None:
    global _function
    try:
        _function = pickle.loads(make_function)()  # noqa: S301 - our own bytes
    except Exception as error:
        return _portable(error)
    return None


def _work(item: Any) -> tuple[Any, Exception | None, float]:
    began = time.perf_counter()
    try:
        return _function(item), None, time.perf_counter() - began
    except BaseException as error:  # a library that calls sys.exit costs the item, too
        return None, _portable(error), time.perf_counter() - began


def _portable(error: BaseException) -> Exception:
    """The error, with its traceback as a note, in a form that survives pickling."""
    trace = "".join(traceback.format_exception(error))
    copy: Exception = RuntimeError(f"{type(error).__name__}: {error}")
    try:
        unpickled = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
        copy = unpickled if isinstance(unpickled, Exception) else copy
    except Exception:
        logger.debug("%s can't be pickled", type(error).__name__)
    copy.add_note(f"In the worker:\n{trace}")
    return copy
