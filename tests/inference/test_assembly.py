"""A bundle from the parts of a run, and that it predicts what the chain predicts."""

import json

import numpy as np
import pytest
from tiny_ensemble import TOLERANCES_US, VIDEO_LEVEL, bundle, extractors, member, recipe, video_networks

from mgn_ma.eev.frames import expression_matrix
from mgn_ma.eev.targets import EEV
from mgn_ma.evaluation.predictions import SplitPredictions
from mgn_ma.extractors.base import END_OF_TIME_US, START_OF_TIME_US, TrackRows
from mgn_ma.features.track import Track, TrackHeader
from mgn_ma.files import Folder
from mgn_ma.inference.assembly import assemble, scores_of
from mgn_ma.inference.bundle import Bundle, BundleError, load_bundle, save_bundle
from mgn_ma.inference.predictor import Predictor
from mgn_ma.training.checkpoints import networks_fingerprint
from mgn_ma.training.config import TrainingConfig
from mgn_ma.training.members import predict_split
from mgn_ma.training.packing import PackPlan, pack
from mgn_ma.training.video_items import collect
from mgn_ma.training.video_level import video_vectors


class VideoTracks:
    """The video-level vectors as the chain makes them, as tracks."""

    width, clock = 7, "whole"

    def __init__(self, tiny):
        networks = video_networks()
        self.fingerprint = networks_fingerprint(networks)
        views = {name: tiny.view(name) for name in ("image", "audio", "title")}
        video_ids = list(dict.fromkeys(v for view in views.values() for v in view))
        items = collect(video_ids, views, VIDEO_LEVEL.pooled, VIDEO_LEVEL.items)
        self.vectors = dict(video_vectors(networks, items, VIDEO_LEVEL))
        self.headers = {v: TrackHeader(v, "video", "whole", self.fingerprint, v) for v in self.vectors}

    def read(self, video_id):
        vector = self.vectors[video_id].astype(np.float16)[None]
        return Track(
            self.headers[video_id], TrackRows(np.array([START_OF_TIME_US]), np.array([END_OF_TIME_US]), vector)
        )


def of_the_chain(tiny, made: Bundle, folder):
    """The ensemble's predictions by the chain's own steps: pack, gather in batches, combine."""
    tracks = {name: tiny.view(name) for name in ("image", "audio", "subtitle")} | {"video": VideoTracks(tiny)}
    split = pack(
        PackPlan("validation", tiny.labels, EEV, tracks, {name: TOLERANCES_US[name] for name in tracks}), folder
    )
    predictions, attention = predict_split(made.members, split, TrainingConfig(device="cpu"))
    return made.description.recipe.predict(SplitPredictions.from_table(predictions, "validation"), EEV), attention


def of_the_predictor(tiny, made: Bundle, **options):
    predictor = Predictor(made, device="cpu", **options)
    return [
        predictor.predict(video_id, tiny.tracks(video_id), frames["timestamp_us"].to_numpy())
        for video_id, frames in tiny.labels.groupby("video_id", sort=False)
    ]


@pytest.mark.parametrize("kinds", [("none", "none"), ("tcn", "gru"), ("transformer", "fir")])
@pytest.mark.parametrize("standardised", [False, True])
def test_the_predictor_says_what_the_chain_says(tiny, tmp_path, standardised, kinds):
    made = bundle(standardised=standardised, kinds=kinds)
    expected, attention = of_the_chain(tiny, made, tmp_path / "packed")
    found = of_the_predictor(tiny, made, batch_size=5)
    np.testing.assert_allclose(
        np.concatenate([video.values for video in found]), expression_matrix(expected, EEV.names), rtol=0, atol=1e-5
    )
    mean = np.mean([rows[list(made.modalities)] for _, rows in attention.groupby("member")], axis=0)
    np.testing.assert_allclose(np.concatenate([video.attention for video in found]), mean, atol=1e-5)


def test_a_validation_video_has_the_weights_that_have_not_seen_it(tiny):
    own, common = (of_the_predictor(tiny, made) for made in (bundle(), bundle(video_weights={})))
    assert np.abs(own[0].values - common[0].values).max() > 1e-3
    np.testing.assert_array_equal(own[1].values, common[1].values)


def test_members_of_bfloat16_predict_in_it(tiny, tmp_path):
    made = bundle()
    halves = {
        name: type(one)(
            one.description.model_copy(update={"training": {"config": {"precision": "bfloat16"}}}), one.weights
        )
        for name, one in made.members.items()
    }
    made = Bundle(made.description, halves, made.video_network)
    expected, _ = of_the_chain(tiny, made, tmp_path / "packed")
    found = np.concatenate([video.values for video in of_the_predictor(tiny, made)])
    np.testing.assert_allclose(found, expression_matrix(expected, EEV.names), rtol=0, atol=1e-5)
    assert np.abs(found - np.concatenate([v.values for v in of_the_predictor(tiny, bundle())])).max() > 1e-4


def test_a_bundle_comes_back_as_it_was(tmp_path):
    made = bundle()
    save_bundle(made, Folder(tmp_path))
    loaded = load_bundle(Folder(tmp_path))
    assert loaded.description == made.description
    assert loaded.digest() == made.digest()
    assert loaded.modalities == ("image", "audio", "subtitle", "video")
    assert set(loaded.configs()) == {"image", "audio", "subtitle", "title"}
    assert {name: config.fingerprint() for name, config in loaded.configs().items()} == {
        name: config.fingerprint() for name, config in extractors().items() if name != "action"
    }
    assert not list(tmp_path.rglob("*.pkl"))


def test_the_digest_is_of_what_predicts_and_not_of_what_is_said_about_it():
    made = bundle()
    renamed = made.description.model_copy(update={"scores": {}, "code_version": {"mgn_ma": "9"}})
    assert Bundle(renamed, made.members, made.video_network).digest() == made.digest() == bundle().digest()
    others = [bundle(noise=0.1), bundle(weights=(0.5, 0.5)), bundle(data="e" * 64)]
    assert len({other.digest() for other in others} | {made.digest()}) == 4


def assembled(**changes):
    networks = video_networks()
    parts = {
        "members": {f"member_{n}": member(10 * n, networks) for n in (1, 2)},
        "video_networks": networks,
        "recipe": recipe(),
        "extractors": extractors(),
        "video_level": VIDEO_LEVEL,
    }
    return assemble(**(parts | changes), scores={}, data_fingerprint=None)


def test_parts_of_different_runs_are_refused():
    assert assembled().description.extractors.keys() == {"image", "audio", "subtitle", "title"}
    networks = video_networks()
    with pytest.raises(BundleError, match=r"member_1 was trained on the vectors of video-level networks [0-9a-f]{12}"):
        assembled(video_networks={"full": networks["full"]})
    with pytest.raises(BundleError, match="the recipe is for member_1, member_9; the members are member_1, member_2"):
        assembled(recipe=recipe(members=("member_1", "member_9")))
    with pytest.raises(BundleError, match="there are no members"):
        assembled(members={})


def test_tracks_of_another_extractor_are_refused_by_name():
    configs = extractors()
    other = configs | {"image": type(configs["image"]).model_validate({"name": "image_descriptor", "size": 99})}
    with pytest.raises(BundleError, match=r"image: a network was trained on tracks of extractor [0-9a-f]{12}"):
        assembled(extractors=other)
    del other["image"]
    with pytest.raises(BundleError, match="members read the modality 'image', and no extractor makes it"):
        assembled(extractors=other)


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/b", "", ".hidden", "a\\b", "a" * 51])
def test_a_member_that_would_be_read_elsewhere_is_refused(tmp_path, name):
    save_bundle(bundle(), Folder(tmp_path))
    described = (tmp_path / "bundle.json").read_text().replace('"member_2"', json.dumps(name))
    (tmp_path / "bundle.json").write_text(described)
    with pytest.raises(BundleError, match="can't be a member's name"):
        load_bundle(Folder(tmp_path))


def test_an_extractor_that_this_version_does_not_know_is_named(tmp_path):
    save_bundle(bundle(), Folder(tmp_path))
    described = (tmp_path / "bundle.json").read_text().replace('"image_descriptor"', '"picture_descriptor"')
    (tmp_path / "bundle.json").write_text(described)
    with pytest.raises(
        BundleError, match="image: the model's extractor is none of this version: there is no extractor"
    ):
        load_bundle(Folder(tmp_path)).configs()


def test_what_is_no_bundle_says_so(tmp_path):
    with pytest.raises(BundleError, match=r"there is no bundle\.json in"):
        load_bundle(Folder(tmp_path))
    (tmp_path / "bundle.json").write_text("{}")
    with pytest.raises(BundleError, match="does not describe a bundle"):
        load_bundle(Folder(tmp_path))


def test_scores_are_those_of_the_report():
    interval = {"estimate": 0.4, "low": 0.3, "high": 0.5, "n_videos": 7}
    report = {
        "validation": {"ensemble": 0.4, "intervals": {"ensemble": interval}, "per_expression": {"awe": 0.1}},
        "n_videos": 7,
        "method": "mean",
        "holdout": None,
    }
    assert scores_of(report | {"holdout": {"intervals": {"ensemble": interval}}})["holdout"] == interval
    assert scores_of(report) == {
        "validation": 0.4,
        "interval": interval,
        "holdout": None,
        "per_expression": {"awe": 0.1},
        "n_videos": 7,
        "method": "mean",
    }
