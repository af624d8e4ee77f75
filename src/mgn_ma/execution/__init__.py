"""Run a function over videos or members: in this process, or on a Ray cluster."""

from mgn_ma.execution.config import ExecutionConfig
from mgn_ma.execution.fan_out import run
from mgn_ma.execution.work import ExecutionError, Outcome, PerItem, WorkerDiedError

__all__ = ["ExecutionConfig", "ExecutionError", "Outcome", "PerItem", "WorkerDiedError", "run"]
