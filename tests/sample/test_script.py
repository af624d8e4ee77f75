"""What is decided before anything is rendered: splits, themes, ids, awkward videos."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mgn_ma.eev.frames import SPLITS
from mgn_ma.eev.video_ids import validate_video_id
from mgn_ma.sample.config import SampleConfig
from mgn_ma.sample.script import split_sizes, write_script
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
    for split in SPLITS:
        themes = Counter(plan.theme for plan in plans if plan.split == split)
        assert len(themes) == len(THEMES)
        assert max(themes.values()) - min(themes.values()) <= 1


def test_ids_are_distinct_everywhere_and_hold_the_traps() -> None:
    ids = [plan.video_id for seed in range(3) for plan in write_script(SampleConfig(videos=240, seed=seed))]
    assert len({video_id.lower() for video_id in ids}) == len(ids) == 720
    assert all(validate_video_id(video_id) == video_id and len(video_id) == 11 for video_id in ids)
    for split in SPLITS:
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


def test_awkward_videos_are_of_all_themes() -> None:
    counts = Counter(plan.theme for plan in write_script(SampleConfig(videos=240)) if plan.quirks)
    assert len(counts) == len(THEMES)


def test_a_plan_depends_on_the_seed_and_its_fingerprint_on_the_plan() -> None:
    first, again, other = (write_script(SampleConfig(seed=seed)) for seed in (1, 1, 2))
    assert first == again
    assert [plan.fingerprint for plan in first] == [plan.fingerprint for plan in again]
    assert not {plan.video_id for plan in first} & {plan.video_id for plan in other}
    longer = write_script(SampleConfig(seed=1, theme_share=0.7))
    assert not {plan.fingerprint for plan in first} & {plan.fingerprint for plan in longer}
    noisier = write_script(SampleConfig(seed=1, noise=0.9))
    assert [plan.fingerprint for plan in first] == [plan.fingerprint for plan in noisier], "noise is not in a video"


def test_every_title_names_its_theme_twice() -> None:
    for plan in write_script(SampleConfig(videos=60)):
        words = plan.title.lower().replace(",", "").split()
        named = [index for index, theme in enumerate(THEMES) for word in theme.words if word in words]
        assert named == [plan.theme] * 2


def test_settings_that_contradict_or_are_unknown_are_refused() -> None:
    with pytest.raises(ValidationError, match="longest_seconds"):
        SampleConfig(shortest_seconds=20, longest_seconds=10)
    with pytest.raises(ValidationError, match="video_count"):
        SampleConfig.model_validate({"video_count": 3})
