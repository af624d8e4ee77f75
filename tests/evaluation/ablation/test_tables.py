"""The tables' numbers against SciPy's and numbers worked out by hand."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_1samp

from mgn_ma.evaluation.ablation.config import TableRow
from mgn_ma.evaluation.ablation.tables import TABLE_COLUMNS, VariantScores, make_table, seed_interval
from mgn_ma.evaluation.bootstrap import BootstrapConfig

BOOTSTRAP = BootstrapConfig(resamples=400)
VIDEOS = ["b", "a", "c"]


def rows(variant, by_seed, split="validation"):
    """A score for every video of each seed."""
    return [
        {"split": split, "predictor": variant, "seed": seed, "video_id": video, "score": score}
        for seed, scores in by_seed.items()
        for video, score in zip(VIDEOS, scores, strict=True)
    ]


@pytest.fixture
def scores():
    table = rows("oracle", {0: [0.8, 0.8, 0.8]})
    table += rows("weak", {0: [0.1, 0.2, 0.3], 1: [0.1, 0.4, 0.1]})
    table += rows("strong", {0: [0.4, 0.6, np.nan], 1: [0.2, 0.4, np.nan]})
    table += rows("weak", {0: [0.0, 0.1, 0.2], 1: [0.2, 0.1, 0.0]}, "test")
    table += rows("strong", {0: [0.0, 0.1, 0.2], 1: [0.2, 0.1, 0.0]}, "test")
    return VariantScores.from_table(pd.DataFrame(table))


@pytest.mark.parametrize("n", [2, 5])
def test_the_interval_over_seeds_is_student_s(n):
    values = np.random.default_rng(n).normal(0.4, 0.1, n)
    expected = ttest_1samp(values, 0).confidence_interval(0.9)
    mean, low, high = seed_interval(values, 0.9)
    assert mean == pytest.approx(values.mean())
    assert (low, high) == (pytest.approx(expected.low), pytest.approx(expected.high))


def test_one_training_has_no_interval():
    mean, low, high = seed_interval(np.array([0.3]), 0.95)
    assert mean == 0.3
    assert np.isnan([low, high]).all()


def test_a_row_has_its_means_and_its_step(scores):
    asked = [
        TableRow(row="W", variant="weak", paper_eev_test=0.01),
        TableRow(row="S", variant="strong", paper_eev_test=0.03),
    ]
    table = make_table("t", asked, scores, BOOTSTRAP)
    assert list(table.columns) == list(TABLE_COLUMNS)
    weak, strong = table.to_dict("records")
    assert weak["seeds"] == 2
    assert pd.isna(weak["over"]) and strong["over"] == "weak"
    assert weak["validation"] == pytest.approx(0.2)
    assert strong["validation"] == pytest.approx((0.5 + 0.3) / 2), "a video that eq. 4 leaves out counts nowhere"
    assert strong["validation_of_oracle"] == pytest.approx(0.5)
    assert np.isnan(strong["test_of_oracle"])
    # b: 0.3 - 0.1, a: 0.5 - 0.3; c has no score of one of them.
    assert strong["validation_step"] == pytest.approx(0.2)
    assert strong["validation_step_low"] == pytest.approx(0.2)
    assert strong["validation_p_not_higher"] == pytest.approx(1 / 401)
    assert strong["test_step"] == 0.0
    assert strong["test_p_not_higher"] == 1.0
    assert strong["paper_step"] == pytest.approx(0.02)


def test_over_another_row_than_the_one_above(scores):
    asked = [TableRow(row=name, variant=name) for name in ("weak", "strong")]
    asked.append(TableRow(row="again", variant="strong", over="weak"))
    table = make_table("t", asked, scores, BOOTSTRAP)
    assert table["over"].tolist()[1:] == ["weak", "weak"]
    assert table["validation_step"][2] == table["validation_step"][1]
    assert table["paper_step"].isna().all()


def test_without_test_truth_its_columns_are_there_and_empty():
    scores = VariantScores.from_table(pd.DataFrame(rows("weak", {0: [0.1, 0.2, 0.3]})))
    (row,) = make_table("t", [TableRow(row="W", variant="weak")], scores, BOOTSTRAP).to_dict("records")
    assert np.isnan(row["test"])
    assert row["validation"] == pytest.approx(0.2)
