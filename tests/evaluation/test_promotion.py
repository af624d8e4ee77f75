"""The decision alone, on numbers by hand."""

import math
from pathlib import Path

import numpy as np
import pytest
import yaml

from mgn_ma.evaluation.bootstrap import BootstrapConfig, Comparison, Interval, compare
from mgn_ma.evaluation.promotion import PromotionConfig, decide, decide_first

CONF = Path(__file__).parents[2] / "conf/base"


def decision(low, high=0.2, min_gain=0.0):
    gain = Comparison((low + high) / 2, low, high, 0.1, 8)
    score, other = Interval(0.4, 0.3, 0.5, 8), Interval(0.3, 0.2, 0.4, 8)
    return decide(2, 1, score, other, gain, PromotionConfig(min_gain=min_gain))


@pytest.mark.parametrize(
    ("low", "min_gain", "outcome"),
    [
        (0.01, 0.0, "promoted"),
        (0.0, 0.0, "kept"),
        (-0.01, 0.0, "kept"),
        (0.01, 0.01, "kept"),
        (0.011, 0.01, "promoted"),
    ],
)
def test_the_lower_end_of_the_gain_decides(low, min_gain, outcome):
    made = decision(low, min_gain=min_gain)
    assert made.outcome == outcome
    assert made.changes_champion == (outcome == "promoted")
    assert (made.version, made.champion) == (2, 1)


def test_the_reason_has_the_numbers():
    assert decision(0.01, min_gain=0.005).reason == (
        "it scores 0.4000, version 1 0.3000 on the same 8 validation videos; the gain is 0.1050 (interval 0.0100 to "
        "0.2000); its lower end is above the least gain of 0.005"
    )


def test_a_decision_on_the_hold_out_says_how_often_it_was_used():
    score, gain = Interval(0.4, 0.3, 0.5, 8), Comparison(0.1, 0.01, 0.2, 0.1, 8)
    first, third = decide_first(1, score, PromotionConfig(), 1), decide(2, 1, score, score, gain, PromotionConfig(), 3)
    assert first.reason == "there was no champion; it scores 0.4000 on 8 hold-out videos (used 1 time by now)"
    assert "on the same 8 hold-out videos (used 3 times by now); the gain is" in third.reason
    assert (first.holdout_uses, third.holdout_uses, decision(0.01).holdout_uses) == (1, 3, None)


def test_equal_scores_gain_nothing():
    of_videos = np.array([0.1, 0.5, 0.3])
    scores = compare(of_videos, of_videos, BootstrapConfig(resamples=100))
    assert (scores.low, scores.high) == (0, 0)
    assert decision(scores.low, scores.high).outcome == "kept"


def test_one_video_is_no_evidence():
    made = decision(math.nan, math.nan)
    assert made.outcome == "kept"
    assert "fewer than two videos give no interval" in made.reason


def test_without_a_champion_the_first_one_is_it():
    made = decide_first(1, Interval(0.4, 0.3, 0.5, 8), PromotionConfig())
    assert (made.outcome, made.champion) == ("promoted", None)
    assert made.reason == "there was no champion; it scores 0.4000 on 8 validation videos"


def test_the_configuration_file_says_the_defaults():
    stated = yaml.safe_load((CONF / "promotion/parameters.yml").read_text())["promotion"]
    assert PromotionConfig.model_validate(stated) == PromotionConfig()
    for name, wrong in (("min_gain", -0.1), ("version", 0), ("dryrun", True)):
        with pytest.raises(ValueError, match=name):
            PromotionConfig.model_validate({name: wrong})
