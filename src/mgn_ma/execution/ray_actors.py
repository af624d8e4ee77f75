"""Workers as Ray actors, on this machine or on a cluster. The only module that knows Ray."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import queue
import socket
import threading
from typing import Any

import ray

from mgn_ma.execution.config import ExecutionConfig
from mgn_ma.execution.coordinator import Death
from mgn_ma.execution.processes import THREAD_VARIABLES, usable_cpus
from mgn_ma.execution.service import Message, Order, serve
from mgn_ma.execution.work import ExecutionError, MakeWorker

logger = logging.getLogger(__name__)

POLL_SECONDS = 10.0
KNOCK_SECONDS = 5.0
OBJECT_STORE_BYTES = 512 * 2**20
"""Of a Ray that is started here: results pass through and are not kept."""


class _Actor:
    """Serves in a thread of its own, so that an order can be taken while the worker computes."""

    def __init__(self, share_of_node: int) -> None:
        threads = str(max(1, usable_cpus() // share_of_node))
        # Ray sets these to the actor's CPUs, which stand for one worker here and not for one core.
        os.environ.update(dict.fromkeys(THREAD_VARIABLES, threads))
        self._said: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._orders: queue.SimpleQueue[Order] = queue.SimpleQueue()

    def start(self, make_worker: MakeWorker[Any, Any]) -> None:
        thread = threading.Thread(target=serve, args=(make_worker, self._said.put, self._orders.get), daemon=True)
        thread.start()

    def tell(self, order: Order) -> None:
        self._orders.put(order)

    def poll(self) -> list[Message]:
        """All that was said since the last poll; waits a while for the first message, and for no more."""
        messages: list[Message] = []
        with contextlib.suppress(queue.Empty):
            messages.append(self._said.get(timeout=POLL_SECONDS))
            while True:
                messages.append(self._said.get_nowait())
        return messages


class RayCrew:
    """Ray actors, each of which loads its network once and pulls items.

    Args:
        make_worker: sent to each actor.
        config: where Ray is, and what an actor reserves.
        workers: how many there will be at once.

    Raises:
        ExecutionError: there is no Ray at the address, or no GPU in it that is to be reserved.
    """

    def __init__(self, make_worker: MakeWorker[Any, Any], config: ExecutionConfig, workers: int) -> None:
        self._make_worker = make_worker
        _connect(config, workers)
        nodes = sum(node["Alive"] for node in ray.nodes())  # type: ignore[no-untyped-call]
        self._share_of_node = -(-workers // max(1, nodes))
        # An actor's CPU is a place to be, not a share of the processor; two threads: one polls, one takes orders.
        options: dict[str, Any] = {"num_cpus": 1, "num_gpus": config.gpus_per_worker, "max_concurrency": 3}
        self._remote = ray.remote(_Actor).options(max_restarts=0, max_task_retries=0, **options)
        self._actors: dict[int, Any] = {}
        self._polls: dict[Any, int] = {}
        self._numbers = itertools.count()

    def hire(self) -> int:
        """Create an actor; Ray places it when there is room."""
        actor: Any = self._remote.remote(self._share_of_node)
        number = next(self._numbers)
        self._actors[number] = actor
        actor.start.remote(self._make_worker)
        self._polls[actor.poll.remote()] = number
        return number

    def tell(self, worker: int, order: Order) -> None:
        """Send an order; the answer to it comes through a poll."""
        self._actors[worker].tell.remote(order)

    def listen(self) -> list[tuple[int, Message | Death]]:
        """Wait for a poll to end, of which every actor has one under way."""
        heard: list[tuple[int, Message | Death]] = []
        ready, _ = ray.wait(list(self._polls), num_returns=1)
        for reference in ready:
            number = self._polls.pop(reference)
            try:
                heard.extend((number, message) for message in ray.get(reference))
            except ray.exceptions.RayError as error:
                with contextlib.suppress(Exception):
                    ray.kill(self._actors[number])
                del self._actors[number]
                heard.append((number, Death(_first_line(error))))
            else:
                self._polls[self._actors[number].poll.remote()] = number
        return heard

    def dismiss(self, patience: float) -> None:
        """Kill the actors. Ray stays for the next stage, and ends with this process."""
        del patience  # an actor keeps nothing that it would have to put in order
        for actor in self._actors.values():
            with contextlib.suppress(Exception):
                ray.kill(actor)
        self._actors.clear()
        self._polls.clear()


def _connect(config: ExecutionConfig, workers: int) -> None:
    """Join Ray, or start one for as long as this process lives."""
    if not ray.is_initialized():
        _initialise(config, workers)
    resources = ray.cluster_resources()  # type: ignore[no-untyped-call]
    if config.gpus_per_worker <= resources.get("GPU", 0.0):
        return
    if config.address is None:
        raise ExecutionError(f"{config.gpus_per_worker} GPUs a worker are wanted, and this machine has none to give")
    logger.warning("The cluster has no GPU yet; workers wait until one joins")


def _initialise(config: ExecutionConfig, workers: int) -> None:
    _knock(config.address)
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    # What workers log reaches this log by itself; Ray's own copy of their output would say it twice.
    options: dict[str, Any] = {"address": config.address, "logging_level": logging.ERROR, "log_to_driver": False}
    if config.address is None:
        options |= {"address": "local", "include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES}
        options |= {"num_cpus": max(workers, usable_cpus())}
    try:
        ray.init(**options)
    except (ConnectionError, OSError, RuntimeError, ValueError) as error:
        raise ExecutionError(f"Ray can't be reached at {config.address or 'this machine'}: {error}") from error


def _knock(address: str | None) -> None:
    """See within seconds that nobody listens, where Ray itself would try for minutes."""
    host, _, port = (address or "").removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        return
    try:
        socket.create_connection((host, int(port)), KNOCK_SECONDS).close()
    except OSError as error:
        raise ExecutionError(f"no Ray listens at {address}: {error.strerror or error}") from error


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else 'no more is known'}"
