"""Run a function over videos or networks: in processes of this machine, or on a Ray cluster."""

from mgn_ma.execution.config import ExecutionConfig
from mgn_ma.execution.outcome import ExecutionError, Outcome, TimeLimitError, WorkerDiedError, ready
from mgn_ma.execution.running import run

__all__ = ["ExecutionConfig", "ExecutionError", "Outcome", "TimeLimitError", "WorkerDiedError", "ready", "run"]
