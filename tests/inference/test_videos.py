"""New videos to curves: against the extractors and the predictor called one by one, and with what goes wrong."""

import shutil
import sys
from pathlib import Path

import example_model
import fsspec
import numpy as np
import pytest

from mgn_ma.extractors.pretrained import WeightsError
from mgn_ma.grid import grid_timestamps_us
from mgn_ma.inference.bundle import Bundle
from mgn_ma.inference.model import ExtractorContract
from mgn_ma.inference.predictor import Predictor
from mgn_ma.inference.videos import ExtractorMismatchError, VideoInput, VideoPredictor, VideoSettings
from mgn_ma.media.digest import digest
from mgn_ma.media.fetch import FetchConfig
from mgn_ma.media.folder import MediaFolder, read_info
from mgn_ma.media.probe import probe


@pytest.fixture(scope="module")
def inputs(films):
    folder = MediaFolder(str(films))
    found = []
    for path in sorted(films.glob("*.mp4")):
        files = folder.files(path.stem)
        captions = files.captions[0].path if files.captions else None
        found.append(VideoInput(path.stem, files.video_path, captions, read_info(files.info_path).title))
    return found


@pytest.fixture(scope="module")
def predictor(bundle):
    return VideoPredictor(bundle)


@pytest.fixture
def memory():
    filesystem = fsspec.filesystem("memory")
    yield filesystem
    filesystem.store.clear()


def _by_hand(bundle, video):
    """Each extractor asked for this video, rounded to half precision as on disk, and the predictor."""
    tracks = {
        modality: type(rows)(rows.timestamps_us, rows.ends_us, rows.vectors.astype(np.float16))
        for modality, rows in example_model.tracks_by_hand(bundle, video).items()
    }
    return Predictor(bundle).predict(video.video_id, tracks, grid_timestamps_us(probe(video.path).duration_us))


def test_curves_are_those_of_the_extractors_and_the_predictor(predictor, bundle, inputs):
    outcomes = list(predictor.predict(inputs))
    assert [outcome.video for outcome in outcomes] == inputs
    for outcome in outcomes:
        expected = _by_hand(bundle, outcome.video)
        np.testing.assert_array_equal(outcome.prediction.timestamps_us, expected.timestamps_us)
        np.testing.assert_allclose(outcome.prediction.values, expected.values, atol=1e-6)
        np.testing.assert_allclose(outcome.prediction.attention, expected.attention, atol=1e-6)
        assert outcome.prediction.values.std(axis=0).max() > 1e-3
        assert not outcome.lacking


def test_contributions_come_when_asked_for_and_an_estimate_is_noted(predictor, inputs, tmp_path, monkeypatch):
    (plain,), (exact,) = (predictor.predict(inputs[:1], tmp_path, explain=explain) for explain in (False, True))
    assert not plain.prediction.contributions.size
    assert exact.prediction.contributions.any()
    assert exact.notes == plain.notes
    monkeypatch.setattr("mgn_ma.inference.shapley.EXACT_UP_TO", 3)
    (estimated,) = predictor.predict(inputs[:1], tmp_path, explain=True)
    assert estimated.notes[-1].startswith("contributions are estimates, with a standard error of 0.")


def test_groups_and_processes_change_nothing(predictor, bundle, inputs):
    by_group = VideoPredictor(bundle, VideoSettings(videos_at_a_time=1))
    for one, other in zip(predictor.predict(inputs), by_group.predict(inputs), strict=True):
        np.testing.assert_array_equal(one.prediction.values, other.prediction.values)


def test_a_broken_and_a_missing_video_stop_no_other(predictor, inputs, tmp_path):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no film")
    videos = [VideoInput("broken", str(broken)), VideoInput("gone", str(tmp_path / "gone.mp4")), inputs[0]]
    broken_one, gone, good = predictor.predict(videos)
    assert broken_one.prediction is None
    assert "is no video file" in broken_one.reason
    assert gone.reason == "no such file"
    assert good.prediction is not None


def test_sound_of_8_channels_is_heard(predictor, inputs, tmp_path):
    sys.path.insert(0, str(Path(__file__).parents[1] / "media"))
    from media_clips import surround

    surrounded, good = predictor.predict([VideoInput("film", str(surround(tmp_path / "film.mp4"))), inputs[0]])
    assert "audio" not in surrounded.lacking
    assert surrounded.prediction is not None
    assert not good.lacking


def test_what_a_video_lacks_is_said_and_counts_as_absent(predictor, inputs, tmp_path):
    captions = tmp_path / "empty.vtt"
    captions.write_text("nothing that is a caption")
    bare, odd = predictor.predict(
        [VideoInput("bare", inputs[0].path), VideoInput("odd", inputs[0].path, str(captions), inputs[0].title)]
    )
    assert bare.lacking == {"subtitle": "there are no captions", "title": "there is no title"}
    subtitle = bare.prediction.attention[:, predictor.bundle.modalities.index("subtitle")]
    assert not np.allclose(subtitle, 1.0)
    assert list(odd.lacking) == ["subtitle"]
    np.testing.assert_array_equal(bare.prediction.timestamps_us, odd.prediction.timestamps_us)


def test_ids_and_paths_may_be_any_text(predictor, inputs, tmp_path):
    plain = next(predictor.predict(inputs[:1]))
    for name in ("-abc", "a b'\"<script>", "two\nlines", "a::b", "../up", "x" * 180):
        path = tmp_path / f"{name.replace('/', '_')}.mp4"
        shutil.copy(inputs[0].path, path)
        (outcome,) = predictor.predict([VideoInput(name, str(path), inputs[0].captions, inputs[0].title)])
        assert outcome.reason == "", name
        np.testing.assert_array_equal(outcome.prediction.values, plain.prediction.values)


def test_two_videos_of_one_id_are_refused(predictor, inputs):
    with pytest.raises(ValueError, match="two videos have the id 'twice'"):
        list(predictor.predict([VideoInput("twice", inputs[0].path), VideoInput("twice", inputs[1].path)]))


def test_tracks_that_are_there_are_not_made_again(predictor, inputs, tmp_path, monkeypatch):
    (first,) = predictor.predict(inputs[:1], tmp_path)
    made = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.arrow")}
    assert len(made) == 4
    monkeypatch.setattr("mgn_ma.features.task.build", lambda config: pytest.fail("an extractor was built"))
    (second,) = predictor.predict(inputs[:1], tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.arrow")} == made
    np.testing.assert_array_equal(first.prediction.values, second.prediction.values)


def test_a_video_that_is_too_long_is_not_read(bundle, inputs):
    (outcome,) = VideoPredictor(bundle, VideoSettings(max_seconds=1)).predict(inputs[:1])
    assert outcome.prediction is None
    assert outcome.reason.endswith("s long, and at most 1 s are read (max_seconds)")
    assert outcome.source is None


def test_a_group_of_which_nothing_can_be_fetched_is_accounted_for(bundle):
    gone = [VideoInput(name, f"memory://{name}.mp4") for name in ("a", "b")]
    outcomes = VideoPredictor(bundle, VideoSettings(fetch=FetchConfig(schemes=("memory",)))).predict(gone)
    assert [outcome.reason for outcome in outcomes] == ["is not there, or nobody answers there"] * 2


def test_a_url_is_fetched_predicted_and_removed(bundle, inputs, memory):
    predictor = VideoPredictor(bundle, VideoSettings(fetch=FetchConfig(schemes=("memory",))))
    for name, path in (("film.mp4", inputs[0].path), ("film.vtt", inputs[0].captions)):
        memory.pipe_file(f"/{name}", Path(path).read_bytes())
    remote = VideoInput("remote", "memory://film.mp4", "memory://film.vtt", inputs[0].title)
    local, fetched = None, []
    for outcome in predictor.predict([inputs[0], remote]):
        if outcome.video is not remote:
            local = outcome
            continue
        fetched.append(outcome.source.video_path)
        assert digest(outcome.source.video_path) == digest(inputs[0].path)
        np.testing.assert_array_equal(outcome.prediction.values, local.prediction.values)
    assert not Path(fetched[0]).exists()


def test_a_url_that_is_too_large_or_not_there_fails_alone(bundle, inputs, memory):
    memory.pipe_file("/large.mp4", bytes(3 << 20))
    predictor = VideoPredictor(bundle, VideoSettings(fetch=FetchConfig(max_mib=2, schemes=("memory",))))
    large, gone, odd, good = predictor.predict(
        [
            VideoInput("large", "memory://large.mp4"),
            VideoInput("gone", "memory://gone.mp4"),
            VideoInput("odd", "nosuchprotocol://x/y.mp4"),
            VideoInput("good", inputs[0].path, "memory://gone.vtt"),
        ]
    )
    assert large.reason == "is larger than 2 MiB, the most that is fetched"
    assert gone.reason == "is not there, or nobody answers there"
    assert odd.reason == "the address is none of memory"
    assert good.prediction is not None
    assert good.notes[0].startswith("memory://gone.vtt: is not there")


def test_another_extractor_than_the_model_s_is_refused(bundle):
    contract = bundle.description.extractors["image"]
    changed = contract.model_copy(update={"settings": contract.settings | {"size": contract.settings["size"] + 1}})
    description = bundle.description.model_copy(
        update={"extractors": bundle.description.extractors | {"image": changed}}
    )
    other = Bundle(description, bundle.members, bundle.video_network)
    now = other.configs()["image"].fingerprint()
    with pytest.raises(ExtractorMismatchError, match=f"image: .*{contract.fingerprint[:12]}.*{now[:12]}"):
        VideoPredictor(other)


def test_weights_are_looked_for_in_the_folder_that_the_user_names(bundle, tmp_path):
    contract = ExtractorContract(settings={"name": "s3d", "pretrained": "elsewhere/s3d.pth"}, fingerprint="a" * 64)
    description = bundle.description.model_copy(
        update={"extractors": bundle.description.extractors | {"action": contract}}
    )
    model = Bundle(description, bundle.members, bundle.video_network)
    with pytest.raises(WeightsError, match=r"elsewhere/s3d\.pth"):
        VideoPredictor(model)
    with pytest.raises(WeightsError, match=str(tmp_path / "s3d.pth")):
        VideoPredictor(model, VideoSettings(weights=str(tmp_path)))
