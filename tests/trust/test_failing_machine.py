"""Disks that fill up or can't be written to, files that vanish, MLflow that is away, a database that is locked."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
from media_clips import Clip, sine
from watching import PREDICT, Watched, watch

from mgn_ma.execution import ExecutionConfig
from mgn_ma.extractors.registry import parse_config
from mgn_ma.features.extraction import extract
from mgn_ma.features.inspection import inspect_videos
from mgn_ma.features.plan import ExtractionSettings, make_plan
from mgn_ma.features.store import TrackStore
from mgn_ma.features.track import Track, TrackFailure
from mgn_ma.features.view import ModalityOnDisk
from mgn_ma.files import Folder
from mgn_ma.inference.bundle import load_bundle
from mgn_ma.inference.finding import find_videos
from mgn_ma.media.folder import MediaFiles
from mgn_ma.media.manifest import manifest_of_files
from mgn_ma.reporting.prediction import PredictionSettings, predict_videos
from mgn_ma.reporting.prediction_page import PageSettings

needs_mount = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 256 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", place], capture_output=True).returncode:
        pytest.skip("nothing can be mounted here")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def predict(films: Path, output: Path, bundle: Path) -> Watched:
    return watch([*PREDICT, str(films), "-o", str(output), "--model", str(bundle), "--no-page"], timeout=120)


def assert_said_in_a_line(ran: Watched, *said: str) -> None:
    assert ran.code == 1
    assert "Traceback" not in ran.output
    last = ran.output.strip().splitlines()[-1]
    assert all(words in last for words in said), ran.output
    assert not ran.left_over


@needs_mount
def test_a_full_disk_ends_in_a_line_and_with_room_the_same_command_goes_on(
    small_disk: Path, films: Path, bundle_folder: Path, tmp_path: Path
) -> None:
    output = small_disk / "out"
    filling = small_disk / "filling"
    filling.write_bytes(bytes(200_000))
    ran = predict(films, output, bundle_folder)
    assert_said_in_a_line(ran, "No space left on device", str(small_disk))
    assert not list(output.rglob("*.tmp")) and not (output / "account.csv").exists()
    filling.unlink()
    subprocess.run(["mount", "-o", "remount,size=64m", small_disk], check=True)
    assert predict(films, output, bundle_folder).code == 0
    undisturbed = predict_videos(
        load_bundle(Folder(bundle_folder)),
        find_videos(str(films)),
        PredictionSettings(page=PageSettings(write=False)),
        execution=ExecutionConfig(),
        tracks=tmp_path / "tracks",
        pages=tmp_path,
        model=str(bundle_folder),
    )
    pd.testing.assert_frame_equal(pd.read_parquet(output / "curves.parquet"), undisturbed.curves)


@needs_mount
def test_a_disk_that_can_only_be_read_is_said_before_any_work(
    small_disk: Path, films: Path, bundle_folder: Path
) -> None:
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    ran = predict(films, small_disk / "out", bundle_folder)
    assert_said_in_a_line(ran, "can't be written to: Read-only file system", str(small_disk / "out"))


def test_a_video_that_vanishes_or_changes_costs_itself_and_is_tried_again(tmp_path: Path) -> None:
    clip = Clip(n_frames=20, rate=10, audio=sine(2, 440))
    paths = {name: Path(clip.write(tmp_path / f"{name}.mp4")) for name in ("gone", "emptied", "good")}
    files = {name: MediaFiles(video_path=str(path)) for name, path in paths.items()}
    execution = ExecutionConfig(workers=2)
    manifest = manifest_of_files(files, partial(inspect_videos, execution=execution))
    paths["gone"].unlink()
    paths["emptied"].write_bytes(b"")
    on_disk = ModalityOnDisk(TrackStore(tmp_path / "tracks"), "image")
    plan = make_plan(manifest, parse_config("image_descriptor", {}), on_disk, ExtractionSettings())
    results = {r.header.video_id if isinstance(r, Track) else r.video_id: r for r in extract(plan, execution)}
    assert isinstance(results["good"], Track)
    assert all(isinstance(results[name], TrackFailure) and results[name].reason for name in ("gone", "emptied"))
