"""The extraction pipelines as Kedro runs them, with the repository's own configuration and real, small videos."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from kedro.validation.exceptions import ParameterValidationError

from mgn_ma.extractors.pretrained import WeightsError
from mgn_ma.features.settings import Modalities
from mgn_ma.features.track import TrackError
from mgn_ma.media.digest import digest
from mgn_ma.media.probe import probe
from mgn_ma.modalities import EXTRACTED
from mgn_ma.pipelines import clip_features, frame_features

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "media")]

KEPT, COMPUTED = "kept from an earlier run", "computed in this run"


@pytest.fixture(scope="module")
def runs() -> Any:
    import extraction_run

    return extraction_run


def make_videos(folder: Path, n_videos: int, seconds: int) -> pd.DataFrame:
    """Videos with sound, captions and titles, but that the third has no sound, the fourth no captions, one is gone."""
    from media_clips import Clip

    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for k in range(n_videos):
        video_id = f"-v{k}"
        random = np.random.default_rng(k)
        sound = (0.1 * random.normal(size=48_000 * seconds)).astype(np.float32)
        clip = Clip(n_frames=12 * seconds, rate=12, audio=None if k == 2 else sound)
        path, captions = clip.write(folder / f"{video_id}.mp4"), folder / f"{video_id}.en.vtt"
        said = "".join(f"00:00:0{s}.000 --> 00:00:0{s}.900\nword {k + s}\n\n" for s in range(min(seconds, 9)))
        captions.write_text(f"WEBVTT\n\n{said}")
        has_captions = k != 3
        info = probe(str(path))
        rows.append(
            {
                "video_id": video_id,
                "split": "train",
                "status": "available",
                "reason": "",
                "path": str(path),
                "digest": digest(str(path)),
                "duration_us": info.duration_us,
                "fps": info.fps,
                "width": info.width,
                "height": info.height,
                "has_audio": info.has_audio,
                "audio_duration_us": info.audio_duration_us,
                "captions_path": str(captions) if has_captions else None,
                "captions_digest": digest(str(captions)) if has_captions else None,
                "title": f"Video number {k}",
                "n_frames": 6 * seconds,
            }
        )
    gone = dict.fromkeys(rows[0]) | {"video_id": "gone", "split": "test", "status": "unavailable", "reason": "no file"}
    frame = pd.DataFrame([*rows, gone | {"has_audio": False, "n_frames": 10}])
    return frame.astype(dict.fromkeys(("duration_us", "width", "height", "audio_duration_us"), "Int64"))


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    return make_videos(tmp_path_factory.mktemp("videos"), 5, 3)


@pytest.fixture
def data(tmp_path: Path, videos: pd.DataFrame) -> Path:
    videos.to_parquet(tmp_path / "manifest.parquet")
    return tmp_path


def counts(account: pd.DataFrame) -> dict[tuple[str, str], int]:
    return account.groupby(["modality", "status"]).size().to_dict()


def tracks(data: Path) -> dict[str, dict[str, Any]]:
    """All rows of all tracks, by their path below the store; what may differ between runs, the time, left out."""
    found = {}
    for path in sorted((data / "04_feature").rglob("*.arrow")):
        rows = pa.ipc.open_file(pa.BufferReader(path.read_bytes())).read_all()
        found[str(path.relative_to(data))] = rows.to_pydict()
    return found


def test_the_chain_extracts_accounts_and_then_has_nothing_to_do(runs: Any, data: Path) -> None:
    account = runs.run(data).load("extraction_account")
    assert list(account.columns) == ["video_id", "modality", "status", "reason", "seconds"]
    assert counts(account) == {
        ("image", "present"): 5,
        ("image", "absent"): 1,
        ("audio", "present"): 4,
        ("audio", "absent"): 2,
        ("action", "present"): 5,
        ("action", "absent"): 1,
        ("subtitle", "present"): 4,
        ("subtitle", "absent"): 2,
        ("title", "present"): 5,
        ("title", "absent"): 1,
    }
    reasons = account.set_index(["modality", "video_id"])["reason"]
    assert reasons["audio", "-v2"] == "the video has no audio"
    assert reasons["subtitle", "-v3"] == "there are no captions"
    assert reasons["title", "gone"] == "the video is unavailable: no file"
    before = {path: path.stat().st_mtime_ns for path in (data / "04_feature").rglob("*.arrow")}

    again = runs.run(data)
    present = again.load("extraction_account").query("status == 'present'")
    assert set(present["reason"]) == {KEPT}
    assert before == {path: path.stat().st_mtime_ns for path in (data / "04_feature").rglob("*.arrow")}
    view = again.load("image.tracks")
    assert list(view) == [f"-v{k}" for k in range(5)]
    assert view.read("-v0").rows.vectors.dtype == np.float16


def test_processes_make_the_same_tracks_as_this_one(runs: Any, data: Path, tmp_path_factory: Any) -> None:
    runs.run(data, {"execution.workers": 1})
    other = tmp_path_factory.mktemp("two")
    shutil.copy(data / "manifest.parquet", other)
    runs.run(other, {"execution.workers": 2})
    assert tracks(other) == tracks(data)


@pytest.mark.slow
def test_ray_makes_the_same_tracks_as_this_process(runs: Any, data: Path, tmp_path_factory: Any) -> None:
    runs.run(data, {"execution.workers": 1})
    other = tmp_path_factory.mktemp("ray")
    shutil.copy(data / "manifest.parquet", other)
    runs.run(other, {"execution.workers": 2, "execution.engine": "ray"})
    assert tracks(other) == tracks(data)


def test_one_bad_video_is_accounted_for_and_stops_nobody(runs: Any, data: Path, videos: pd.DataFrame) -> None:
    bad = data / "bad.mp4"
    bad.write_text("no video at all")
    changed = videos.copy()
    changed.loc[1, ["path", "digest"]] = [str(bad), digest(str(bad))]
    changed.to_parquet(data / "manifest.parquet")
    account = runs.run(data).load("extraction_account").set_index(["modality", "video_id"])
    for modality in ("image", "audio", "action"):
        assert account.loc[(modality, "-v1"), "status"] == "failed"
        assert account.loc[(modality, "-v1"), "reason"] != ""
        assert account.loc[(modality, "-v0"), "status"] == "present"
    assert account.loc[("title", "-v1"), "status"] == "present"


def test_all_failing_is_no_property_of_the_videos(runs: Any, data: Path, videos: pd.DataFrame) -> None:
    bad = data / "bad.mp4"
    bad.write_text("no video at all")
    changed = videos.assign(path=str(bad), digest=digest(str(bad)))
    changed.to_parquet(data / "manifest.parquet")
    with pytest.raises(TrackError, match="not one of 5 videos has a"):
        runs.run(data)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_killed_in_the_middle_it_goes_on_where_it_was(runs: Any, tmp_path: Path, workers: int) -> None:
    """``kill -9`` of the whole run; the same command again computes what is missing, and the result is the same."""
    manifest = make_videos(tmp_path / "videos", 12, 20)
    killed, undisturbed = tmp_path / "killed", tmp_path / "undisturbed"
    for folder in (killed, undisturbed):
        folder.mkdir()
        manifest.to_parquet(folder / "manifest.parquet")
    command = [sys.executable, str(HERE / "extraction_run.py"), str(killed), str(workers)]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + 120
        while len(done := list((killed / "04_feature").rglob("*.arrow"))) < 14 and process.poll() is None:
            assert time.monotonic() < deadline, (tmp_path / "log").read_text()
            time.sleep(0.005)
        assert process.poll() is None, (tmp_path / "log").read_text()
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    time.sleep(0.5)  # a worker may not have noticed yet, but it can't write: only the killed process did
    done = sorted((killed / "04_feature").rglob("*.arrow"))
    times = {path: path.stat().st_mtime_ns for path in done}
    assert 14 <= len(done) < 50

    account = runs.run(killed, {"execution.workers": workers}).load("extraction_account")
    expected = runs.run(undisturbed, {"execution.workers": workers}).load("extraction_account")
    present = account.query("status == 'present'")
    assert (present["reason"] == KEPT).sum() == len(done)
    assert (present["reason"] == COMPUTED).sum() == len(present) - len(done)
    assert {path: path.stat().st_mtime_ns for path in done} == times
    assert tracks(killed) == tracks(undisturbed)
    columns = ["video_id", "modality", "status"]
    pd.testing.assert_frame_equal(account[columns], expected[columns])


def test_the_estimate_says_what_is_to_come_and_keeps_nothing(
    runs: Any, data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        table = runs.estimate(data).load("extraction_estimate").set_index("modality")
    assert table.index.tolist() == list(EXTRACTED)
    assert table["videos"].tolist() == [5, 4, 5, 4, 5]
    assert table.loc["image", "hours_of_video"] == pytest.approx(5 * 3 / 3600, rel=0.1)
    assert (table.loc[["image", "audio", "action"], "hours_of_work"] > 0).all()
    assert (table["gigabytes"] >= 0).all()
    assert not list((data / "04_feature").rglob("*.arrow"))
    assert "Extraction to come" in caplog.text

    runs.run(data)
    done = runs.estimate(data).load("extraction_estimate").set_index("modality")
    assert done["videos"].tolist() == [0] * 5
    assert done["kept"].tolist() == [5, 4, 5, 4, 5]


def test_the_estimate_of_networks_says_which_precision_is_faster_here(
    runs: Any, data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        runs.estimate(data)
        assert "is the faster one on" not in caplog.text
        vggish = {"extractor": "vggish", "settings": {"vggish": {"pretrained": "random:0"}}}
        runs.estimate(data, {"modalities.audio": vggish})
    assert "is the faster one on" in caplog.text


def test_the_size_that_is_estimated_is_about_the_size_that_comes(runs: Any, data: Path) -> None:
    table = runs.estimate(data).load("extraction_estimate").set_index("modality")
    built = runs.run(data)
    for modality in ("image", "action", "subtitle"):
        view = built.load(f"{modality}.tracks")
        size = sum(view.read(video_id).rows.vectors.nbytes for video_id in view)
        assert size <= table.loc[modality, "gigabytes"] * 1e9 < 1.2 * size


def test_an_unknown_parameter_stops_the_run_before_it_starts(runs: Any, data: Path) -> None:
    for key in ("extraction.retries", "execution.threads", "modalities.image.extracter"):
        with pytest.raises(ParameterValidationError, match=key.rpartition(".")[2]):
            runs.run(data, {key: 1})
    with pytest.raises(ParameterValidationError, match="window"):
        runs.run(data, {"modalities.action.settings.s3d.window": 1})
    with pytest.raises(ParameterValidationError, match="there is no extractor 'resnet'"):
        runs.run(data, {"modalities.image.settings.resnet": {}})
    with pytest.raises(ParameterValidationError, match="there is no modality 'imagge'; is 'image' meant"):
        runs.run(data, {"modalities.imagge.extractor": "image_descriptor"})
    with pytest.raises(ParameterValidationError, match="'audio' is made from the audio, and image_descriptor reads"):
        runs.run(data, {"modalities.audio.extractor": "image_descriptor"})
    with pytest.raises(ParameterValidationError, match="'video' is learned and takes no extractor"):
        runs.run(data, {"modalities.video.extractor": "image_descriptor"})
    with pytest.raises(ParameterValidationError, match="'image' needs an extractor"):
        runs.run(data, {"modalities.image.extractor": None})


def test_an_absent_modality_is_accounted_and_has_no_tracks(runs: Any, data: Path) -> None:
    built = runs.run(data, {"modalities.subtitle": None})
    assert len(built.load("subtitle.tracks")) == 0
    account = built.load("extraction_account").query("modality == 'subtitle'")
    assert set(account["status"]) == {"absent"}
    assert account["reason"].str.contains("modalities.subtitle is null").all()


def test_two_modalities_use_one_extractor_with_different_settings(runs: Any, data: Path) -> None:
    built = runs.run(data, {"modalities.title.settings.text_descriptor.words": 16})
    assert built.load("title.tracks").width != built.load("subtitle.tracks").width


def test_base_names_the_backbones_of_the_paper(runs: Any, tmp_path: Path) -> None:
    parameters = runs.configuration(tmp_path, "local")["parameters"]
    modalities = Modalities(parameters["modalities"])
    assert {modality: config.name for modality, config in modalities.configs().items()} == {
        "image": "inception_resnet_v2",
        "audio": "vggish",
        "action": "s3d",
        "subtitle": "bert",
        "title": "bert",
    }
    assert modalities.tolerance_us("subtitle") == 5_000_000


def test_absent_weights_stop_the_run_before_any_video_is_decoded(
    runs: Any, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(data / "hub"))
    pipeline = runs.extraction()
    absent = {"pretrained": {"path": str(data / "nowhere.pth")}}
    changes = {"modalities.action.extractor": "s3d", "modalities.audio.extractor": "vggish"}
    with pytest.raises(WeightsError) as caught:
        runs.run(
            data,
            changes | {"modalities.action.settings.s3d": absent, "modalities.audio.settings.vggish": absent},
            pipeline,
        )
    assert "action (s3d)" in str(caught.value)
    assert "audio (vggish)" in str(caught.value)
    assert not list((data / "04_feature").rglob("*.arrow"))


def test_the_two_pipelines_are_the_template_in_namespaces() -> None:
    frame, clip = frame_features.create_pipeline(), clip_features.create_pipeline()
    assert frame.all_outputs() >= {"image.tracks", "image.account", "audio.tracks", "audio.account"}
    assert clip.all_outputs() >= {"action.tracks", "action.account", "subtitle.tracks", "subtitle.account"}
    assert {name for name in frame.inputs() if not name.startswith("params:")} == {
        "manifest",
        "image.tracks_on_disk",
        "audio.tracks_on_disk",
    }
    assert {node.namespace for node in clip.nodes} == {"clip_features.action", "clip_features.subtitle"}
