"""Disks that fill up or can't be written to, files that vanish, MLflow that is away, a database that is locked."""

from __future__ import annotations

import logging
import os
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from media_clips import Clip, sine

from mgn_ma.command import main
from mgn_ma.execution import ExecutionConfig
from mgn_ma.extractors.registry import parse_config
from mgn_ma.features.extraction import extract
from mgn_ma.features.inspection import inspect_videos
from mgn_ma.features.plan import ExtractionSettings, make_plan
from mgn_ma.features.store import TrackStore
from mgn_ma.features.track import Track, TrackFailure
from mgn_ma.features.view import ModalityOnDisk
from mgn_ma.media.folder import MediaFiles
from mgn_ma.media.manifest import manifest_of_files

Predict = Callable[[Path], tuple[int, str]]

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


@pytest.fixture
def predict(films: Path, bundle_folder: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Predict]:
    """Runs `mgn-ma predict` on two films: its exit status, and the last line that it printed."""

    def run(output: Path) -> tuple[int, str]:
        with pytest.raises(SystemExit) as left:
            main(["predict", str(films), "-o", str(output), "--model", str(bundle_folder), "--no-page"])
        return int(left.value.code or 0), capsys.readouterr().err.strip().rpartition("\n")[2]

    yield run
    logging.getLogger("mgn_ma").setLevel(logging.NOTSET)


@needs_mount
def test_a_full_disk_ends_in_a_line_and_with_room_the_same_command_goes_on(
    small_disk: Path, predict: Predict, tmp_path: Path
) -> None:
    output = small_disk / "out"
    filling = small_disk / "filling"
    filling.write_bytes(bytes(200_000))
    code, said = predict(output)
    assert code == 1 and f"Error: {small_disk}" in said and "No space left on device. What is written" in said
    assert not list(output.rglob("*.tmp")) and not (output / "account.csv").exists()
    filling.unlink()
    subprocess.run(["mount", "-o", "remount,size=64m", small_disk], check=True)
    assert predict(output)[0] == predict(tmp_path / "undisturbed")[0] == 0
    assert (output / "curves.csv").read_bytes() == (tmp_path / "undisturbed/curves.csv").read_bytes()


@needs_mount
def test_a_disk_that_can_only_be_read_is_said_before_any_work(small_disk: Path, predict: Predict) -> None:
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    assert predict(small_disk / "out") == (
        1,
        f"Error: {small_disk / 'out'}: can't be written to: Read-only file system",
    )


def test_a_video_that_vanishes_or_changes_costs_itself_and_is_tried_again(tmp_path: Path) -> None:
    clip = Clip(n_frames=20, rate=10, audio=sine(2, 440))
    paths = {name: Path(clip.write(tmp_path / f"{name}.mp4")) for name in ("gone", "emptied", "good")}
    files = {name: MediaFiles(video_path=str(path)) for name, path in paths.items()}
    execution = ExecutionConfig(workers=2)
    manifest = manifest_of_files(files, partial(inspect_videos, execution=execution, max_seconds=None))
    paths["gone"].unlink()
    paths["emptied"].write_bytes(b"")
    on_disk = ModalityOnDisk(TrackStore(tmp_path / "tracks"), "image")
    plan = make_plan(manifest, parse_config("image_descriptor", {}), on_disk, ExtractionSettings())
    results = {r.header.video_id if isinstance(r, Track) else r.video_id: r for r in extract(plan, execution)}
    assert isinstance(results["good"], Track)
    assert all(isinstance(results[name], TrackFailure) and results[name].reason for name in ("gone", "emptied"))
