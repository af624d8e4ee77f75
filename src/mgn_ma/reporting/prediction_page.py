"""From a predicted video to its page: thumbnails and captions at the moments, the model's facts, the video itself."""

from __future__ import annotations

import base64
import filecmp
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

import numpy as np
import numpy.typing as npt
from pydantic import Field

from mgn_ma.configuration import Configuration
from mgn_ma.eev.video_ids import file_name_of
from mgn_ma.execution import ExecutionConfig
from mgn_ma.features.inspection import take_thumbnails
from mgn_ma.files import Folder, atomic_path
from mgn_ma.inference.model import Model
from mgn_ma.inference.moments import Moment
from mgn_ma.inference.videos import VideoOutcome
from mgn_ma.media.errors import MediaError
from mgn_ma.media.fetch import is_remote
from mgn_ma.media.source import VideoSource
from mgn_ma.media.subtitles import read_captions
from mgn_ma.modalities import BY_NAME
from mgn_ma.redaction import redacted
from mgn_ma.reporting.exports import chapters, markers
from mgn_ma.reporting.page import PageMoment, PageVideo, render_index, render_page

if TYPE_CHECKING:
    from mgn_ma.inference.predictor import VideoPrediction

INDEX = "index.html"
PAGES = "pages"
"""Folder beside the index in which the pages are."""
_TYPES = {".webm": "video/webm", ".mkv": "video/x-matroska", ".mov": "video/quicktime"}


class PageSettings(Configuration):
    """What pages are made, and where a page's video is.

    Attributes:
        write: whether pages are made at all.
        embed_up_to_mib: a video of up to so many MiB stands in the page itself, which grows by a third more than that.
        beside: a larger one is copied beside the page, or the page links to where it is. What was fetched is copied.
        thumbnail_width: longer side of the moments' pictures, in pixels.
    """

    write: bool = True
    embed_up_to_mib: float = Field(default=16.0, ge=0)
    beside: Literal["copy", "link"] = "copy"
    thumbnail_width: int = Field(default=320, ge=16, le=1920)


@dataclass(frozen=True, slots=True)
class PredictedVideo:
    """A prediction with what was read from it.

    Attributes:
        captions: (start_us, end_us, text) each.
    """

    outcome: VideoOutcome
    moments: Sequence[Moment]
    captions: Sequence[tuple[int, int, str]]


def captions_of(source: VideoSource) -> list[tuple[int, int, str]]:
    """(start_us, end_us, text) of a video's captions; none where there are none that can be read."""
    if source.captions_path is None:
        return []
    try:
        return [(cue.start_us, cue.end_us, cue.text) for cue in read_captions(source.captions_path)]
    except MediaError:
        return []


def caption_at(captions: Sequence[tuple[int, int, str]], time_us: int) -> str:
    """What is said at a time, or ""."""
    return next((text for start_us, end_us, text in captions if start_us <= time_us < end_us), "")


def contributions_at(prediction: VideoPrediction, bundle: Model, moment: Moment) -> dict[str, float]:
    """What each modality contributes to the moment's expression at its peak."""
    of_expression = prediction.contributions[:, :, bundle.description.targets.names.index(moment.expression)]
    return _at(prediction, bundle, of_expression, moment.peak_us)


def attention_at(prediction: VideoPrediction, bundle: Model, time_us: int) -> dict[str, float]:
    """Attention share of each modality in the frame that a time of the grid belongs to."""
    return _at(prediction, bundle, prediction.attention, time_us)


def _at(
    prediction: VideoPrediction, bundle: Model, of_frames: npt.NDArray[np.float32], time_us: int
) -> dict[str, float]:
    frame = int(np.searchsorted(prediction.timestamps_us, time_us, side="right")) - 1
    return {name: float(value) for name, value in zip(bundle.modalities, of_frames[max(frame, 0)], strict=True)}


class PageFolder:
    """Writes pages into a folder, and the index of them.

    Args:
        root: a local folder; made with the first page.
        model: what the pages call the bundle.
        execution: where pictures are taken of a video.
    """

    def __init__(
        self, root: str | Path, settings: PageSettings, bundle: Model, model: str, execution: ExecutionConfig
    ) -> None:
        self.root = Path(root)
        self._settings = settings
        self._execution = execution
        self._bundle = bundle
        self._facts = {"Model": model}
        # Where the model's idea of a viewer comes from, without which its score says little.
        if trained_on := bundle.description.trained_on:
            self._facts["Trained on"] = trained_on
        self._facts |= _score_facts(bundle.description.scores)
        self._entries: list[Mapping[str, object]] = []

    def add(self, video: PredictedVideo) -> Path | None:
        """Write a video's page, chapters and markers, if pages are wanted, and the video if it has to be beside."""
        outcome, n_moments = video.outcome, len(video.moments)
        entry = {
            "title": outcome.source.title or "" if outcome.source else "",
            "video_id": outcome.video.video_id,
            "duration": clock_text(outcome.source.duration_us or 0) if outcome.source else "",
            "moments": "1 moment" if n_moments == 1 else f"{n_moments} moments",
        }
        if not self._settings.write:
            self._entries.append(entry)
            return None
        name, pages = file_name_of(outcome.video.video_id), self.root / PAGES
        pages.mkdir(parents=True, exist_ok=True)
        page = self._page(video, browser_address(outcome, self._settings, pages, name))
        Folder(pages).write(f"{name}.html", render_page(page).encode())
        Folder(pages).write(f"{name}.vtt", chapters(video.moments).encode())
        for suffix, content in self._markers(video, name).items():
            Folder(pages).write(f"{name}{suffix}", content.encode())
        self._entries.append(entry | {"href": f"{PAGES}/{quote(name)}.html"})
        return pages / f"{name}.html"

    def add_failure(self, outcome: VideoOutcome) -> None:
        """List a video that could not be predicted."""
        entry = {"video_id": outcome.video.video_id, "title": outcome.video.title or "", "error": outcome.reason}
        self._entries.append(entry)

    def index(self) -> str:
        """The page that lists all that were added, in their order."""
        return render_index(self._entries)

    def _markers(self, video: PredictedVideo, name: str) -> dict[str, str]:
        outcome, path = video.outcome, video.outcome.video.path
        address = redacted(path) if is_remote(path) else Path(path).absolute().as_uri()
        duration_us = (outcome.source.duration_us or 0) if outcome.source else 0
        return markers(video.moments, name, address, duration_us, outcome.fps)

    def _page(self, video: PredictedVideo, address: str | None) -> PageVideo:
        outcome, prediction, source = video.outcome, video.outcome.prediction, video.outcome.source
        assert prediction is not None and source is not None  # noqa: S101
        targets, modalities = self._bundle.description.targets, self._bundle.modalities
        pictures = self._thumbnails(source, video.moments)
        return PageVideo(
            video_id=outcome.video.video_id,
            title=source.title or "",
            source=address,
            timestamps_us=prediction.timestamps_us,
            curve_range=(targets.minimum, targets.maximum),
            curves=dict(zip(targets.names, prediction.values.T, strict=True)),
            attention={
                modality_label(name): shares for name, shares in zip(modalities, prediction.attention.T, strict=True)
            },
            moments=[
                PageMoment(
                    expression=moment.expression,
                    start_us=moment.start_us,
                    peak_us=moment.peak_us,
                    end_us=moment.end_us,
                    value=moment.value,
                    height=moment.height,
                    contributions={
                        modality_label(name): value
                        for name, value in contributions_at(prediction, self._bundle, moment).items()
                    },
                    thumbnail=pictures.get(moment.peak_us),
                    caption=caption_at(video.captions, moment.peak_us),
                )
                for moment in video.moments
            ],
            captions=video.captions,
            facts=self._facts | _video_facts(outcome),
            caution=self._bundle.caution,
            index=f"../{INDEX}",
        )

    def _thumbnails(self, source: VideoSource, moments: Sequence[Moment]) -> dict[int, bytes]:
        if source.video_path is None or not moments:
            return {}
        peaks_us = [moment.peak_us for moment in moments]
        return take_thumbnails(source.video_path, peaks_us, self._settings.thumbnail_width, self._execution)


def browser_address(outcome: VideoOutcome, settings: PageSettings, pages: Path, name: str) -> str | None:
    """Where the browser finds a video from a page in ``pages``: in the page itself, or beside it as ``name``."""
    if outcome.source is None or outcome.source.video_path is None:
        return None
    video = Path(outcome.source.video_path)
    kind = _TYPES.get(video.suffix.lower(), "video/mp4")
    if video.stat().st_size <= settings.embed_up_to_mib * 2**20:
        return f"data:{kind};base64,{base64.b64encode(video.read_bytes()).decode('ascii')}"
    if settings.beside == "link" and not is_remote(outcome.video.path):
        relative = os.path.relpath(Path(outcome.video.path).absolute(), pages.absolute())
        return quote(os.fsencode(relative))
    copy = pages / f"{name}{video.suffix if video.suffix[1:].isalnum() else ''}"
    if not (copy.exists() and filecmp.cmp(copy, video)):
        with atomic_path(copy) as unfinished:
            shutil.copyfile(video, unfinished)
            os.utime(unfinished, ns=(video.stat().st_atime_ns, video.stat().st_mtime_ns))
    return quote(copy.name)


def modality_label(modality: str) -> str:
    """What readers take a modality for; a model may read one that this machine has no package for."""
    return (modality in BY_NAME and BY_NAME[modality].label) or modality


def _score_facts(scores: Mapping[str, Any]) -> dict[str, str]:
    """The scores as sentences, as far as the bundle knows them."""
    holdout = scores.get("holdout") or {}
    shown = {
        "Correlation on its validation videos": (scores.get("validation"), scores.get("interval") or {}),
        "Correlation on hold-out videos, which chose nothing": (holdout.get("estimate"), holdout),
    }
    facts = {}
    for what, (score, interval) in shown.items():
        if score is not None:
            facts[what] = f"{score:.3f}"
            # A single video has a score and no interval.
            if interval.get("low") is not None:
                facts[what] += f" (95 %: {interval['low']:.3f} to {interval['high']:.3f})"
    return facts


def _video_facts(outcome: VideoOutcome) -> dict[str, str]:
    assert outcome.source is not None  # noqa: S101
    facts = {"Length": clock_text(outcome.source.duration_us or 0)}
    if outcome.lacking:
        facts["Predicted without"] = "; ".join(
            f"{modality_label(name)} ({reason})" for name, reason in outcome.lacking.items()
        )
    if outcome.notes:
        facts["Note"] = "; ".join(outcome.notes)
    return facts


def clock_text(time_us: int) -> str:
    """As players show it: whole seconds that have passed; of less than ten, tenths."""
    if time_us < 10_000_000:
        return f"{time_us // 100_000 / 10:.1f} s"
    seconds = time_us // 1_000_000
    hours, minutes = divmod(seconds // 60, 60)
    return f"{hours}:{minutes:02d}:{seconds % 60:02d}" if hours else f"{minutes}:{seconds % 60:02d}"
