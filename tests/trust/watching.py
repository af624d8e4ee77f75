"""Runs a command and watches what it and all that it starts take: memory, open files, time; and what it leaves."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

SAMPLING_SECONDS = 0.2
PREDICT = (sys.executable, "-c", "from mgn_ma.command import main; main()", "predict")


@dataclass
class Watched:
    """A command that has ended.

    Attributes:
        memory: (N,) bytes of the whole tree of processes, a sample each 0.2 s (shared pages counted once a process).
        handles: (N,) open files of the whole tree.
        left_over: processes of its session that outlived it by more than a second.
    """

    code: int = 0
    output: str = ""
    seconds: float = 0.0
    memory: list[int] = field(default_factory=list)
    handles: list[int] = field(default_factory=list)
    left_over: list[str] = field(default_factory=list)


def watch(
    command: Sequence[str], *, timeout: float, cwd: Path | None = None, environment: Mapping[str, str] | None = None
) -> Watched:
    """Run a command to its end; after ``timeout`` seconds it has hung, and is killed.

    Raises:
        AssertionError: it hung.
    """
    watched, began = Watched(), time.perf_counter()
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")}
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env=inherited | {"OMP_NUM_THREADS": "1"} | dict(environment or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    while True:
        try:
            watched.output, _ = process.communicate(timeout=SAMPLING_SECONDS)
            break
        except subprocess.TimeoutExpired:
            _sample(process.pid, watched)
        if time.perf_counter() - began > timeout:
            os.killpg(process.pid, signal.SIGKILL)
            raise AssertionError(f"hung for {timeout:.0f} s: {process.communicate()[0][-2000:]}")
    watched.code, watched.seconds = process.returncode, time.perf_counter() - began
    time.sleep(1)
    watched.left_over = [str(other) for other in psutil.process_iter() if _is_of_session(other, process.pid)]
    return watched


def _sample(pid: int, watched: Watched) -> None:
    memory = handles = 0
    with contextlib.suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        for process in [root, *root.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                memory += process.memory_info().rss
                handles += process.num_fds()
        watched.memory.append(memory)
        watched.handles.append(handles)


def _is_of_session(process: psutil.Process, leader: int) -> bool:
    """Whether it still does something; who has ended, and waits for a first process that does not ask, doesn't."""
    try:
        return os.getsid(process.pid) == leader and process.status() != psutil.STATUS_ZOMBIE
    except (ProcessLookupError, PermissionError, psutil.NoSuchProcess):
        return False
