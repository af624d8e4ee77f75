"""Workers on a Ray cluster, or on a Ray that is started here. The only module that knows Ray."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from collections import deque
from collections.abc import Iterator
from typing import Any

import ray

from mgn_ma.execution.config import ExecutionConfig
from mgn_ma.execution.outcome import ExecutionError, Item, MakeFunction, Outcome, Result, WorkerDiedError
from mgn_ma.execution.process import WorkerProcess
from mgn_ma.machine import usable_cpus

logger = logging.getLogger(__name__)

CONNECT_SECONDS = 5.0
OBJECT_STORE_BYTES = 512 * 2**20
"""Of a Ray that is started here: results pass through and are not kept."""


def run_on_ray(
    make_function: MakeFunction[Item, Result], todo: deque[Item], config: ExecutionConfig
) -> Iterator[Outcome[Item, Result]]:
    """Outcomes in order of completion; see :func:`mgn_ma.execution.run`.

    Each actor hands its items to a process beside it, as the local engine does: limits and crashes cost the same, and
    rows come out the same. What is left to Ray is placing actors, and trying again elsewhere when a machine is lost.
    """
    workers = min(config.workers, len(todo))
    _connect(config, workers)
    nodes = sum(node["Alive"] for node in ray.nodes())  # type: ignore[no-untyped-call]
    # An actor's CPU is a place to be, not a share of the processor.
    options: dict[str, Any] = {"num_cpus": 1, "num_gpus": config.gpus_per_worker}
    options |= {"max_restarts": -1, "max_task_retries": config.retries}
    remote = ray.remote(_Actor).options(**options)
    actors: list[Any] = [remote.remote(make_function, config, -(-workers // max(1, nodes))) for _ in range(workers)]
    under_way: dict[Any, tuple[Any, Item]] = {}

    def give_next(actor: Any) -> None:
        if todo:
            item = todo.popleft()
            under_way[actor.outcome.remote(item)] = actor, item

    try:
        for actor in actors:
            give_next(actor)
        while under_way:
            (reference,), _ = ray.wait(list(under_way), num_returns=1)
            actor, item = under_way.pop(reference)
            outcome = _outcome_of(reference, item)
            give_next(actor)
            yield outcome
    finally:
        for actor in actors:
            with contextlib.suppress(Exception):
                ray.kill(actor)


class _Actor:
    def __init__(self, make_function: MakeFunction[Any, Any], config: ExecutionConfig, share_of_node: int) -> None:
        logging.basicConfig(level=logging.WARNING)
        logging.getLogger("mgn_ma").setLevel(logging.INFO)
        self._worker = WorkerProcess(make_function, config, max(1, usable_cpus() // share_of_node))

    def outcome(self, item: Any) -> Outcome[Any, Any]:
        return self._worker.outcome(item)


def _outcome_of(reference: Any, item: Item) -> Outcome[Item, Any]:
    try:
        outcome: Outcome[Item, Any] = ray.get(reference)
    except ray.exceptions.RayTaskError as error:  # the function can't be built
        raise error.cause from None
    except ray.exceptions.RayError as error:
        return Outcome(item, None, WorkerDiedError(_first_line(error)), 0.0)
    return outcome


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
    _require_listener(config.address)
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    # What workers log is printed here by Ray.
    options: dict[str, Any] = {"address": config.address, "logging_level": logging.ERROR, "log_to_driver": True}
    if config.address is None:
        options |= {"address": "local", "include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES}
        options |= {"num_cpus": max(workers, usable_cpus())}
    try:
        ray.init(**options)
    except (ConnectionError, OSError, RuntimeError, ValueError) as error:
        raise ExecutionError(f"Ray can't be reached at {config.address or 'this machine'}: {error}") from error


def _require_listener(address: str | None) -> None:
    """See within seconds that nobody listens, where Ray itself would try for minutes."""
    host, _, port = (address or "").removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        return
    try:
        socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
    except OSError as error:
        raise ExecutionError(f"no Ray listens at {address}: {error.strerror or error}") from error


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else 'no more is known'}"
