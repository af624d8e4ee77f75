"""New videos through the ensemble to tables, moments and pages; what the pipeline and the command have in common."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mgn_ma.configuration import Configuration
from mgn_ma.errors import MGNMAError
from mgn_ma.execution import ExecutionConfig
from mgn_ma.execution.progress import progress
from mgn_ma.files import Folder
from mgn_ma.inference.finding import as_text
from mgn_ma.inference.model import Model
from mgn_ma.inference.moments import Moment, MomentsConfig, find_moments
from mgn_ma.inference.requests import contribution_columns, contribution_names
from mgn_ma.inference.videos import VideoInput, VideoOutcome, VideoPredictor, VideoSettings
from mgn_ma.media.fetch import hosts_of
from mgn_ma.redaction import redacted
from mgn_ma.reporting.exports import per_second
from mgn_ma.reporting.prediction_page import (
    INDEX,
    PageFolder,
    PageSettings,
    PredictedVideo,
    attention_at,
    caption_at,
    captions_of,
    contributions_at,
)
from mgn_ma.reporting.spreadsheets import for_spreadsheets

if TYPE_CHECKING:
    from mgn_ma.inference.predictor import VideoPrediction

logger = logging.getLogger(__name__)

ACCOUNT_COLUMNS = ("video_id", "video", "status", "reason", "seconds_of_video", "moments", "without", "page")


class PredictionError(MGNMAError):
    """Not one video could be predicted; the message gives the first reason."""


class PredictionSettings(Configuration):
    """The parameter ``prediction``.

    Attributes:
        videos: what to predict, see `mgn_ma.inference.finding.find_videos`.
        model: ``models:/<name>@<alias>``, ``models:/<name>/<version>``, or the folder of a bundle.
        caption_languages: which captions beside a video to take, in order of preference.
        reading: how videos are fetched and read.
        moments: when a rise is a moment.
        page: what pages are made.
    """

    videos: str | tuple[str, ...] = ()
    model: str = "models:/mgn-ma@champion"
    caption_languages: tuple[str, ...] = ("en",)
    reading: VideoSettings = VideoSettings()
    moments: MomentsConfig = MomentsConfig()
    page: PageSettings = PageSettings()

    def trusted_reading(self) -> VideoSettings:
        """``reading``, with leave to fetch from hosts that ``videos`` itself names, also private ones."""
        named = hosts_of([self.videos] if isinstance(self.videos, str) else self.videos)
        fetch = self.reading.fetch
        return self.reading.model_copy(
            update={"fetch": fetch.model_copy(update={"private_hosts": (*fetch.private_hosts, *named)})}
        )


@dataclass(frozen=True, slots=True)
class PredictedTables:
    """What came of a batch.

    Attributes:
        curves: frame table, float32: ``video_id``, ``timestamp_us`` and a column an expression.
        attention: the same frames with a column a modality: its share, the mean over the members.
        contributions: the same frames with a column a modality and expression; see
            `mgn_ma.inference.predictor.VideoPrediction`.
        moments: the model, what has to be told of it ("" for nothing), and by video its moments.
        account: one row a video, see ``ACCOUNT_COLUMNS``; ``status`` is ``predicted`` or ``failed``.
        index: HTML that lists the videos and links their pages.
    """

    curves: pd.DataFrame
    attention: pd.DataFrame
    contributions: pd.DataFrame
    moments: dict[str, Any]
    account: pd.DataFrame
    index: str


def predict_videos(
    bundle: Model,
    videos: Sequence[VideoInput],
    settings: PredictionSettings,
    *,
    execution: ExecutionConfig,
    tracks: str | Path,
    pages: str | Path,
    model: str,
    keep: Callable[[PredictedTables], None] | None = None,
) -> PredictedTables:
    """Predict videos and write their pages; one that fails is accounted for and stops no other.

    Args:
        videos: with distinct ids.
        execution: where extraction runs.
        tracks: root of the store of their tracks; those that are there are not made again.
        pages: local folder for pages.
        model: what results call the bundle.
        keep: gets what there is after a video, as often as that takes no more than a tenth of the time.

    Raises:
        ExtractorMismatchError: an extractor would not make the tracks that the bundle was trained on.
        WeightsError: weights of extractors are absent or wrong.
    """
    predictor = VideoPredictor(bundle, settings.trusted_reading(), execution)
    folder = PageFolder(pages, settings.page, bundle, model, execution)
    results = _Results(bundle)
    kept_at, keeping_s = 0.0, 0.0
    for outcome in progress(predictor.predict(videos, tracks, explain=True), len(videos), "videos done", unit="video"):
        if outcome.prediction is None or outcome.source is None:
            logger.warning("%s is not predicted: %s", outcome.video.video_id, outcome.reason)
            results.add_failure(outcome)
            folder.add_failure(outcome)
        else:
            moments = find_moments(
                outcome.prediction.timestamps_us,
                outcome.prediction.values,
                bundle.description.targets,
                settings.moments,
            )
            video = PredictedVideo(outcome, moments, captions_of(outcome.source))
            results.add(video, folder.add(video))
        if keep is not None and (now := time.monotonic()) - kept_at > 10 * keeping_s:
            keep(results.tables(model, folder.index()))
            kept_at = time.monotonic()
            keeping_s = kept_at - now
    return results.tables(model, folder.index())


def write_tables(tables: PredictedTables, root: str | Path) -> None:
    """Write everything but the pages into a folder, each file whole or not at all; the account comes last."""
    folder = Folder(root)
    parquet = {"curves": tables.curves, "attention": tables.attention, "contributions": tables.contributions}
    for name, table in parquet.items():
        folder.write(f"{name}.parquet", table.to_parquet(index=False))
    for name, table in {"curves": tables.curves, "seconds": per_second(tables.curves)}.items():
        folder.write(f"{name}.csv", for_spreadsheets(table).to_csv(index=False).encode())
    folder.write("moments.json", json.dumps(tables.moments, indent=1, ensure_ascii=False).encode())
    folder.write(INDEX, tables.index.encode())
    folder.write("account.csv", for_spreadsheets(tables.account).to_csv(index=False).encode())


def check_account(account: pd.DataFrame) -> None:
    """Fail a run in which not one video was predicted; what became of each is written by now.

    Raises:
        PredictionError: every video failed.
    """
    failed = account[account["status"] == "failed"]
    if len(failed) and len(failed) == len(account):
        first = failed.iloc[0]
        raise PredictionError(
            f"not one of {len(failed)} videos could be predicted; the first, {first['video']}: {first['reason']}"
        )


class _Results:
    """Gathers the tables of a batch."""

    def __init__(self, bundle: Model) -> None:
        self._bundle = bundle
        self._curves: list[pd.DataFrame] = []
        self._attention: list[pd.DataFrame] = []
        self._contributions: list[pd.DataFrame] = []
        self._moments: dict[str, list[dict[str, Any]]] = {}
        self._account: list[tuple[Any, ...]] = []

    def add(self, video: PredictedVideo, page: Path | None) -> None:
        outcome, prediction, source = video.outcome, video.outcome.prediction, video.outcome.source
        assert prediction is not None and source is not None  # noqa: S101
        video_id = outcome.video.video_id
        expressions, modalities = self._bundle.description.targets.names, self._bundle.modalities
        times_us = prediction.timestamps_us
        self._curves.append(_frames(video_id, times_us, expressions, prediction.values))
        self._attention.append(_frames(video_id, times_us, modalities, prediction.attention))
        contributions = contribution_columns(self._bundle, prediction)
        self._contributions.append(_frames(video_id, times_us, contribution_names(self._bundle), contributions))
        self._moments[video_id] = [_described(moment, video, prediction, self._bundle) for moment in video.moments]
        self._account.append(
            (
                video_id,
                redacted(as_text(outcome.video.path)),
                "predicted",
                "; ".join(outcome.notes),
                round((source.duration_us or 0) / 1e6, 3),
                len(video.moments),
                "; ".join(f"{name}: {reason}" for name, reason in outcome.lacking.items()),
                page.name if page is not None else "",
            )
        )

    def add_failure(self, outcome: VideoOutcome) -> None:
        row = (outcome.video.video_id, redacted(as_text(outcome.video.path)), "failed", outcome.reason, 0.0, 0, "", "")
        self._account.append(row)

    def tables(self, model: str, index: str) -> PredictedTables:
        return PredictedTables(
            _stacked(self._curves, self._bundle.description.targets.names),
            _stacked(self._attention, self._bundle.modalities),
            _stacked(self._contributions, contribution_names(self._bundle)),
            {"model": model, "caution": self._bundle.caution, "videos": self._moments},
            pd.DataFrame(self._account, columns=list(ACCOUNT_COLUMNS)),
            index,
        )


def _frames(video_id: str, times_us: np.ndarray[Any, Any], names: Sequence[str], values: Any) -> pd.DataFrame:
    table = pd.DataFrame(np.asarray(values, np.float32), columns=list(names))
    table.insert(0, "timestamp_us", times_us)
    table.insert(0, "video_id", video_id)
    return table


def _stacked(tables: Sequence[pd.DataFrame], names: Iterable[str]) -> pd.DataFrame:
    if not tables:
        return pd.DataFrame(columns=["video_id", "timestamp_us", *names])
    return pd.concat(tables, ignore_index=True)


def _described(moment: Moment, video: PredictedVideo, prediction: VideoPrediction, bundle: Model) -> dict[str, Any]:
    return asdict(moment) | {
        "contributions": contributions_at(prediction, bundle, moment),
        "attention": attention_at(prediction, bundle, moment.peak_us),
        "caption": caption_at(video.captions, moment.peak_us),
    }
