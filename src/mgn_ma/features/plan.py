"""What an extraction has to do: which tracks are wanted, which are there, and who has nothing to make one from."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import pandas as pd

from mgn_ma.configuration import Configuration
from mgn_ma.extractors.base import ExtractorConfig, Source
from mgn_ma.extractors.pretrained import WeightsError
from mgn_ma.features.arrow import Dtype
from mgn_ma.features.settings import Modalities
from mgn_ma.features.track import Selection, TrackError
from mgn_ma.features.view import ModalityOnDisk, TrackView
from mgn_ma.media.source import VideoSource
from mgn_ma.modalities import BY_NAME, EXTRACTED, VIDEO
from mgn_ma.modality import Granularity

logger = logging.getLogger(__name__)

_LACKING: dict[Source, str] = {
    "video": "there is no video",
    "audio": "the video has no audio",
    "captions": "there are no captions",
    "title": "there is no title",
}


class ExtractionSettings(Configuration):
    """The parameter ``extraction``.

    Attributes:
        retry_failed: try again what failed for good, although neither the file nor the extractor has changed.
        verify: read every track and packed split on disk whole and compare its checksum before it is trusted;
            otherwise a track's footer, and the end of an array.
        calibration_seconds: of each video that the estimate tries, how much.
    """

    retry_failed: bool = False
    verify: bool = False
    calibration_seconds: float = 4.0


@dataclass(frozen=True, slots=True)
class ExtractionPlan:
    """One modality's extraction, before it starts.

    Attributes:
        config: of the extractor; ``None`` for a modality that is absent.
        selection: the tracks that must be there in the end.
        todo: the videos to work on now.
        kept: wanted videos whose track is there already.
        known_failures: how many wanted videos failed before and are not tried again.
        absent: video -> why it can't have a track.
        video_ids: all videos of the manifest, in its order.
        dtype: of the vectors on disk.
    """

    config: ExtractorConfig | None
    selection: Selection
    todo: tuple[VideoSource, ...]
    kept: frozenset[str]
    known_failures: int
    absent: Mapping[str, str]
    video_ids: tuple[str, ...]
    dtype: Dtype

    @property
    def modality(self) -> str:
        """Whose extraction this is."""
        return self.selection.modality

    @property
    def extractor(self) -> str:
        """Name of the extractor."""
        return self.config.name if self.config is not None else "none"

    @property
    def isolated(self) -> bool:
        """Whether it has to run in a process that may crash."""
        return self.config is not None and self.config.ISOLATED


def make_plan(
    manifest: pd.DataFrame, config: ExtractorConfig, on_disk: ModalityOnDisk, settings: ExtractionSettings
) -> ExtractionPlan:
    """Compare what is wanted with what is there, by extractor fingerprint and source digest.

    A damaged file counts as missing. What failed is tried again if the failure was transient, if the source or the
    extractor has changed since, or if the settings say so.

    Args:
        manifest: one row a video; see :func:`sources`.
        config: of the extractor.
        on_disk: the modality's part of the store.
        settings: what to trust and what to try again.

    Raises:
        WeightsError: the fingerprint depends on weights that are absent.
    """
    available = {video.video_id: video for video in sources(manifest)}
    wanted = _wanted(available, config.source)
    absent = {}
    for video_id, reason in zip(manifest["video_id"], manifest["reason"], strict=True):
        if video_id not in available:
            absent[video_id] = f"the video is unavailable: {reason}" if reason else "the video is unavailable"
        elif video_id not in wanted:
            absent[video_id] = _LACKING[config.source]
    selection = Selection(on_disk.modality, config.fingerprint(), wanted)
    view = on_disk.view(selection, verify=settings.verify)
    again = {v for v, failure in view.failures.items() if failure.transient or settings.retry_failed}
    missing = again.union(view.missing)
    return ExtractionPlan(
        config=config,
        selection=selection,
        todo=tuple(available[video_id] for video_id in wanted if video_id in missing),
        kept=frozenset(view),
        known_failures=len(view.failures) - len(again),
        absent=absent,
        video_ids=tuple(manifest["video_id"]),
        dtype=on_disk.store.dtype,
    )


def require_planned(views: Sequence[TrackView], manifest: pd.DataFrame, modalities: Modalities) -> None:
    """Refuse tracks that an extraction would not plan now: of another extractor, or of other files.

    Raises:
        TrackError: the message names the first modality, what differs, and the command that makes all tracks anew.
    """
    differing = {view.modality: what for view in views if (what := _difference(view, manifest, modalities))}
    if differing:
        first, what = next(iter(differing.items()))
        anew = {BY_NAME[name].granularity for name in differing} | {VIDEO.granularity}
        pipelines = [f"{granularity}_features" for granularity in get_args(Granularity) if granularity in anew]
        raise TrackError(f"the {first} tracks {what}: run `kedro run --pipelines {','.join(pipelines)},model_input`")


def _difference(view: TrackView, manifest: pd.DataFrame, modalities: Modalities) -> str | None:
    """What differs between the tracks and those that would be planned now."""
    name = view.modality
    if (name in modalities) != bool(view.fingerprint):
        return f"were made when modalities.{name} was {'absent' if name in modalities else 'there'}"
    if name not in modalities or name not in EXTRACTED:
        return None
    config = modalities.config(name)
    if fingerprint_if_known(config) not in (None, view.fingerprint):
        return f"are of another extractor, or other settings, than modalities.{name} has"
    wanted, was = _wanted({video.video_id: video for video in sources(manifest)}, config.source), view.selection.wanted
    others = [video_id for video_id in {**wanted, **was} if wanted.get(video_id) != was.get(video_id)]
    return f"are of other files than the manifest has ({len(others)}, the first is of {others[0]})" if others else None


def fingerprint_if_known(config: ExtractorConfig) -> str | None:
    """The extractor's fingerprint; ``None`` on a machine that reads tracks only and lacks the weights that it takes."""
    try:
        return config.fingerprint()
    except WeightsError:
        return None


def plan_absent(manifest: pd.DataFrame, on_disk: ModalityOnDisk) -> ExtractionPlan:
    """The plan of a modality that is left out of the parameter ``modalities``: no video has it."""
    video_ids = tuple(manifest["video_id"])
    reason = f"the modality is absent: modalities.{on_disk.modality} is null or left out"
    return ExtractionPlan(
        config=None,
        selection=Selection.from_absent(on_disk.modality),
        todo=(),
        kept=frozenset(),
        known_failures=0,
        absent=dict.fromkeys(video_ids, reason),
        video_ids=video_ids,
        dtype=on_disk.store.dtype,
    )


def sources(manifest: pd.DataFrame) -> list[VideoSource]:
    """The available videos of a manifest as extractors see them, in its order."""
    available = manifest[manifest["status"] == "available"]
    return [
        VideoSource(
            video_id=row["video_id"],
            video_path=_or_none(row["path"]),
            video_digest=_or_none(row["digest"]),
            duration_us=None if pd.isna(row["duration_us"]) else int(row["duration_us"]),
            has_audio=not pd.isna(row["has_audio"]) and bool(row["has_audio"]),
            captions_path=_or_none(row["captions_path"]),
            captions_digest=_or_none(row["captions_digest"]),
            title=_or_none(row["title"]),
        )
        for row in available.to_dict("records")
    ]


def _wanted(available: Mapping[str, VideoSource], source: Source) -> dict[str, str]:
    digests = {video_id: source_digest(video, source) for video_id, video in available.items()}
    return {video_id: digest for video_id, digest in digests.items() if digest is not None}


def source_digest(video: VideoSource, source: Source) -> str | None:
    """Digest of what a track of that source is made from; ``None`` where the video has nothing of the kind."""
    if source == "title":
        return hashlib.sha256(video.title.encode()).hexdigest() if video.title else None
    if source == "captions":
        return video.captions_digest if video.captions_path else None
    if source == "audio" and not video.has_audio:
        return None
    return video.video_digest if video.video_path else None


def log_plan(plan: ExtractionPlan) -> None:
    """Tell the log what will be done, before it is; at level INFO where something is given up."""
    parts = [f"{len(plan.selection.wanted)} wanted", f"{len(plan.kept)} there already"]
    if plan.known_failures:
        parts.append(f"{plan.known_failures} failed before and are not tried again (extraction.retry_failed)")
    parts.append(f"{len(plan.todo)} to do" if plan.todo else "nothing to do")
    level = logging.INFO if plan.known_failures else logging.DEBUG
    logger.log(level, "%s tracks by %s: %s", plan.modality, plan.extractor, ", ".join(parts))


def hours(videos: Sequence[VideoSource]) -> float:
    """Playing time of videos, those of unknown length left out."""
    return sum(video.duration_us or 0 for video in videos) / 3.6e9


def _or_none(value: Any) -> str | None:
    return None if value is None or pd.isna(value) or value == "" else str(value)
