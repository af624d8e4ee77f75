"""What the documentation claims of the labels: who can predict them, and who can't."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from mgn_ma.sample.config import SampleConfig

PATH = Path(__file__).parents[2] / "benchmarks" / "sample_ceilings.py"
SCRIPT = runpy.run_path(str(PATH), run_name="sample_ceilings")


@pytest.fixture(scope="module")
def scores() -> dict[str, float]:
    scores: dict[str, float] = SCRIPT["ceilings"](SampleConfig(videos=240))
    return scores


def test_one_moment_and_the_theme_reach_three_quarters_of_the_oracle(scores: dict[str, float]) -> None:
    assert 0.75 < scores["oracle"] < 0.88
    assert scores["signals x theme"] > 0.75 * scores["oracle"]
    assert scores["signals x theme"] < 0.95 * scores["oracle"], "reactions lag"


def test_what_is_told_of_the_lags_is_worth_more_each_time(scores: dict[str, float]) -> None:
    order = ["signals x theme", "... and a reaction", "lags x theme", "oracle"]
    assert sorted(order, key=scores.__getitem__) == order
    assert scores["... and a reaction"] > scores["signals x theme"] + 0.03


def test_who_has_no_sound_track_has_no_sound_to_be_told_of() -> None:
    plans = [plan for plan in SCRIPT["write_script"](SampleConfig()) if "no_audio" in plan.quirks]
    assert plans
    for plan in plans:
        assert not SCRIPT["_observe"](plan, 0.5).lagged[:, :, 1].any()


def test_without_the_theme_or_by_time_alone_nothing_is_known(scores: dict[str, float]) -> None:
    assert abs(scores["signals without theme"]) < 0.1
    assert abs(scores["time alone"]) < 0.1
    assert scores["theme alone"] == 0, "a constant within a video"


@pytest.mark.parametrize("modality", ["image", "audio", "action", "speech"])
def test_every_modality_has_its_share_and_none_is_enough(scores: dict[str, float], modality: str) -> None:
    assert 0.2 < scores[f"{modality} x theme"] < 0.6 * scores["signals x theme"]


def test_the_command_prints_a_row_for_every_predictor(capsys: pytest.CaptureFixture[str]) -> None:
    SCRIPT["main"](["--videos", "10", "--seeds", "2"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["seed", "0", "seed", "1", "mean"]
    assert [line.split("  ")[0] for line in lines[1:3]] == ["oracle", "signals x theme"]
    assert len(lines) == 12
