"""Scores anew from tracks, against SciPy; and what two ensembles must have in common."""

import numpy as np
import pytest
from scipy.stats import pearsonr
from tiny_ensemble import DATA, bundle

from mgn_ma.eev.frames import expression_matrix
from mgn_ma.eev.targets import EEV, Targets
from mgn_ma.inference.predictor import Predictor
from mgn_ma.inference.rescoring import ComparisonVideos, differences, rescore, unlike_videos


@pytest.fixture(scope="module")
def validation(tiny):
    return ComparisonVideos(tiny.labels, tiny.views(), DATA)


def described(**changes):
    return bundle().description.model_copy(update=changes)


def test_scores_are_pearson_s_r_averaged_over_expressions(tiny, validation):
    noisy = bundle(noise=0.3)
    scores = rescore({"same": bundle(), "noisy": noisy}, validation)
    np.testing.assert_allclose(scores["same"], 1, atol=1e-6)
    predictor = Predictor(noisy)
    expected = []
    for video_id, frames in tiny.labels.groupby("video_id", sort=False):
        predicted = predictor.predict(video_id, tiny.tracks(video_id), frames["timestamp_us"].to_numpy())
        truth = expression_matrix(frames, EEV.names)
        r = [pearsonr(predicted.values[:, c].astype(float), truth[:, c].astype(float))[0] for c in range(15)]
        expected.append(np.mean(r))
    np.testing.assert_allclose(scores["noisy"], expected, atol=1e-6)


def test_videos_without_any_track_are_left_out_as_in_the_chain(tiny, validation):
    labels = tiny.labels.assign(video_id=tiny.labels["video_id"].replace("-v0", "-unavailable"))
    scores = rescore({"same": bundle()}, ComparisonVideos(labels, validation.tracks, DATA))
    assert len(scores["same"]) == labels["video_id"].nunique() - 1


def test_every_difference_is_named():
    ours = bundle().description
    assert differences(ours, bundle(noise=0.4).description) == []
    assert differences(ours, described(data_fingerprint="e" * 64)) == ["data dddddddddddd and eeeeeeeeeeee"]
    assert differences(ours, described(data_fingerprint=None)) == ["data dddddddddddd and unknown"]
    assert differences(ours, described(targets=Targets(names=EEV.names[1:]))) == ["targets (amusement)"]
    assert differences(ours, described(targets=Targets(names=EEV.names[::-1]))) == ["targets (in another order)"]
    others = dict(ours.extractors)
    others["audio"] = others["audio"].model_copy(update={"fingerprint": "a" * 64})
    del others["title"]
    audio, title = (ours.extractors[name].fingerprint[:12] for name in ("audio", "title"))
    assert differences(ours, described(extractors=others)) == [
        f"audio from audio_descriptor {audio} and audio_descriptor aaaaaaaaaaaa",
        f"title from text_descriptor {title} and nothing",
    ]


def test_what_is_on_disk_has_to_be_what_it_was_trained_on(validation):
    ours = bundle().description
    assert unlike_videos(ours, validation) == []
    assert unlike_videos(described(data_fingerprint="e" * 64), validation) == ["data eeeeeeeeeeee and dddddddddddd"]
    changed = {"image": ours.extractors["image"].model_copy(update={"fingerprint": "a" * 64})}
    image = validation.tracks["image"].fingerprint[:12]
    found = unlike_videos(described(extractors=changed), validation)
    assert found == [f"image from image_descriptor aaaaaaaaaaaa and tracks of {image}"]
    found = unlike_videos(described(extractors=changed), ComparisonVideos(validation.labels, {}, DATA))
    assert found == ["image from image_descriptor aaaaaaaaaaaa and no tracks"]
