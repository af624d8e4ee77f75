"""Files that crash, hang or bomb whoever decodes them: each costs itself, with its reason, and no other video."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mgn_ma.execution import ExecutionConfig
from mgn_ma.extractors.registry import parse_config
from mgn_ma.features.extraction import extract
from mgn_ma.features.inspection import inspect_videos, take_pictures, take_thumbnails
from mgn_ma.features.plan import ExtractionSettings, make_plan
from mgn_ma.features.store import TrackStore
from mgn_ma.features.track import Track, TrackFailure
from mgn_ma.features.view import ModalityOnDisk
from mgn_ma.media.errors import VideoError
from mgn_ma.media.folder import MediaFiles
from mgn_ma.media.manifest import manifest_of_files


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    sys.path.insert(0, str(Path(__file__).parents[1] / "media"))
    from media_clips import Clip, bomb, sine, surround

    folder = tmp_path_factory.mktemp("videos")
    good = Clip(n_frames=40, rate=10, audio=sine(4, 440)).write(folder / "good.mp4")
    return {"good": good, "surround": surround(folder / "surround.mp4"), "bomb": bomb(folder / "bomb.mp4")}


def manifest(videos: Mapping[str, Path], execution: ExecutionConfig) -> pd.DataFrame:
    files = {name: MediaFiles(video_path=str(path)) for name, path in videos.items()}
    return manifest_of_files(files, partial(inspect_videos, execution=execution, max_seconds=None))


def extracted(table: pd.DataFrame, extractor: str, folder: Path, execution: ExecutionConfig) -> dict[str, Any]:
    on_disk = ModalityOnDisk(TrackStore(folder), "audio")
    plan = make_plan(table, parse_config(extractor, {}), on_disk, ExtractionSettings())
    results = list(extract(plan, execution))
    return {r.header.video_id if isinstance(r, Track) else r.video_id: r for r in results}


@pytest.mark.parametrize("workers", [1, 2])
def test_sound_of_8_channels_is_read(videos: dict[str, Path], tmp_path: Path, workers: int) -> None:
    execution = ExecutionConfig(workers=workers, retries=1)
    table = manifest({"surround": videos["surround"], "good": videos["good"]}, execution)
    found = extracted(table, "audio_descriptor", tmp_path, execution)
    assert [len(found[name].rows) for name in ("good", "surround")] == [4, 2]
    pictures = extracted(table, "image_descriptor", tmp_path, execution)
    assert [len(pictures[name].rows) for name in ("good", "surround")] == [24, 12]


@pytest.mark.parametrize("extractor", ["audio_descriptor", "image_descriptor"])
def test_videos_that_were_away_are_tried_again_by_themselves(
    videos: dict[str, Path], tmp_path: Path, extractor: str
) -> None:
    here = ExecutionConfig(workers=1)
    (tmp_path / "disk").mkdir()
    path = shutil.copy(videos["good"], tmp_path / "disk" / "good.mp4")
    table = manifest({"good": Path(path)}, here)
    (tmp_path / "disk").rename(tmp_path / "away")
    failure = extracted(table, extractor, tmp_path / "04", here)["good"]
    assert isinstance(failure, TrackFailure) and (failure.reason, failure.transient) == ("no such file", True)
    TrackStore(tmp_path / "04").write_failure(failure)
    (tmp_path / "away").rename(tmp_path / "disk")
    assert isinstance(extracted(table, extractor, tmp_path / "04", here)["good"], Track)


@pytest.mark.slow
def test_a_frame_that_fills_the_memory_costs_its_video(videos: dict[str, Path], tmp_path: Path) -> None:
    limited = ExecutionConfig(memory_limit_gib=0.4)
    table = manifest({"bomb": videos["bomb"], "good": videos["good"]}, limited).set_index("video_id")
    assert table["status"].tolist() == ["unavailable", "available"]
    assert "needs more memory than a worker may have (memory_limit_gib)" in table.at["bomb", "reason"]
    # The same where it was listed under another limit.
    generous = manifest({"bomb": videos["bomb"], "good": videos["good"]}, ExecutionConfig())
    assert generous["status"].tolist() == ["available", "available"]
    found = extracted(generous, "image_descriptor", tmp_path, limited)
    assert "needs more memory" in found["bomb"].reason
    assert found["bomb"].transient
    assert len(found["good"].rows) == 24
    assert take_thumbnails(str(videos["bomb"]), [0], 64, limited) == {}
    assert list(take_thumbnails(str(videos["good"]), [0], 64, limited)) == [0]
    with pytest.raises(VideoError, match="needs more memory than a worker may have"):
        take_pictures(str(videos["bomb"]), 1_000_000, limited)
    assert len(take_pictures(str(videos["good"]), 1_000_000, limited).pictures)


def test_what_takes_too_long_is_given_up(videos: dict[str, Path], tmp_path: Path) -> None:
    table = manifest({"bomb": videos["bomb"], "good": videos["good"]}, ExecutionConfig())
    found = extracted(table, "action_descriptor", tmp_path, ExecutionConfig(workers=2, time_limit_s=0.3))
    assert found["bomb"].reason == "took longer than the 0.3 s that it may (time_limit_s)"
    assert found["bomb"].transient
