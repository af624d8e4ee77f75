"""The annotation tables as a reader of EEV meets them, and the truth beside them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mgn_ma.eev.annotations import validate_annotations
from mgn_ma.eev.frames import Split
from mgn_ma.eev.targets import EEV
from mgn_ma.grid import grid_timestamps_us
from mgn_ma.sample.annotations import annotate, eev_annotations, hidden_labels, noise_free_signal, video_table
from mgn_ma.sample.config import SampleConfig
from mgn_ma.sample.process import Signal, draw_signals, noise_free_logits
from mgn_ma.sample.script import VideoPlan, write_script
from mgn_ma.sample.world import draw_world

NOISE = 0.5


@pytest.fixture(scope="module")
def plans() -> list[VideoPlan]:
    return write_script(SampleConfig())


@pytest.mark.parametrize("split", ["train", "validation"])
def test_a_labelled_table_survives_a_file_and_passes_validation(
    plans: list[VideoPlan], split: Split, tmp_path: Path
) -> None:
    table = eev_annotations(plans, split, NOISE)
    assert list(table.columns) == ["YouTube ID", "Timestamp (milliseconds)", *EEV.names]
    assert table["Timestamp (milliseconds)"].head(7).tolist() == [0, 166666, 333333, 500000, 666666, 833333, 1000000]
    table.to_csv(tmp_path / "table.csv", index=False)
    read = pd.read_csv(tmp_path / "table.csv", dtype={"YouTube ID": str}, na_filter=False)
    frames = validate_annotations(read, source="table.csv", targets=EEV)
    assert frames["video_id"].drop_duplicates().tolist() == [plan.video_id for plan in plans if plan.split == split]
    lengths = frames.groupby("video_id", sort=False)["timestamp_us"].max()
    for plan in (plan for plan in plans if plan.split == split):
        assert plan.duration_us - 166_667 <= lengths[plan.video_id] < plan.duration_us


def test_the_test_table_has_another_id_header_and_no_labels(plans: list[VideoPlan]) -> None:
    table = eev_annotations(plans, "test", NOISE)
    assert list(table.columns) == ["Video ID", "Timestamp (milliseconds)"]
    truth, hidden = noise_free_signal(plans, "test", NOISE), hidden_labels(plans, "test", NOISE)
    for frames in (truth, hidden):
        np.testing.assert_array_equal(frames["video_id"], table["Video ID"])
        np.testing.assert_array_equal(frames["timestamp_us"], table["Timestamp (milliseconds)"])
        assert list(frames.columns) == ["video_id", "timestamp_us", *EEV.names]


def test_some_rows_have_no_face_and_one_expression_nobody_was_seen_to_show(plans: list[VideoPlan]) -> None:
    table = eev_annotations(plans, "train", NOISE)
    faceless = (table[list(EEV.names)] == 0).all(axis=1)
    assert 0.001 < faceless.mean() < 0.05
    runs = (faceless & ~faceless.shift(fill_value=False)).sum()
    assert runs <= table.loc[faceless, "YouTube ID"].nunique(), "one gap a video"
    (silent,) = [plan for plan in plans if plan.split == "train" and plan.silent_expression]
    block = table[table["YouTube ID"] == silent.video_id]
    assert (block[silent.silent_expression] == 0).all()
    assert (block[list(EEV.names)].max() > 0).sum() == 14


def test_the_truth_never_is_zero_and_lies_in_the_middle_of_the_labels(plans: list[VideoPlan]) -> None:
    truth = noise_free_signal(plans, "train", NOISE)[list(EEV.names)].to_numpy(np.float64)
    labels = eev_annotations(plans, "train", NOISE)[list(EEV.names)].to_numpy()
    assert truth.min() > 0
    assert truth.max() < 1
    seen = labels > 0
    errors = np.log(labels[seen] / (1 - labels[seen])) - np.log(truth[seen] / (1 - truth[seen]))
    assert abs(errors.mean()) < 0.02
    assert errors.std() == pytest.approx(NOISE, rel=0.05)


def test_a_silent_video_moves_nobody_by_its_sound(plans: list[VideoPlan]) -> None:
    (silent,) = [plan for plan in plans if plan.split == "train" and "no_audio" in plan.quirks]
    signals: dict[str, Signal] = {**draw_signals(silent.seed, silent.video_id)}
    signals["audio"] = lambda seconds: np.full(np.shape(seconds), 0.5)
    seconds = grid_timestamps_us(silent.duration_us) / 1e6
    expected = noise_free_logits(draw_world(silent.world), silent.theme, signals, seconds)
    truth, _ = annotate(silent, NOISE)
    np.testing.assert_allclose(np.log(truth / (1 - truth)), expected, atol=1e-9)


def test_the_same_videos_in_another_world_get_other_labels(plans: list[VideoPlan]) -> None:
    truth, _ = annotate(plans[0], NOISE)
    elsewhere, _ = annotate(replace(plans[0], world=1), NOISE)
    assert np.abs(elsewhere - truth).mean() > 0.02


def test_videos_are_told_by_theme_and_what_is_awkward_about_them(plans: list[VideoPlan]) -> None:
    table = video_table(plans)
    assert table["theme"].value_counts().tolist() == [10, 10, 10, 10]
    assert table.loc[table["quirks"] == "missing", "split"].value_counts().to_dict() == {"train": 2, "test": 1}
