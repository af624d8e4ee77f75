"""What happens around every Kedro run: tracking, a summary, and errors that say what to do."""

from __future__ import annotations

from mgn_ma.hooks.errors import ErrorHooks
from mgn_ma.hooks.summary import SummaryHooks
from mgn_ma.hooks.tracking import TrackingHooks

__all__ = ["ErrorHooks", "SummaryHooks", "TrackingHooks"]
