"""Doing what an extraction plan says, wherever the work is done, and accounting for every video afterwards."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pandas as pd

from mgn_ma.errors import MGNMAError
from mgn_ma.execution import ExecutionConfig, Outcome, TimeLimitError, WorkerDiedError, run
from mgn_ma.execution.progress import Progress
from mgn_ma.extractors.base import ExtractionError
from mgn_ma.features.plan import ExtractionPlan
from mgn_ma.features.task import ExtractionTask
from mgn_ma.features.track import Selection, Track, TrackError, TrackFailure
from mgn_ma.features.view import TrackView
from mgn_ma.media.errors import MediaError
from mgn_ma.media.source import VideoSource

logger = logging.getLogger(__name__)

ACCOUNT_COLUMNS = ("video_id", "modality", "status", "reason", "seconds")

_FORESEEN = (ExtractionError, MediaError, TrackError, WorkerDiedError, TimeLimitError, MemoryError)
_TRANSIENT = (WorkerDiedError, TimeLimitError, MemoryError, OSError)
"""What another try, or other limits, may not meet; anything else would be met again."""


def extract(plan: ExtractionPlan, execution: ExecutionConfig) -> Iterator[Track | TrackFailure]:
    """Compute what is missing, as it is asked for: a track or a failure for each video to be done, when it is done.

    Args:
        plan: what to do.
        execution: where.
    """
    n_failed = 0
    with Progress(len(plan.todo), f"{plan.modality} tracks", unit="video") as meter:
        for outcome in run_extractor(plan, plan.todo, execution):
            result = _of_outcome(plan.selection, outcome)
            if isinstance(result, TrackFailure):
                n_failed += 1
                logger.warning("No %s track of %s: %s", plan.modality, result.video_id, result.reason)
            yield result
            meter.update(note=f"{n_failed} failed" if n_failed else "")


def run_extractor(
    plan: ExtractionPlan, videos: Sequence[VideoSource], execution: ExecutionConfig
) -> Iterator[Outcome[VideoSource, Track]]:
    """Run a plan's extractor over videos; in this process where it need not be isolated."""
    if plan.config is None:
        return iter(())
    task = ExtractionTask(plan.config, plan.selection, plan.dtype)
    return run(task, videos, execution if plan.isolated else ExecutionConfig(), isolated=plan.isolated)


def _of_outcome(selection: Selection, outcome: Outcome[VideoSource, Track]) -> Track | TrackFailure:
    """What is kept of an outcome; an exception that nobody foresaw is our own fault, and goes to the log."""
    if outcome.result is not None:
        return Track(replace(outcome.result.header, seconds=outcome.seconds), outcome.result.rows)
    error = outcome.error
    if not isinstance(error, _FORESEEN):
        logger.error("Unexpected error in the %s extractor", selection.modality, exc_info=error)
    return TrackFailure(
        video_id=outcome.item.video_id,
        modality=selection.modality,
        fingerprint=selection.fingerprint,
        source_digest=selection.wanted[outcome.item.video_id],
        reason=reason_of(error),
        transient=error.transient if isinstance(error, ExtractionError | MediaError) else isinstance(error, _TRANSIENT),
        seconds=outcome.seconds,
    )


def reason_of(error: Exception | None) -> str:
    """What an account says of an error."""
    if isinstance(error, MediaError):
        return error.reason
    if isinstance(error, MemoryError):
        return f"it needs more memory than a worker may have (memory_limit_gib): {error}".rstrip(": ")
    return str(error) if isinstance(error, MGNMAError) else f"{type(error).__name__}: {error}"


def account(plan: ExtractionPlan, view: TrackView) -> pd.DataFrame:
    """One row for every video of the manifest: it has a track, it failed, or it has nothing to make one from.

    Args:
        plan: what was to be done.
        view: what is there now.

    Returns:
        ``video_id``, ``modality``, ``status`` (``present``, ``failed``, ``absent``), ``reason``, and ``seconds`` spent
        in this run (0 for what was there before it).

    Raises:
        TrackError: a video is neither, or the view is of other tracks than the plan.
    """
    if view.selection != plan.selection:
        raise TrackError(
            f"the {plan.modality} tracks on disk are not those of this run's plan: is another run at work?"
        )
    view.require_complete()
    done_now = {video.video_id for video in plan.todo}
    rows = []
    for video_id in plan.video_ids:
        status, reason, seconds = _account_of(video_id, plan, view)
        rows.append((video_id, plan.modality, status, reason, round(seconds, 6) if video_id in done_now else 0.0))
    return pd.DataFrame(rows, columns=list(ACCOUNT_COLUMNS)).astype({"seconds": float})


def _account_of(video_id: str, plan: ExtractionPlan, view: TrackView) -> tuple[str, str, float]:
    if video_id in view:
        made = "kept from an earlier run" if video_id in plan.kept else "computed in this run"
        return "present", made, view.headers[video_id].seconds
    if video_id in view.failures:
        return "failed", view.failures[video_id].reason, view.failures[video_id].seconds
    return "absent", plan.absent[video_id], 0.0


def require_accounted(account: pd.DataFrame, view: TrackView) -> None:
    """Refuse tracks that are not those of the account: a silent subset is never learned from.

    Raises:
        TrackError: the two disagree about a video.
    """
    of_modality = account[account["modality"] == view.modality]
    present = set(of_modality.loc[of_modality["status"] == "present", "video_id"])
    if present != set(view):
        differing = sorted(present ^ set(view))
        raise TrackError(
            f"the account and the {view.modality} tracks disagree about {len(differing)} videos (the first is "
            f"{differing[0]}): run the extraction again, it computes only what is missing"
        )


def log_account(frame: pd.DataFrame) -> None:
    """Sum an account up in one line of the log."""
    present = frame[frame["status"] == "present"]
    counts = present.groupby("modality", sort=False).size()
    others = frame["status"].value_counts()
    logger.info(
        "Tracks present: %s (%d computed in this run); %d failed, %d absent",
        ", ".join(f"{modality} {count}" for modality, count in counts.items()) or "none",
        (present["reason"] == "computed in this run").sum(),
        *(others.get("failed", 0), others.get("absent", 0)),
    )
