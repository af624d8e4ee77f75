"""A zero-shot model from prompts to curves: by tiny untrained encoders, and by directions made by hand."""

import numpy as np
import pytest
import torch
import transformers

from mgn_ma.eev.targets import Targets
from mgn_ma.extractors.base import TrackRows
from mgn_ma.extractors.pretrained import WeightsError
from mgn_ma.files import Folder
from mgn_ma.grid import grid_time
from mgn_ma.inference.model import DESCRIPTION, BundleError, ExtractorContract, load_model
from mgn_ma.inference.predictor import TracksMismatchError
from mgn_ma.inference.zero_shot.config import Scaling, read_config
from mgn_ma.inference.zero_shot.making import make_zero_shot
from mgn_ma.inference.zero_shot.model import CAUTION, DIRECTIONS, ZeroShot, ZeroShotDescription

TIMES = grid_time(np.arange(12))
ENDS = grid_time(np.arange(1, 13))


@pytest.fixture
def by_hand():
    """Two expressions along the axes of two spaces; nothing is smoothed."""
    contract = ExtractorContract(settings={"name": "hf_image", "pretrained": "nowhere"}, fingerprint="f" * 64)
    names = ("image", "audio")
    description = ZeroShotDescription(
        targets=Targets(names=("left", "right")),
        extractors=dict.fromkeys(names, contract),
        tolerances_us=dict.fromkeys(names, 0),
        scaling=Scaling(time_constant_s=0),
        neutral={},
        prompts={},
    )
    return ZeroShot(description, {name: np.eye(2, dtype=np.float32) for name in names})


def turning(times):
    """Vectors whose cosine with the first axis rises from 0 to 1."""
    angles = np.linspace(np.pi / 2, 0, len(times))
    return TrackRows(times, ENDS[: len(times)], np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32))


def test_curves_rise_and_fall_as_the_similarities_do(by_hand):
    found = by_hand.predictor().predict("v", {"image": turning(TIMES)}, TIMES)
    cosines = np.cos(np.linspace(np.pi / 2, 0, 12))
    assert np.corrcoef(found.values[:, 0], cosines)[0, 1] == pytest.approx(1.0, abs=1e-5)
    assert (np.diff(found.values[:, 0]) > 0).all() and (np.diff(found.values[:, 1]) < 0).all()
    np.testing.assert_allclose(found.values.mean(axis=0), 0.5, atol=1e-6)
    np.testing.assert_array_equal(found.members, found.values[None])
    np.testing.assert_array_equal(found.attention, np.tile([1.0, 0.0], (12, 1)))
    assert found.contributions.shape == (12, 0, 2)


def test_contributions_sum_to_the_difference_from_the_mean_and_are_each_modality_s_own(by_hand):
    sound = TrackRows(TIMES, ENDS, np.tile([[1.0, 0.0], [0.0, 1.0]], (6, 1)).astype(np.float32))
    tracks = {"image": turning(TIMES), "audio": sound}
    both = by_hand.predictor().predict("v", tracks, TIMES, explain=True)
    above = both.values - both.values.mean(axis=0)
    np.testing.assert_allclose(both.contributions.sum(axis=1), above, atol=1e-6)
    assert both.standard_error == 0
    # Additive: by itself a modality is the same curve, of twice the size as it is not halved.
    alone = by_hand.predictor().predict("v", {"image": tracks["image"]}, TIMES, explain=True)
    np.testing.assert_allclose(alone.contributions[:, 0], 2 * both.contributions[:, 0], atol=1e-6)
    assert not alone.contributions[:, 1].any()
    np.testing.assert_array_equal(both.attention, np.full((12, 2), 0.5, np.float32))


def test_tracks_of_another_width_or_without_numbers_are_refused(by_hand):
    with pytest.raises(TracksMismatchError, match="the image track has vectors of 3"):
        by_hand.predictor().predict("v", {"image": TrackRows(TIMES, ENDS, np.ones((12, 3), np.float32))}, TIMES)
    with pytest.raises(TracksMismatchError, match="its image track can't be used"):
        by_hand.predictor().predict("v", {"image": TrackRows(TIMES, ENDS, np.full((12, 2), np.nan))}, TIMES)


def test_it_is_the_same_after_a_folder(zero_shot, tmp_path):
    zero_shot.save(Folder(tmp_path))
    loaded = load_model(Folder(tmp_path))
    assert isinstance(loaded, ZeroShot)
    assert loaded.digest() == zero_shot.digest()
    assert loaded.caution == CAUTION
    assert zero_shot.with_code_version({"git": "1"}).digest() == zero_shot.digest()


def test_a_folder_that_is_damaged_is_refused(zero_shot, tmp_path):
    zero_shot.save(Folder(tmp_path))
    whole = (tmp_path / DIRECTIONS).read_bytes()
    (tmp_path / DIRECTIONS).write_bytes(whole[:50])
    with pytest.raises(BundleError, match="is absent or damaged"):
        load_model(Folder(tmp_path))
    (tmp_path / DIRECTIONS).unlink()
    with pytest.raises(BundleError, match="is absent or damaged"):
        load_model(Folder(tmp_path))
    described = (tmp_path / DESCRIPTION).read_text()
    (tmp_path / DESCRIPTION).write_text(described.replace('"format": 1', '"format": 9'))
    with pytest.raises(BundleError, match="does not describe a zero-shot model of format 1"):
        load_model(Folder(tmp_path))


def test_directions_that_do_not_fit_the_targets_are_refused(by_hand):
    with pytest.raises(BundleError, match="are not 2 finite vectors"):
        ZeroShot(by_hand.description, by_hand.directions | {"audio": np.ones((3, 2), np.float32)})
    with pytest.raises(BundleError, match="directions are of image, extractors of image, audio"):
        ZeroShot(by_hand.description, {"image": by_hand.directions["image"]})


def test_prompts_become_the_encoder_s_own_vectors(zero_shot, prompts_file):
    config = read_config(prompts_file)
    folder = config.encoders["image"].of_moments.pretrained.path
    model = transformers.AutoModel.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)

    def mean_of_units(texts):
        with torch.inference_mode():
            tokens = tokenizer(list(texts), return_tensors="pt", padding=True)
            vectors = model.get_text_features(**tokens).pooler_output
        return torch.nn.functional.normalize(vectors, dim=1).mean(0)

    expected = mean_of_units(config.prompts["awe"]["image"]) - mean_of_units(config.neutral["image"])
    row = zero_shot.description.targets.names.index("awe")
    np.testing.assert_allclose(zero_shot.directions["image"][row], expected, atol=1e-5)


def test_an_expression_without_a_prompt_for_a_modality_gets_nothing_of_it(prompts_file):
    config = read_config(prompts_file)
    quiet = config.model_copy(update={"prompts": {"calm": {"image": ("a lake",)}, "loud": {"audio": ("a drum",)}}})
    made = make_zero_shot(quiet)
    assert made.directions["image"][0].any() and not made.directions["image"][1].any()
    assert made.directions["audio"][1].any() and not made.directions["audio"][0].any()


def test_without_consent_nothing_is_fetched_and_both_downloads_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("mgn_ma.inference.zero_shot.making.fetch", lambda need: pytest.fail(f"{need} was fetched"))
    with pytest.raises(WeightsError) as raised:
        make_zero_shot(read_config())
    for encoder in read_config().encoders.values():
        assert f"{encoder.of_moments.pretrained.hub} ({encoder.about})" in str(raised.value)
    assert "mgn-ma predict --model zero-shot --fetch-weights" in str(raised.value)


def test_with_consent_what_is_absent_is_fetched(monkeypatch, prompts_file):
    fetched = []

    def fail(need):
        fetched.append(need.pretrained.hub)
        raise WeightsError("no answer")

    monkeypatch.setattr("mgn_ma.inference.zero_shot.making.fetch", fail)
    make_zero_shot(read_config(prompts_file), may_fetch=True)
    assert fetched == []
    elsewhere = read_config().model_copy(update={"encoders": dict([*read_config().encoders.items()][:1])})
    with pytest.raises(WeightsError, match="no answer"):
        make_zero_shot(elsewhere, may_fetch=True)
    assert fetched == [elsewhere.encoders["image"].of_moments.pretrained.hub]
