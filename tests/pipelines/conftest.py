"""A feature store with synthetic tracks and labels, as ingestion and extraction would have left them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from mgn_ma.eev.frames import SPLITS
from mgn_ma.eev.targets import EEV
from mgn_ma.extractors.base import END_OF_TIME_US, START_OF_TIME_US, Clock, TrackRows
from mgn_ma.features.plan import source_digest, sources
from mgn_ma.features.settings import Modalities
from mgn_ma.features.store import TrackStore
from mgn_ma.features.track import Selection, Track, TrackFailure, TrackHeader
from mgn_ma.features.view import ModalityOnDisk, TrackView
from mgn_ma.grid import grid_time
from mgn_ma.modalities import BY_NAME
from mgn_ma.pipelines.ingestion.nodes import fingerprint_data

WIDTHS = {"image": 5, "audio": 4, "action": 3, "subtitle": 6, "title": 7}
CLOCKS: dict[str, Clock] = {
    "image": "grid", "audio": "patches", "action": "grid", "subtitle": "cues", "title": "whole",
}  # fmt: skip
TOLERANCES_US = {"image": 166_667, "audio": 960_000, "action": 166_667, "subtitle": 5_000_000, "title": 0}
DESCRIPTORS = {
    "image": "image_descriptor", "audio": "audio_descriptor", "action": "action_descriptor",
    "subtitle": "text_descriptor", "title": "text_descriptor",
}  # fmt: skip
SIZES = {"train": 7, "validation": 3, "test": 2, "holdout": 1}


@dataclass
class Extracted:
    """What stands before the pipelines under test.

    Attributes:
        labels: by split; test has no expressions.
        manifest: as much of it as tracks depend on.
        settings: the parameter ``modalities``.
        absent: (video, modality) pairs without a track, and why.
    """

    root: Path
    labels: dict[str, pd.DataFrame]
    account: pd.DataFrame
    manifest: pd.DataFrame
    settings: dict[str, Any]
    absent: dict[tuple[str, str], str] = field(default_factory=dict)

    def view(self, modality: str) -> TrackView:
        """The modality's tracks as its dataset loads them."""
        store = TrackStore(self.root)
        selection = store.selection(modality)
        assert selection is not None
        return TrackView(store, selection)

    def on_disk(self, modality: str) -> ModalityOnDisk:
        """The modality's folder."""
        return ModalityOnDisk(TrackStore(self.root), modality)

    @property
    def modalities(self) -> Modalities:
        """The parameter of that name."""
        return Modalities.model_validate(self.settings)

    @property
    def data_fingerprint(self) -> dict[str, Any]:
        """What ingestion makes of labels and manifest."""
        return fingerprint_data(*(self.labels[split] for split in SPLITS), self.manifest, *["digest"] * 3)


def _rows(modality: str, n_frames: int, theme: npt.NDArray[Any], signal: npt.NDArray[Any], random: Any) -> TrackRows:
    """Rows that show the video's theme, and, for the image, the frame's signal."""
    grid = grid_time(np.arange(n_frames + 1))
    if CLOCKS[modality] == "grid":
        starts, ends = grid[:-1], grid[1:]
    elif CLOCKS[modality] == "patches":
        starts = np.arange(0, grid[-1], 960_000)
        ends = starts + 960_000
    elif CLOCKS[modality] == "cues":
        starts = np.array([500_000, 2_000_000])
        ends = np.array([1_500_000, 2_600_000])
    else:
        starts, ends = np.array([START_OF_TIME_US]), np.array([END_OF_TIME_US])
    vectors = random.normal(scale=0.1, size=(len(starts), WIDTHS[modality]))
    vectors[:, :2] += theme
    if modality == "image":
        vectors[:, 2] += signal
    return TrackRows(starts, ends, vectors.astype(np.float32))


@pytest.fixture
def extracted(tmp_path: Path) -> Extracted:
    """Thirteen videos of two themes, which turn the reaction's sign; one failed, one is silent, one unavailable."""
    return make_extracted(tmp_path)


@pytest.fixture(scope="session")
def extracted_at() -> Callable[[Path], Extracted]:
    """Makes the same in a folder of one's own, for fixtures that tests share."""
    return make_extracted


def make_extracted(tmp_path: Path) -> Extracted:
    """Write the tracks below a folder."""
    random = np.random.default_rng(0)
    store = TrackStore(tmp_path / "04_feature")
    settings = {name: {"extractor": DESCRIPTORS[name], "tolerance_us": TOLERANCES_US[name]} for name in WIDTHS}
    fingerprints = {name: c.fingerprint() for name, c in Modalities.model_validate(settings).configs().items()}
    tracks: dict[str, list[Track]] = {name: [] for name in WIDTHS}
    absent, tables, videos = {}, {}, []
    for split, n_videos in SIZES.items():
        parts = []
        for number in range(n_videos):
            video_id = f"-{split}{number}"
            n_frames = int(random.integers(24, 40))
            theme, signal = np.eye(2)[number % 2], np.sin(np.arange(n_frames) / 4 + number)
            frames = pd.DataFrame({"video_id": video_id, "timestamp_us": [grid_time(i) for i in range(n_frames)]})
            if split != "test":
                reaction = 0.3 + 0.2 * signal * (1 if number % 2 else -1) + random.normal(scale=0.02, size=n_frames)
                frames[list(EEV.names)] = np.repeat(reaction[:, None], 15, axis=1).astype(np.float32)
                frames.loc[frames.index[:2], list(EEV.names)] = np.float32(0)
            parts.append(frames)
            videos.append(manifest_row(video_id, split, available=(split, number) != ("train", 6)))
            videos[-1]["has_audio"] = (split, number) != ("train", 1)
            for name in WIDTHS:
                if (split, number) == ("train", 6):
                    absent[video_id, name] = "the video is unavailable"
                elif (split, number, name) == ("train", 1, "audio"):
                    absent[video_id, name] = "the video has no audio"
                else:
                    digest = source_digest_of(videos[-1], name)
                    header = TrackHeader(video_id, name, CLOCKS[name], fingerprints[name], digest)
                    tracks[name].append(Track(header, _rows(name, n_frames, theme, signal, random)))
        tables[split] = pd.concat(parts, ignore_index=True)
    account = []
    for name, of_modality in tracks.items():
        wanted = {track.header.video_id: track.header.source_digest for track in of_modality}
        store.select(Selection(name, fingerprints[name], wanted))
        for track in of_modality:
            failed = (track.header.video_id, name) == ("-validation1", "action")
            if failed:
                header = track.header
                store.write_failure(
                    TrackFailure(header.video_id, name, header.fingerprint, header.source_digest, "broken")
                )
            else:
                store.write(track)
            account.append((track.header.video_id, name, "failed" if failed else "present", "", 0.0))
    account += [(video_id, name, "absent", reason, 0.0) for (video_id, name), reason in absent.items()]
    columns = ["video_id", "modality", "status", "reason", "seconds"]
    return Extracted(
        tmp_path / "04_feature",
        tables,
        pd.DataFrame(account, columns=columns),
        pd.DataFrame(videos),
        settings | {"video": {}},
        absent,
    )


def manifest_row(video_id: str, split: str, *, available: bool) -> dict[str, Any]:
    """A video with sound, captions and a title, or one that is unavailable."""
    return {
        "video_id": video_id,
        "split": split,
        "status": "available" if available else "unavailable",
        "reason": "" if available else "there is no file",
        "path": f"{video_id}.mp4" if available else "",
        "digest": f"digest of {video_id}" if available else "",
        "duration_us": 6_000_000,
        "has_audio": available,
        "captions_path": f"{video_id}.vtt" if available else "",
        "captions_digest": f"digest of {video_id}" if available else "",
        "title": f"title of {video_id}" if available else "",
    }


def source_digest_of(row: dict[str, Any], modality: str) -> str:
    """Of what a video's track of a modality is made from."""
    (video,) = sources(pd.DataFrame([row]))
    digest = source_digest(video, BY_NAME[modality].source or "video")
    assert digest is not None
    return digest
