"""What the documentation claims of the labels: who can predict them, and who can't."""

from __future__ import annotations

import numpy as np
import pytest

import sample_ceilings
from mgn_ma.sample.config import SampleConfig
from mgn_ma.sample.script import write_script


@pytest.fixture(scope="module")
def scores() -> dict[str, float]:
    return sample_ceilings.ceilings(SampleConfig(videos=240))


def test_what_is_told_of_time_is_worth_more_each_time(scores: dict[str, float]) -> None:
    assert 0.75 < scores["oracle"] < 0.88
    order = ["moment", "windows", "one delay", "free lags", "oracle"]
    gained = np.diff([scores[name] / scores["oracle"] for name in order])
    assert (gained > [0.02, 0.03, 0.1, 0.05]).all()


def test_who_has_no_sound_track_has_no_sound_to_be_told_of() -> None:
    plans = [plan for plan in write_script(SampleConfig()) if "no_audio" in plan.quirks]
    assert plans
    for plan in plans:
        video = sample_ceilings._observe(plan, 0.5)
        assert not video.moment[:, 1].any()
        assert not video.windows[:, 1].any()


def test_without_the_theme_or_by_time_alone_nothing_is_known(scores: dict[str, float]) -> None:
    assert abs(scores["free lags, no theme"]) < 0.1
    assert abs(scores["time alone"]) < 0.1
    assert scores["theme alone"] == 0, "a constant within a video"


@pytest.mark.parametrize("modality", ["image", "audio", "action", "speech"])
def test_every_modality_has_its_share_and_none_is_enough(scores: dict[str, float], modality: str) -> None:
    assert 0.1 < scores[f"{modality} alone"] < 0.6 * scores["moment"]


def test_the_command_prints_a_row_for_every_predictor(capsys: pytest.CaptureFixture[str]) -> None:
    sample_ceilings.main(["--videos", "10", "--worlds", "2"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["world", "0", "world", "1", "mean"]
    assert [line.split("  ")[0] for line in lines[1:3]] == ["oracle", "free lags"]
    assert len(lines) == 13
