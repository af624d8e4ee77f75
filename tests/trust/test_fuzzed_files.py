"""Damaged tables, texts, tracks, checkpoints and descriptions: each is read right or refused in words, at once."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import example_model
import numpy as np
import pandas as pd
import pytest
import torch
from counts import FILES, SEED
from mutation import BINARY, TEXT, Mutation, mutant

from mgn_ma.datasets.annotations import AnnotationsDataset
from mgn_ma.eev.annotations import validate_annotations
from mgn_ma.eev.targets import EEV
from mgn_ma.errors import message_for_people
from mgn_ma.extractors.base import TrackRows
from mgn_ma.features.store import TrackStore
from mgn_ma.features.track import Track, TrackError, TrackHeader
from mgn_ma.files import Folder
from mgn_ma.grid import grid_time
from mgn_ma.inference.bundle import load_bundle, save_bundle
from mgn_ma.inference.finding import find_videos
from mgn_ma.inference.predictor import Predictor
from mgn_ma.media.folder import read_info
from mgn_ma.media.subtitles import read_captions
from mgn_ma.training.checkpoints import CheckpointError, load_checkpoint, save_checkpoint
from mgn_ma.training.states import StateStore, TrainingState

SECONDS = 5.0
"""For a file of a megabyte, on a machine that does something else besides."""


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Attributes:
        path: of the file that is damaged; what belongs to it lies beside it.
        read: reads it through an entry point that users meet and checks what it gives; raises what users see.
    """

    path: Path
    read: Callable[[], None]
    mutations: tuple[Mutation, ...]


def captions(folder: Path, suffix: str) -> Kind:
    mark, comma = ("WEBVTT\n\n", ".") if suffix == "vtt" else ("", ",")
    cues = (
        f"{k}\n00:00:{k:02}{comma}000 --> 00:00:{k:02}{comma}900\n<i>Word {k}</i> &amp; [Music] café" for k in range(20)
    )
    events = [{"tStartMs": 900 * k, "segs": [{"utf8": "Word"}, {"utf8": " café", "tOffsetMs": 9}]} for k in range(20)]
    path = folder / f"v.{suffix}"
    path.write_text(json.dumps({"events": events}) if suffix == "json3" else mark + "\n\n".join(cues))

    def read() -> None:
        found = read_captions(str(path))
        starts = [cue.start_us for cue in found]
        assert starts == sorted(starts)
        assert all(0 <= cue.start_us < cue.end_us for cue in found)
        assert all(cue.text and "\n" not in cue.text and "\0" not in cue.text for cue in found)

    return Kind(path, read, TEXT)


def info(folder: Path) -> Kind:
    path = folder / "v.info.json"
    path.write_text(json.dumps({"id": "v", "title": "A café, and more", "tags": ["a", "b"], "views": {"n": [1, 2.5]}}))

    def read() -> None:
        title = read_info(str(path)).title
        assert title is None or (title.isprintable() and 0 < len(title.encode()) < 10_000)

    return Kind(path, read, TEXT)


def list_of_videos(folder: Path) -> Kind:
    path = folder / "list.csv"
    rows = (f'v{k}.mp4,v{k},v{k}.vtt,"Title, {k}"' for k in range(10))
    path.write_text("video,video_id,captions,title\n" + "\n".join(rows))

    def read() -> None:
        found = find_videos(str(path))
        assert found
        assert len({video.video_id for video in found}) == len(found)
        assert all(video.video_id.isprintable() for video in found)

    return Kind(path, read, TEXT)


def annotations(folder: Path) -> Kind:
    path = folder / "train.csv"
    times = grid_time(np.arange(12))
    table = pd.DataFrame(np.random.default_rng(0).uniform(0, 1, (24, 15)).round(4), columns=list(EEV.names))
    table.insert(0, "Timestamp (milliseconds)", [*times, *times])
    table.insert(0, "YouTube ID", ["a" * 11] * 12 + ["-b_" * 3] * 12)
    table.to_csv(path, index=False)
    loading = {"dtype": {"YouTube ID": str, "Video ID": str}, "na_filter": False}

    def read() -> None:
        raw = AnnotationsDataset(filepath=str(path), load_args=loading).load()
        found = validate_annotations(raw, source=path.name, targets=EEV)
        values = found[list(EEV.names)].to_numpy()
        assert np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1
        for _, at in found.groupby("video_id", sort=False)["timestamp_us"]:
            assert at.iloc[0] >= 0 and np.all(np.diff(at) > 0)

    return Kind(path, read, TEXT)


def track(folder: Path) -> Kind:
    store = TrackStore(folder)
    times = grid_time(np.arange(40))
    vectors = np.random.default_rng(0).normal(size=(40, 8)).astype(np.float16)
    written = Track(TrackHeader("v", "image", "grid", "f" * 64, "d" * 64), TrackRows(times, times + 1, vectors))
    store.write(written)

    def read() -> None:
        if "v" not in store.headers("image", "f" * 64, verify=True):
            raise TrackError("counts as missing")
        found = store.read("image", "f" * 64, "v")
        assert found.header.clock == "grid"
        for name in ("timestamps_us", "ends_us", "vectors"):
            np.testing.assert_array_equal(getattr(found.rows, name), getattr(written.rows, name))

    return Kind(Path(store.path("image", "f" * 64, "v")), read, BINARY)


def checkpoint(folder: Path, suffix: str) -> Kind:
    written = example_model.make_bundle().members["member_1"]
    save_checkpoint(written, Folder(folder), "member")

    def read() -> None:
        found = load_checkpoint(Folder(folder), "member")
        found.build()
        for name, weights in written.weights.items():
            assert torch.equal(found.weights[name], weights)

    return Kind(folder / f"member.{suffix}", read, TEXT if suffix == "json" else BINARY)


def bundle(folder: Path) -> Kind:
    save_bundle(example_model.make_bundle(), Folder(folder))

    def read() -> None:
        found = load_bundle(Folder(folder))
        found.configs()
        Predictor(found, device="cpu")

    return Kind(folder / "bundle.json", read, TEXT)


def state(folder: Path) -> Kind:
    store = StateStore(Folder(folder))
    weights = {"w": torch.arange(500.0), "b": torch.ones(7)}
    store.save(
        "member", "f" * 64, TrainingState(3, [{"loss": 0.5}], weights, {}, {}, torch.get_rng_state(), 2, 0.1, weights)
    )

    def read() -> None:
        found = store.load("member", "f" * 64)
        if found is None:
            raise CheckpointError("counts as missing")
        assert (found.epochs_done, found.history, found.best_epoch) == (3, [{"loss": 0.5}], 2)
        assert torch.equal(found.weights["w"], weights["w"]) and torch.equal(found.best_weights["b"], weights["b"])

    return Kind(next(folder.iterdir()), read, BINARY)


KINDS: dict[str, Callable[[Path], Kind]] = {
    "vtt": lambda folder: captions(folder, "vtt"),
    "srt": lambda folder: captions(folder, "srt"),
    "json3": lambda folder: captions(folder, "json3"),
    "info.json": info,
    "list.csv": list_of_videos,
    "annotations.csv": annotations,
    "track": track,
    "checkpoint.safetensors": lambda folder: checkpoint(folder, "safetensors"),
    "checkpoint.json": lambda folder: checkpoint(folder, "json"),
    "bundle.json": bundle,
    "training state": state,
}


@pytest.mark.parametrize("name", KINDS)
def test_what_is_damaged_is_read_right_or_refused(name: str, tmp_path: Path, tell: Callable[[str], None]) -> None:
    kind = KINDS[name](tmp_path)
    kind.read()
    whole = kind.path.read_bytes()
    outcomes, faults = {"read": 0, "refused": 0}, []
    for number in range(FILES):
        done, content = mutant(whole, kind.mutations, f"{SEED}-{name}-{number}")
        kind.path.write_bytes(content)
        began = time.perf_counter()
        try:
            kind.read()
            outcomes["read"] += 1
        except Exception as error:
            if message_for_people(error):
                outcomes["refused"] += 1
                continue
            faults.append(f"{number} ({done}): {type(error).__name__}: {str(error)[:120]!r}")
        finally:
            if (seconds := time.perf_counter() - began) > SECONDS:
                faults.append(f"{number} ({done}): took {seconds:.1f} s")
    tell(f"{name}: {FILES} damaged, {outcomes['read']} read right, {outcomes['refused']} refused")
    assert not faults, "\n".join(faults)
    assert outcomes["refused"]
