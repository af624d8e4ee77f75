"""Rows of a request, as tracks or videos: checked, because whoever asks is not the one who trained."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import Field

from mgn_ma.configuration import Configuration
from mgn_ma.errors import MGNMAError
from mgn_ma.extractors.base import END_OF_TIME_US, START_OF_TIME_US, TrackRows
from mgn_ma.grid import grid_timestamps_us
from mgn_ma.inference.model import Model, ModelPredictor
from mgn_ma.inference.videos import VideoInput, VideoPredictor
from mgn_ma.media.fetch import is_within

if TYPE_CHECKING:
    from mgn_ma.inference.predictor import VideoPrediction

TRACK_COLUMNS = ("video_id", "modality", "timestamp_us", "end_us", "vector")
VIDEO_COLUMNS = ("video_id", "video", "captions", "title")
REQUEST_COLUMNS = tuple(dict.fromkeys((*TRACK_COLUMNS, *VIDEO_COLUMNS)))
_FORM = f"it takes rows of tracks ({', '.join(TRACK_COLUMNS)}) or of videos ({', '.join(VIDEO_COLUMNS)})"
EXPLAIN = "explain"
"""The parameter of a request that asks for contributions."""
LONGEST_US = 24 * 3600 * 1_000_000
"""Of a video; a time beyond it is taken for a mistake in the unit."""


class RequestError(MGNMAError):
    """A request can't be answered; the message names the row and the value."""


class RequestTooLargeError(MGNMAError):
    """A request is within what can be answered but beyond what is; the message names the limit."""


class RequestLimits(Configuration):
    """What one request may ask for.

    Attributes:
        max_rows: of the request.
        max_seconds: of all its videos together; an answer has six rows a second.
    """

    max_rows: int = Field(default=100_000, gt=0)
    max_seconds: float = Field(default=4 * 3600, gt=0)

    def require_rows(self, rows: pd.DataFrame) -> None:
        """Raises: RequestTooLargeError."""
        if len(rows) > self.max_rows:
            raise RequestTooLargeError(f"the request has {len(rows)} rows, and this server takes {self.max_rows}")

    def require_length(self, length_us: int) -> None:
        """Raises: RequestTooLargeError."""
        if length_us > self.max_seconds * 1_000_000:
            raise RequestTooLargeError(
                f"the videos of the request are {length_us / 1e6:.0f} s long together, and this server takes "
                f"{self.max_seconds:g} s"
            )


def predict_tracks(
    predictor: ModelPredictor, rows: pd.DataFrame, limits: RequestLimits | None = None, *, explain: bool = False
) -> pd.DataFrame:
    """Answer rows of feature tracks.

    Args:
        predictor: whose bundle says which modalities there are, and how wide their vectors.
        rows: a row of a track each, ``TRACK_COLUMNS``. ``timestamp_us`` and ``end_us`` say when it holds (from the
            first, before the second); both are left out where it holds for the whole video.
        limits: of the request.
        explain: say what each modality contributes, too.

    Returns:
        A row a frame of the 6 Hz grid, from 0 to the end of the last row of each video.

    Raises:
        RequestError: something in it is missing or wrong.
        RequestTooLargeError: it asks for more than the limits.
        TracksMismatchError: vectors are of another width than the model was trained on.
    """
    limits = limits or RequestLimits()
    limits.require_rows(rows)
    _require_filled(rows, ("modality", "vector"))
    expected = predictor.bundle.description.extractors
    unknown = [name for name in rows["modality"].unique() if name not in expected]
    if unknown:
        raise RequestError(f"there is no modality {unknown[0]!r}: the model reads {', '.join(expected)}")
    videos = {}
    for video_id, of_video in _by_video(rows):
        tracks = {str(name): _track(part) for name, part in of_video.groupby("modality", sort=False)}
        videos[video_id] = tracks, _length_us(video_id, tracks)
    limits.require_length(sum(length_us for _, length_us in videos.values()))
    answers = [
        as_table(
            video_id,
            predictor.bundle,
            predictor.predict(video_id, tracks, grid_timestamps_us(length_us), explain=explain),
        )
        for video_id, (tracks, length_us) in videos.items()
    ]
    return pd.concat(answers, ignore_index=True)


def predict_videos(
    predictor: VideoPredictor,
    rows: pd.DataFrame,
    places: Sequence[str],
    limits: RequestLimits | None = None,
    *,
    explain: bool = False,
) -> pd.DataFrame:
    """Answer rows of videos.

    Args:
        predictor: which reads them.
        rows: a video each, ``VIDEO_COLUMNS``, of which only ``video`` (a path here, or a URL) has to be there. A video
            without a ``video_id`` is called by its address.
        places: folders and beginnings of URLs that everything read has to lie in.
        limits: of the request; those of a video's length are the predictor's, too.
        explain: say what each modality contributes, too.

    Returns:
        A row a frame of the 6 Hz grid over each video.

    Raises:
        RequestError: something in it is missing or wrong, or a video can't be predicted; the message says why.
        RequestTooLargeError: it asks for more than the limits.
    """
    limits = limits or RequestLimits()
    limits.require_rows(rows)
    videos = video_inputs(rows)
    for number, video in enumerate(videos):
        for address in filter(None, (video.path, video.captions)):
            if not any(is_within(address, place) for place in places):
                raise RequestError(f"row {number}: {address} is in no place that this server reads from")
    answers, length_us = [], 0
    for number, outcome in enumerate(predictor.predict(videos, explain=explain)):
        if outcome.prediction is None:
            raise RequestError(f"row {number}: {outcome.video.path} can't be predicted: {outcome.reason}")
        length_us += (outcome.source.duration_us or 0) if outcome.source is not None else 0
        limits.require_length(length_us)
        answers.append(as_table(outcome.video.video_id, predictor.bundle, outcome.prediction))
    return pd.concat(answers, ignore_index=True)


def video_inputs(rows: pd.DataFrame) -> list[VideoInput]:
    """The videos of a request.

    Raises:
        RequestError: a row has no video, a cell is no text, or two rows have one id.
    """
    _require_filled(rows, ("video",))
    texts = {column: _texts(rows, column) for column in VIDEO_COLUMNS}
    videos = [
        VideoInput(video_id=video_id or video, path=video, captions=captions, title=title)
        for video_id, video, captions, title in zip(*texts.values(), strict=True)
        if video is not None
    ]
    known: dict[str, int] = {}
    for number, video in enumerate(videos):
        if video.video_id in known:
            raise RequestError(f"rows {known[video.video_id]} and {number} have the video_id {video.video_id!r}")
        known[video.video_id] = number
    return videos


def as_table(video_id: str, bundle: Model, prediction: VideoPrediction) -> pd.DataFrame:
    """A row a frame: the expressions, each modality's share of the attention, and contributions where there are any."""
    table = pd.DataFrame({"video_id": video_id, "timestamp_us": prediction.timestamps_us})
    values = prediction.values.astype(np.float64)
    shares = prediction.attention.astype(np.float64)
    columns = dict(zip(bundle.description.targets.names, values.T, strict=True))
    columns |= dict(zip(map(attention_column, bundle.modalities), shares.T, strict=True))
    return pd.concat([table.assign(**columns), contribution_columns(bundle, prediction).astype(np.float64)], axis=1)


def attention_column(modality: str) -> str:
    """Name of the column with a modality's share of the attention."""
    return f"attention_{modality}"


def contribution_columns(bundle: Model, prediction: VideoPrediction) -> pd.DataFrame:
    """A row a frame and a column a modality and expression; no column where contributions were not asked for."""
    contributions = prediction.contributions
    names = contribution_names(bundle) if contributions.shape[1] else []
    return pd.DataFrame(contributions.reshape(len(contributions), len(names)), columns=names)


def contribution_names(bundle: Model) -> list[str]:
    """The columns with what a modality contributes to an expression, by modality."""
    return [
        f"contribution_{name}_{target}" for name in bundle.modalities for target in bundle.description.targets.names
    ]


def _require_filled(rows: pd.DataFrame, columns: tuple[str, ...]) -> None:
    if rows.empty:
        # MLflow takes away columns that it doesn't know, and with the last one the rows.
        raise RequestError(f"the request has no rows with a known column: {_FORM}")
    for column in columns:
        if column not in rows:
            raise RequestError(f"the column {column!r} is missing: {_FORM}")
        absent = np.flatnonzero(rows[column].isna() | (rows[column].astype(str) == ""))
        if len(absent):
            raise RequestError(f"row {int(absent[0])} has no {column}")


def _by_video(rows: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """The rows of each video, with their numbers in the request as the index."""
    numbered = rows.reset_index(drop=True)
    if "video_id" not in numbered:
        numbered["video_id"] = "video"
    for video_id, part in numbered.groupby(numbered["video_id"].fillna("video").astype(str), sort=False):
        yield str(video_id), part


def _texts(rows: pd.DataFrame, column: str) -> list[str | None]:
    """The cells of a column, ``None`` where there is nothing; an empty text is nothing."""
    if column not in rows:
        return [None] * len(rows)
    texts: list[str | None] = []
    for number, value in enumerate(rows[column]):
        is_absent = value is None or value == "" or (isinstance(value, float) and math.isnan(value))
        if not is_absent and not isinstance(value, str):
            raise RequestError(f"row {number}: {column} has to be text, not {_shown(value)}")
        texts.append(None if is_absent else value)
    return texts


def _track(rows: pd.DataFrame) -> TrackRows:
    vectors = [_vector(number, value) for number, value in rows["vector"].items()]
    widths = [len(vector) for vector in vectors]
    for number, width in zip(rows.index, widths, strict=True):
        if width != widths[0]:
            raise RequestError(f"row {number} has a vector of {width} numbers, rows before it of {widths[0]}")
    starts = _times(rows, "timestamp_us", START_OF_TIME_US)
    ends = _times(rows, "end_us", END_OF_TIME_US)
    order = np.argsort(starts, kind="stable")
    backwards = np.flatnonzero(ends <= starts)
    if len(backwards):
        first = int(backwards[0])
        raise RequestError(f"row {rows.index[first]} ends at {ends[first]} us, which is not after its timestamp_us")
    return TrackRows(starts[order], ends[order], np.stack(vectors)[order])


def _vector(number: Any, value: Any) -> npt.NDArray[np.float32]:
    try:
        vector = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise RequestError(f"row {number}: vector has to be a list of numbers, not {_shown(value)}") from None
    if vector.ndim != 1 or not len(vector) or not np.isfinite(vector).all():
        raise RequestError(f"row {number}: vector has to be a list of finite numbers, not {_shown(value)}")
    return vector.astype(np.float32)


def _times(rows: pd.DataFrame, column: str, absent: int) -> npt.NDArray[np.int64]:
    if column not in rows:
        return np.full(len(rows), absent, dtype=np.int64)
    return np.array([_time(number, column, value, absent) for number, value in rows[column].items()], dtype=np.int64)


def _time(number: Any, column: str, value: Any, absent: int) -> int:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return absent
    is_whole = not isinstance(value, bool) and isinstance(value, int | float | np.integer) and value == value // 1
    if not is_whole or not 0 <= value <= LONGEST_US:
        raise RequestError(
            f"row {number}: {column} has to be a whole number of microseconds in 0..{LONGEST_US}, not {_shown(value)}"
        )
    return int(value)


def _length_us(video_id: str, tracks: Mapping[str, TrackRows]) -> int:
    ends = [int(rows.ends_us.max()) for rows in tracks.values() if rows.ends_us.max() < END_OF_TIME_US]
    if not ends:
        raise RequestError(f"video {video_id}: no row has an end_us, so nobody knows how long the video is")
    return max(ends)


def _shown(value: Any, limit: int = 80) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[:limit] + " …"
