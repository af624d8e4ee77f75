"""From video files to the ensemble's curves: the chain's own extraction, checked against what the model was trained on.

Videos go group by group through fetching, extraction and prediction, so that neither files that were fetched nor
decoded frames pile up. Tracks go through a track store as in the chain, with the same precision; one that is there
already is not made again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pandas as pd
from pydantic import Field

from mgn_ma.configuration import Configuration
from mgn_ma.eev.video_ids import file_name_of
from mgn_ma.errors import MGNMAError
from mgn_ma.execution import ExecutionConfig
from mgn_ma.extractors.base import ExtractorConfig
from mgn_ma.extractors.pretrained import Pretrained, WeightsError
from mgn_ma.extractors.weights import require_weights
from mgn_ma.features.extraction import extract
from mgn_ma.features.inspection import inspect_videos
from mgn_ma.features.plan import ExtractionPlan, ExtractionSettings, make_plan, sources
from mgn_ma.features.store import TrackStore
from mgn_ma.features.view import ModalityOnDisk, TrackView
from mgn_ma.grid import grid_timestamps_us
from mgn_ma.inference.model import Model
from mgn_ma.media.errors import MediaError
from mgn_ma.media.fetch import FetchConfig, fetch, is_remote
from mgn_ma.media.folder import CaptionsFile, MediaFiles, plain_title
from mgn_ma.media.inspection import LONGEST_S
from mgn_ma.media.manifest import manifest_of_files
from mgn_ma.media.source import VideoSource
from mgn_ma.temporary import temporary_folder

if TYPE_CHECKING:
    from mgn_ma.inference.predictor import VideoPrediction

_LONGEST_SUFFIX = 12


class ExtractorMismatchError(MGNMAError):
    """What would extract here is not what the model was trained on; the message names both."""


class VideoSettings(Configuration):
    """How new videos are read and predicted.

    Attributes:
        device: of the ensemble; the extractors' own is in the model.
        weights: folder in which the extractors' weights are looked for by their file names, where they are not at the
            place that the model names.
        videos_at_a_time: size of a group; all that is fetched of one group is on disk at the same time.
        retry_failed: try again what failed for good although neither the file nor the extractor has changed.
        max_seconds: a longer video is not read; ``None`` for any length.
        fetch: limits of fetching.
    """

    device: str = "auto"
    weights: str | None = None
    videos_at_a_time: int = Field(default=16, ge=1)
    retry_failed: bool = False
    max_seconds: float | None = Field(default=LONGEST_S, gt=0)
    fetch: FetchConfig = FetchConfig()


@dataclass(frozen=True, slots=True)
class VideoInput:
    """A video to predict.

    Attributes:
        video_id: any text; what the results call it.
        path: local path or fsspec URL.
        captions: local path or fsspec URL of a WebVTT, SubRip or json3 file.
        title: of the video, which the model may read.
        note: what is odd about what was found beside it.
    """

    video_id: str
    path: str
    captions: str | None = None
    title: str | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class VideoOutcome:
    """What became of one video.

    Attributes:
        source: the files that were read, local ones; those that were fetched are gone when the next outcome is asked
            for. ``None`` for a video that can't be read.
        prediction: on the 6 Hz grid over the video's length; ``None`` where there is none.
        reason: why there is no prediction, else "".
        lacking: modality -> why the prediction does without it.
        notes: what is odd but not fatal.
        fps: average frames a second of the file; 0.0 where unknown.
    """

    video: VideoInput
    source: VideoSource | None = None
    prediction: VideoPrediction | None = None
    reason: str = ""
    lacking: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()
    fps: float = 0.0


class VideoPredictor:
    """A loaded model with the extractors that it needs, which run as ``execution`` says.

    Raises:
        ExtractorMismatchError: an extractor would not make the tracks that the bundle was trained on.
        WeightsError: weights of extractors are absent or wrong; the message names all of them.
    """

    def __init__(
        self,
        bundle: Model,
        settings: VideoSettings | None = None,
        execution: ExecutionConfig | None = None,
    ) -> None:
        self.bundle = bundle
        self._settings = settings or VideoSettings()
        self._execution = execution or ExecutionConfig()
        self._extractors = checked_extractors(bundle, self._settings.weights)
        self._weights_are_checked = False
        self._predictor = bundle.predictor(self._settings.device)

    def predict(
        self, videos: Sequence[VideoInput], store: str | Path | None = None, *, explain: bool = False
    ) -> Iterator[VideoOutcome]:
        """Predict videos; one that can't be predicted has an outcome that says why, and stops no other.

        Args:
            videos: with distinct ids.
            store: root of a track store in which tracks are looked for and kept, a local path or an fsspec URL. By
                default they are gone in the end.
            explain: find what each modality contributes.

        Yields:
            One outcome a video, in their order.

        Raises:
            ValueError: two videos have one id.
        """
        ids = [video.video_id for video in videos]
        if len(set(ids)) < len(ids):
            twice = next(video_id for video_id in ids if ids.count(video_id) > 1)
            raise ValueError(f"two videos have the id {twice!r}")
        with ExitStack() as stack:
            root = store or stack.enter_context(temporary_folder("tracks"))
            tracks = TrackStore(root)
            size = self._settings.videos_at_a_time
            for start in range(0, len(videos), size):
                group = videos[start : start + size]
                with temporary_folder("videos") as folder:
                    files = [_local_files(video, folder, self._settings.fetch) for video in group]
                    yield from self._of_group(files, tracks, explain=explain)

    def _of_group(self, group: Sequence[_LocalVideo], store: TrackStore, *, explain: bool) -> Iterator[VideoOutcome]:
        manifest = _manifest(group, self._execution, self._settings.max_seconds)
        views, plans = self._extracted(manifest, store)
        found = {source.video_id: source for source in sources(manifest)}
        rows = manifest.set_index("video_id")
        fps = rows["fps"].to_dict()
        for local in group:
            if local.files is None:
                yield VideoOutcome(local.video, reason=local.problem)
            elif local.name not in found:
                yield VideoOutcome(local.video, reason=str(rows.at[local.name, "reason"]))
            else:
                found_out = (local.video.note, local.problem, str(rows.at[local.name, "note"]))
                notes = [note for note in found_out if note]
                outcome = self._outcome(local.video, found[local.name], views, plans, notes, explain=explain)
                yield replace(outcome, fps=fps[local.name])

    def _extracted(
        self, manifest: pd.DataFrame, store: TrackStore
    ) -> tuple[dict[str, TrackView], dict[str, ExtractionPlan]]:
        settings = ExtractionSettings(retry_failed=self._settings.retry_failed)
        plans = plan_tracks(manifest, self._extractors, store, settings)
        if not self._weights_are_checked and any(plan.todo for plan in plans.values()):
            require_weights(self._extractors)
            self._weights_are_checked = True
        return make_tracks(plans, store, self._execution), plans

    def _outcome(
        self,
        video: VideoInput,
        source: VideoSource,
        views: Mapping[str, TrackView],
        plans: Mapping[str, ExtractionPlan],
        notes: Sequence[str],
        *,
        explain: bool,
    ) -> VideoOutcome:
        name = source.video_id
        tracks = {modality: view.read(name) for modality, view in views.items() if name in view}
        lacking = {
            modality: view.failures[name].reason if name in view.failures else plans[modality].absent[name]
            for modality, view in views.items()
            if modality not in tracks
        }
        if all(track.header.clock == "whole" for track in tracks.values()):
            because = "; ".join(f"{modality}: {reason}" for modality, reason in lacking.items())
            return VideoOutcome(video, source, None, f"nothing of it can be followed in time ({because})", lacking)
        rows = {modality: track.rows for modality, track in tracks.items()}
        grid = grid_timestamps_us(source.duration_us or 0)
        prediction = self._predictor.predict(video.video_id, rows, grid, explain=explain)
        if prediction.standard_error > 0:
            error = f"contributions are estimates, with a standard error of {prediction.standard_error:.2g} at most"
            notes = [*notes, error]
        return VideoOutcome(video, source, prediction, "", lacking, notes)


def plan_tracks(
    manifest: pd.DataFrame, extractors: Mapping[str, ExtractorConfig], store: TrackStore, settings: ExtractionSettings
) -> dict[str, ExtractionPlan]:
    """By modality, which tracks of a manifest's videos are not in a store yet."""
    return {
        name: make_plan(manifest, config, ModalityOnDisk(store, name), settings) for name, config in extractors.items()
    }


def make_tracks(
    plans: Mapping[str, ExtractionPlan], store: TrackStore, execution: ExecutionConfig
) -> dict[str, TrackView]:
    """Carry plans out and keep what comes; by modality, what is there in the end."""
    for plan in plans.values():
        for result in extract(plan, execution):
            store.keep(result)
    return {name: ModalityOnDisk(store, name).view(plan.selection) for name, plan in plans.items()}


def checked_extractors(bundle: Model, weights: str | None = None) -> dict[str, ExtractorConfig]:
    """The extractors of a bundle by modality, each found to be the one that the bundle was trained with.

    For ``weights`` see :class:`VideoSettings`.

    Raises:
        ExtractorMismatchError: one makes other tracks now than it made then.
        WeightsError: weights are absent; the message names all of them.
    """
    configs = {name: _relocated(config, weights) for name, config in bundle.configs().items()}
    try:
        fingerprints = {name: config.fingerprint() for name, config in configs.items()}
    except WeightsError:
        require_weights(configs)
        raise
    for name, contract in bundle.description.extractors.items():
        if fingerprints[name] != contract.fingerprint:
            raise ExtractorMismatchError(
                f"{name}: the model was trained on tracks of {configs[name].name} {contract.fingerprint[:12]}, and "
                f"what would run here is {configs[name].name} {fingerprints[name][:12]}: its weights or its version "
                "differ. Use the weights that the model was trained with, or train it again with these"
            )
    return configs


def _relocated(config: ExtractorConfig, weights: str | None) -> ExtractorConfig:
    """The same extractor with weights from another folder, where they aren't in their place."""
    if weights is None:
        return config
    moved = {}
    for name in type(config).model_fields:
        pretrained = getattr(config, name)
        if isinstance(pretrained, Pretrained) and pretrained.path is not None and not Path(pretrained.path).exists():
            moved[name] = pretrained.model_copy(update={"path": str(Path(weights) / Path(pretrained.path).name)})
    return config.model_copy(update=moved)


@dataclass(frozen=True, slots=True)
class _LocalVideo:
    """A video whose files are on this machine.

    Attributes:
        name: its id as a file name; what tracks and the manifest call it.
        files: ``None`` where the video is not to be had.
        problem: why it isn't, or why its captions aren't.
    """

    video: VideoInput
    name: str
    files: MediaFiles | None
    problem: str = ""


def _local_files(video: VideoInput, folder: Path, config: FetchConfig) -> _LocalVideo:
    """Fetch what is elsewhere into ``folder``."""
    name, problem = file_name_of(video.video_id), ""
    captions: tuple[CaptionsFile, ...] = ()
    try:
        path = _local(video.path, folder, f"{name}.video", config)
    except MediaError as error:
        return _LocalVideo(video, name, None, error.reason)
    if video.captions is not None:
        try:
            captions = (CaptionsFile(_local(video.captions, folder, f"{name}.captions", config)),)
        except MediaError as error:
            problem = str(error)
    return _LocalVideo(video, name, MediaFiles(path, captions), problem)


def _local(path: str, folder: Path, name: str, config: FetchConfig) -> str:
    """A path of this machine that means this file to every reader."""
    if is_remote(path):
        place = folder / f"{name}{Path(urlsplit(path).path).suffix[:_LONGEST_SUFFIX]}"
        fetch(path, place, config)
        return str(place)
    absolute = Path(path).absolute()
    if "::" not in str(absolute) and str(absolute).isprintable():
        return str(absolute)
    # fsspec takes a double colon for two addresses, and tables hold text only.
    place = folder / f"{name}{absolute.suffix if absolute.suffix.isprintable() else ''}"
    place.symlink_to(absolute)
    return str(place)


def _manifest(group: Sequence[_LocalVideo], execution: ExecutionConfig, max_seconds: float | None) -> pd.DataFrame:
    """The group as extraction wants it, without those that could not be fetched."""
    here = {local.name: local for local in group if local.files is not None}
    files = {name: local.files for name, local in here.items() if local.files is not None}
    manifest = manifest_of_files(files, partial(inspect_videos, execution=execution, max_seconds=max_seconds))
    manifest["title"] = [plain_title(here[name].video.title or "") for name in manifest["video_id"]]
    return manifest
