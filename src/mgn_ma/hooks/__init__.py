"""What happens around every Kedro run: tracking, a summary, one writer at a time, and errors that say what to do."""

from __future__ import annotations

from mgn_ma.hooks.errors import ErrorHooks
from mgn_ma.hooks.one_writer import OneWriterHooks
from mgn_ma.hooks.summary import SummaryHooks
from mgn_ma.hooks.tracking import TrackingHooks
from mgn_ma.hooks.viz_status import VizStatusHooks

__all__ = ["ErrorHooks", "OneWriterHooks", "SummaryHooks", "TrackingHooks", "VizStatusHooks"]
