"""The folder of videos: made once, made again only where it must be, and never half a video."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mgn_ma.media.folder import MediaFolder
from mgn_ma.sample import rendering
from mgn_ma.sample.config import SampleConfig
from mgn_ma.sample.rendering import RECORDS, render_videos
from mgn_ma.sample.script import VideoPlan, write_script

SHORT = {"videos": 6, "shortest_seconds": 4.0, "longest_seconds": 4.2, "workers": 1}


def _plans(**settings: object) -> list[VideoPlan]:
    return write_script(SampleConfig.model_validate({**SHORT, **settings}))


def _files(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir() if path.is_file()}


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    render_videos(_plans(), folder, workers=1)
    return folder


def test_every_video_has_its_files_and_a_missing_one_none(rendered: Path) -> None:
    plans = _plans()
    missing = [plan for plan in plans if "missing" in plan.quirks]
    assert missing
    for plan in plans:
        names = {name for name in _files(rendered) if name.startswith(plan.video_id)}
        expected = {f"{plan.video_id}{ending}" for ending in (".mp4", ".info.json", ".en.vtt")}
        assert names == (set() if plan in missing else expected)
    info = json.loads((rendered / f"{plans[0].video_id}.info.json").read_text())
    assert (info["id"], info["title"]) == (plans[0].video_id, plans[0].title)
    assert info["duration"] == round(plans[0].seconds)


def test_a_listing_of_the_folder_has_the_files_of_the_videos_only(rendered: Path) -> None:
    there = {plan.video_id for plan in _plans() if "missing" not in plan.quirks}
    assert len(MediaFolder(str(rendered))) == 3 * len(there)


def test_a_second_run_renders_nothing(rendered: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = _files(rendered)
    monkeypatch.setattr(rendering, "write_movie", lambda *_: pytest.fail("rendered again"))
    render_videos(_plans(), rendered, workers=1)
    assert _files(rendered) == before


def test_what_is_truncated_lost_or_of_other_settings_is_made_again(tmp_path: Path) -> None:
    plans = _plans(awkward=False, videos=5)
    render_videos(plans, tmp_path, workers=1)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    cut, lost, changed, *kept = plans
    movie = tmp_path / f"{cut.video_id}.mp4"
    movie.write_bytes(movie.read_bytes()[:1000])
    (tmp_path / f"{lost.video_id}.en.vtt").unlink()
    record = tmp_path / RECORDS / f"{changed.video_id}.json"
    record.write_text(record.read_text().replace(changed.fingerprint, "0" * 64))
    times = _files(tmp_path)

    render_videos(plans, tmp_path, workers=1)

    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before
    touched = {name.split(".")[0] for name, time in _files(tmp_path).items() if times.get(name) != time}
    assert touched == {cut.video_id, lost.video_id, changed.video_id}
    assert kept


def test_another_sample_replaces_the_videos_of_the_first_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "mine.mp4").write_bytes(b"not yours")
    first, second = (_plans(awkward=False, videos=5, seed=seed) for seed in (1, 2))
    render_videos(first, tmp_path, workers=1)
    render_videos(second, tmp_path, workers=1)
    assert {path.stem for path in tmp_path.glob("*.mp4")} == {plan.video_id for plan in second} | {"mine"}
    assert (tmp_path / "mine.mp4").read_bytes() == b"not yours"


def test_a_video_that_breaks_off_leaves_nothing_half_done_and_the_others_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plans = _plans(awkward=False, videos=5)
    broken, real = plans[1], rendering.write_movie

    def write_half(plan: VideoPlan, signals: object, path: Path) -> None:
        if plan == broken:
            path.write_bytes(b"half")
            raise OSError("no space left on device")
        real(plan, signals, path)  # type: ignore[arg-type]

    monkeypatch.setattr(rendering, "write_movie", write_half)
    with pytest.raises(OSError, match="no space left"):
        render_videos(plans, tmp_path, workers=1)
    whole = {plan.video_id for plan in plans if plan != broken}
    assert {path.stem for path in tmp_path.glob("*.mp4")} == whole

    monkeypatch.undo()
    before = _files(tmp_path)
    render_videos(plans, tmp_path, workers=1)
    assert {path.stem for path in tmp_path.glob("*.mp4")} == whole | {broken.video_id}
    assert before.items() <= _files(tmp_path).items()


@pytest.mark.slow
def test_several_processes_render_the_same_bytes_as_one(rendered: Path, tmp_path: Path) -> None:
    render_videos(_plans(), tmp_path, workers=2)
    for path in rendered.iterdir():
        if path.is_file():
            assert (tmp_path / path.name).read_bytes() == path.read_bytes(), path.name
