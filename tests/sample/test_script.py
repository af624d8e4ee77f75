"""What is decided before anything is rendered: splits, themes, ids, awkward videos."""

from __future__ import annotations

from collections import Counter
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.stats import chisquare

from mgn_ma.eev.frames import ANNOTATED
from mgn_ma.eev.video_ids import validate_video_id
from mgn_ma.sample.config import SampleConfig
from mgn_ma.sample.script import VideoPlan, split_sizes, write_script
from mgn_ma.sample.world import THEMES


@given(st.integers(5, 2000))
def test_splits_take_every_video_about_three_to_one_to_one(videos: int) -> None:
    sizes = split_sizes(videos)
    assert sum(sizes.values()) == videos
    assert sizes["validation"] == sizes["test"] >= 1
    assert abs(sizes["train"] - 3 * videos / 5) <= 1


@pytest.mark.parametrize("videos", [40, 240])
def test_every_split_has_all_themes_alike(videos: int) -> None:
    plans = write_script(SampleConfig(videos=videos))
    assert len(plans) == videos
    for split in ANNOTATED:
        themes = Counter(plan.theme for plan in plans if plan.split == split)
        assert len(themes) == len(THEMES)
        assert max(themes.values()) - min(themes.values()) <= 1


def test_ids_are_distinct_everywhere_and_hold_the_traps() -> None:
    samples = [SampleConfig(videos=240, world=world, seed=seed) for world in range(2) for seed in range(2)]
    ids = [plan.video_id for config in samples for plan in write_script(config)]
    assert len({video_id.lower() for video_id in ids}) == len(ids) == 960
    assert all(validate_video_id(video_id) == video_id and len(video_id) == 11 for video_id in ids)
    for split in ANNOTATED:
        firsts = {plan.video_id[0] for plan in write_script(SampleConfig()) if plan.split == split}
        assert {"-", "_"} <= firsts


def test_the_default_sample_has_every_awkward_video_where_it_matters() -> None:
    plans = write_script(SampleConfig())
    quirks = {(plan.split, quirk) for plan in plans for quirk in plan.quirks}
    assert {quirk for _, quirk in quirks} == {
        "missing",
        "no_audio",
        "no_captions",
        "variable_rate",
        "odd_size",
        "rotated",
        "silent_expression",
    }
    assert {("train", "missing"), ("test", "missing")} <= quirks
    assert ("validation", "missing") not in quirks
    assert any(plan.frame_rate == (30_000, 1_001) for plan in plans)
    assert all(15 <= plan.seconds <= 30 for plan in plans)
    assert not any(plan.quirks for plan in write_script(SampleConfig(awkward=False)))


def test_what_is_awkward_about_a_video_says_nothing_of_its_theme() -> None:
    plans = [plan for seed in range(40) for plan in write_script(SampleConfig(seed=seed))]
    for quirk in ("missing", "no_audio", "no_captions", "variable_rate", "rotated", "odd_size", "silent_expression"):
        counts = Counter(plan.theme for plan in plans if quirk in plan.quirks)
        assert chisquare([counts[theme] for theme in range(len(THEMES))]).pvalue > 0.001, quirk


@pytest.mark.parametrize("carrier", ["picture_theme", "sound_theme", "title"])
def test_pictures_sound_and_title_are_mostly_of_the_theme_and_err_by_themselves(carrier: str) -> None:
    def shown(plan: VideoPlan, name: str) -> int:
        return _theme_of_title(plan) if name == "title" else int(getattr(plan, name))

    plans = write_script(SampleConfig(videos=2000))
    wrong = [plan for plan in plans if shown(plan, carrier) != plan.theme]
    assert len(wrong) / len(plans) == pytest.approx(0.2, abs=0.03)
    for other in {"picture_theme", "sound_theme", "title"} - {carrier}:
        assert np.mean([shown(plan, other) == plan.theme for plan in wrong]) == pytest.approx(0.8, abs=0.08)
    assert set(Counter((plan.theme, shown(plan, carrier)) for plan in wrong)) == set(permutations(range(4), 2))


def test_a_plan_depends_on_the_seed_and_its_fingerprint_on_the_plan() -> None:
    first, again, other = (write_script(SampleConfig(seed=seed)) for seed in (1, 1, 2))
    elsewhere = write_script(SampleConfig(world=1, seed=1))
    assert first == again
    assert [plan.fingerprint for plan in first] == [plan.fingerprint for plan in again]
    assert not {plan.video_id for plan in first} & {plan.video_id for plan in [*other, *elsewhere]}
    longer = write_script(SampleConfig(seed=1, theme_share=0.7))
    assert not {plan.fingerprint for plan in first} & {plan.fingerprint for plan in longer}
    noisier = write_script(SampleConfig(seed=1, noise=0.9))
    assert [plan.fingerprint for plan in first] == [plan.fingerprint for plan in noisier], "noise is not in a video"


def test_every_title_names_one_theme_twice() -> None:
    for plan in write_script(SampleConfig(videos=60)):
        assert plan.title[0].isupper()
        assert _theme_of_title(plan) in range(len(THEMES))


def _theme_of_title(plan: VideoPlan) -> int:
    words = plan.title.lower().replace(",", "").split()
    first, second = [index for index, theme in enumerate(THEMES) for word in theme.words if word in words]
    assert first == second
    return first


def test_settings_that_contradict_or_are_unknown_are_refused() -> None:
    with pytest.raises(ValidationError, match="longest_seconds"):
        SampleConfig(shortest_seconds=20, longest_seconds=10)
    with pytest.raises(ValidationError, match="video_count"):
        SampleConfig.model_validate({"video_count": 3})
