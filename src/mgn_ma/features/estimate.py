"""What an extraction will cost, from a few seconds of real videos, before anything is started."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import cycle, islice

import pandas as pd

from mgn_ma.execution import ExecutionConfig, Outcome
from mgn_ma.execution.progress import duration
from mgn_ma.features.extraction import reason_of, run_extractor
from mgn_ma.features.plan import ExtractionPlan, hours
from mgn_ma.features.track import Track
from mgn_ma.media.source import VideoSource

logger = logging.getLogger(__name__)

COLUMNS = ("modality", "extractor", "kept", "videos", "hours_of_video", "hours_of_work", "gigabytes", "remark")


@dataclass(frozen=True, slots=True)
class _Cost:
    """What one unit (a second of video; a whole video where the clock is not one of seconds) costs one worker."""

    seconds: float
    bytes: float
    per_video: bool


def estimate(plan: ExtractionPlan, execution: ExecutionConfig, calibration_seconds: float) -> dict[str, object]:
    """Try a plan on the first seconds of a few of its videos, with the workers that it will have.

    The first half of the videos, about one a worker, warms up and isn't counted. Extractors that read a file whole,
    whatever the length that is asked of them, are counted by what they gave.

    Args:
        plan: what is to be done.
        execution: where it will be done.
        calibration_seconds: how much of a video is tried.

    Returns:
        A value for each of ``COLUMNS``; hours of work are those of the clock on the wall, with all workers.
    """
    row: dict[str, object] = {"modality": plan.modality, "extractor": plan.extractor, "kept": len(plan.kept)}
    row |= {"videos": len(plan.todo), "hours_of_video": round(hours(plan.todo), 4), "remark": ""}
    if not plan.todo:
        return row | {"hours_of_work": 0.0, "gigabytes": 0.0}
    outcomes = list(_calibrate(plan, execution, int(calibration_seconds * 1e6)))
    # Both halves count where the second one failed.
    cost = _cost(plan, outcomes[len(outcomes) // 2 :]) or _cost(plan, outcomes)
    if cost is None:
        return row | {"hours_of_work": None, "gigabytes": None, "remark": _first_failure(outcomes)}
    units = len(plan.todo) if cost.per_video else hours(plan.todo) * 3600
    workers = min(execution.workers if plan.isolated else 1, len(plan.todo))
    work = round(units * cost.seconds / 3600 / workers, 7)
    return row | {"hours_of_work": work, "gigabytes": round(units * cost.bytes / 1e9, 7)}


def _calibrate(
    plan: ExtractionPlan, execution: ExecutionConfig, length_us: int
) -> Iterator[Outcome[VideoSource, Track]]:
    # Spread over the whole list: neighbours in a data set resemble each other.
    n_clips = 2 * execution.workers
    spread = plan.todo[:: max(1, len(plan.todo) // n_clips)]
    clips = [
        replace(video, duration_us=min(length_us, video.duration_us or length_us))
        for video in islice(cycle(spread), n_clips)
    ]
    return run_extractor(plan, clips, execution.model_copy(update={"retries": 0}))


def _cost(plan: ExtractionPlan, outcomes: Iterable[Outcome[VideoSource, Track]]) -> _Cost | None:
    seconds, size, units, per_video = 0.0, 0.0, 0.0, False
    for outcome in outcomes:
        track = outcome.result
        if track is None or not len(track.rows):
            continue
        per_video = track.header.clock in ("cues", "whole")
        covered = 1.0 if per_video else float(track.rows.ends_us[-1] - track.rows.timestamps_us[0]) / 1e6
        size += track.rows.vectors.nbytes + track.rows.timestamps_us.nbytes + track.rows.ends_us.nbytes
        seconds, units = seconds + outcome.seconds, units + covered
    return _Cost(seconds / units, size / units, per_video) if units else None


def _first_failure(outcomes: Iterable[Outcome[VideoSource, Track]]) -> str:
    for outcome in outcomes:
        if outcome.error is not None:
            return f"every video that was tried failed, the first with: {reason_of(outcome.error)}"
    return "the videos that were tried have no rows"


def _size(gigabytes: float) -> str:
    return f"{gigabytes:,.1f} GB" if gigabytes >= 0.95 else f"{gigabytes * 1000:.1f} MB"


def as_table(rows: Iterable[dict[str, object]]) -> pd.DataFrame:
    """Estimates as a table, one row a modality, in the order of ``COLUMNS``."""
    return pd.DataFrame(list(rows), columns=list(COLUMNS))


def log_estimate(table: pd.DataFrame, execution: ExecutionConfig) -> None:
    """Put an estimate into the log, for people."""
    where = f"{execution.workers} worker{'s' if execution.workers > 1 else ''}, engine {execution.engine}"
    lines = [f"Extraction to come, with {where}:"]
    for row in table.to_dict("records"):
        if not row["videos"]:
            lines.append(f"  {row['modality']:<9} nothing: all {row['kept']} tracks are there")
            continue
        size = f"{row['videos']} videos, {duration(row['hours_of_video'] * 3600)} long"
        price = row["remark"] or f"about {duration(row['hours_of_work'] * 3600)}, {_size(row['gigabytes'])} on disk"
        lines.append(f"  {row['modality']:<9} {size}, by {row['extractor']}: {price}")
    total_hours, total_size = table["hours_of_work"].sum(), table["gigabytes"].sum()
    lines.append(f"  together  about {duration(float(total_hours) * 3600)}, {_size(total_size)} on disk")
    logger.info("\n".join(lines))
