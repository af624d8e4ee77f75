"""One function over many items: in processes of this machine, or on a Ray cluster."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence

from mgn_ma.execution.config import ExecutionConfig
from mgn_ma.execution.outcome import ExecutionError, Item, MakeFunction, Outcome, Result
from mgn_ma.execution.process import WorkerProcess
from mgn_ma.machine import usable_cpus

AHEAD = 2
"""Items a worker, one in work included, whose outcomes nobody has asked for yet: workers wait for a slow consumer."""


def run(
    make_function: MakeFunction[Item, Result],
    items: Iterable[Item],
    config: ExecutionConfig,
    *,
    isolated: bool = True,
) -> Iterator[Outcome[Item, Result]]:
    """Call a function with each item, and yield each one's outcome when it is there.

    Every item has exactly one outcome. An exception costs the item that raises it, and so does a time or memory limit;
    the death of a worker (killed, crashed, its machine gone) costs its item ``config.retries`` tries, and then the
    item. No other item loses anything. Closing the iterator, as Ctrl-C does, ends the workers at once.

    Args:
        make_function: builds the function, once per worker.
        items: what to call it with; none are no work, and no worker is started.
        config: where, by how many workers, within which limits.
        isolated: whether the function must run in a process that may crash; else one local worker is this very process,
            for which no limits hold. What decodes files that we did not make has to be isolated.

    Raises:
        ExecutionError: workers don't come up, or Ray isn't there.
        Exception: whatever ``make_function`` raised.
    """
    todo = deque(items)
    if not todo:
        return
    if config.engine == "ray":
        yield from _on_ray(make_function, todo, config)
    elif config.workers == 1 and not isolated:
        yield from _here(make_function, todo)
    else:
        workers = min(config.workers, len(todo))
        threads = max(1, usable_cpus() // workers)
        yield from _in_processes([WorkerProcess(make_function, config, threads) for _ in range(workers)], todo)


def _here(make_function: MakeFunction[Item, Result], todo: deque[Item]) -> Iterator[Outcome[Item, Result]]:
    function = make_function()
    for item in todo:
        began = time.perf_counter()
        try:
            outcome = Outcome(item, function(item), None, time.perf_counter() - began)
        except Exception as error:
            outcome = Outcome(item, None, error, time.perf_counter() - began)
        yield outcome


def _on_ray(
    make_function: MakeFunction[Item, Result], todo: deque[Item], config: ExecutionConfig
) -> Iterator[Outcome[Item, Result]]:
    try:
        from mgn_ma.execution.ray_actors import run_on_ray
    except ImportError as error:
        raise ExecutionError("the engine 'ray' needs Ray: install mgn_ma with the extra 'ray'") from error
    return run_on_ray(make_function, todo, config)


def _in_processes(workers: Sequence[WorkerProcess[Item, Result]], todo: deque[Item]) -> Iterator[Outcome[Item, Result]]:
    """A thread a worker, which waits for its process; daemons, so that none keeps this program from ending."""
    outcomes: queue.SimpleQueue[Outcome[Item, Result] | Exception] = queue.SimpleQueue()
    free = threading.Semaphore(AHEAD * len(workers))

    def serve(worker: WorkerProcess[Item, Result]) -> None:
        while True:
            free.acquire()
            try:
                item = todo.popleft()
            except IndexError:
                return
            try:
                outcomes.put(worker.outcome(item))
            except Exception as error:
                outcomes.put(error)

    left = len(todo)
    try:
        for worker in workers:
            threading.Thread(target=serve, args=(worker,), daemon=True).start()
        for _ in range(left):
            outcome = outcomes.get()
            if isinstance(outcome, Exception):
                raise outcome
            free.release()
            yield outcome
    finally:
        todo.clear()
        for worker in workers:
            worker.stop()
            free.release()
        for worker in workers:
            worker.join()
