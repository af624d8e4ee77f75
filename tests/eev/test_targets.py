"""Targets: what can be one, the way to shares and back, and the annotations of any of them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from mgn_ma.eev.annotations import ID_COLUMNS, TIMESTAMP_COLUMN, AnnotationError, validate_annotations
from mgn_ma.eev.errors import FrameTableError
from mgn_ma.eev.frames import KEY_COLUMNS, expression_matrix, expression_names
from mgn_ma.eev.targets import BESIDE_TARGETS, EEV, Targets
from mgn_ma.evaluation.metrics import SCORE_COLUMNS
from mgn_ma.inference.requests import attention_column

AFFECT = Targets(names=("valence", "arousal"), minimum=-1, zero_rows_mean_no_face=False)
names = st.text("abcdefghij _-é,", min_size=1, max_size=8).filter(lambda name: name == name.strip())


@st.composite
def any_targets(draw):
    low, high = sorted(draw(st.lists(st.integers(-1000, 1000), min_size=2, max_size=2, unique=True)))
    chosen = draw(st.lists(names, min_size=1, max_size=5, unique=True))
    return Targets(names=chosen, minimum=low / 4, maximum=high / 4, zero_rows_mean_no_face=draw(st.booleans()))


def annotations(targets, values):
    table = pd.DataFrame({"YouTube ID": "-a", TIMESTAMP_COLUMN: np.arange(len(values)) * 1_000_000 // 6})
    return table.assign(**dict(zip(targets.names, values.T, strict=True)))


def test_eev_is_the_default_and_its_shares_are_its_values_to_the_last_bit():
    assert Targets() == EEV
    assert len(EEV.names) == 15 and list(EEV.names) == sorted(EEV.names)
    values = np.random.default_rng(0).random((100, 15), dtype=np.float32)
    np.testing.assert_array_equal(EEV.to_shares(values), values)
    np.testing.assert_array_equal(EEV.from_shares(values), values)
    assert EEV.from_shares(values).dtype == np.float32


def test_the_fifteen_stand_once_in_the_package():
    source = Path(__file__).parents[2] / "src"
    quoted = re.compile("|".join(f'"{name}"' for name in EEV.names))
    counts = {file: len(quoted.findall(file.read_text())) for file in source.rglob("*.py")}
    assert {file: count for file, count in counts.items() if count} == {source / "mgn_ma/eev/targets.py": 15}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"names": []}, "at least 1 item"),
        ({"names": ["valence", "valence"]}, "two targets are called 'valence'"),
        ({"names": ["timestamp_us"]}, "'timestamp_us': another column of the tables has that name"),
        ({"names": ["attention_image"]}, "'attention_image': another column"),
        ({"names": [" valence"]}, "printable text without space around it"),
        ({"names": ["a\nb"]}, "printable text"),
        ({"names": [""]}, "printable text"),
        ({"minimum": 1}, "minimum, 1, is not below their maximum, 1"),
        ({"maximum": float("inf")}, "finite"),
        ({"range": [0, 1]}, "Extra inputs"),
    ],
)
def test_what_can_be_no_target_is_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        Targets.model_validate(settings)


def test_no_target_can_hide_a_column_of_any_table():
    assert {*KEY_COLUMNS, *ID_COLUMNS, TIMESTAMP_COLUMN, *SCORE_COLUMNS} <= BESIDE_TARGETS
    assert attention_column("image").startswith("attention_")


def test_a_frame_without_a_face_is_one_only_where_zeros_say_so():
    columns = [np.array([0.0, 0.5, 0.0]), np.array([0.0, 0.0, -0.5])]
    assert EEV.labelled(columns).tolist() == [False, True, True]
    assert AFFECT.labelled(columns).tolist() == [True, True, True]


def test_a_table_of_other_targets_says_what_it_has_instead():
    frames = validate_annotations(annotations(AFFECT, np.zeros((2, 2))), source="train.csv", targets=AFFECT)
    assert expression_names(frames) == ("valence", "arousal")
    with pytest.raises(FrameTableError, match="has no column 'dominance', only valence, arousal: it was"):
        expression_matrix(frames, ["valence", "dominance"])


@settings(max_examples=40, deadline=None)
@given(any_targets(), st.data())
def test_any_targets_are_read_and_come_back_from_shares(targets, data):
    n_values = 4 * len(targets.names)
    within = st.floats(targets.minimum, targets.maximum)
    values = np.array(data.draw(st.lists(within, min_size=n_values, max_size=n_values))).reshape(4, -1)
    raw = annotations(targets, values).assign(**{"a column of theirs": 7.0})
    frames = validate_annotations(raw[raw.columns[::-1]], source="train.csv", targets=targets)
    assert tuple(frames.columns) == (*KEY_COLUMNS, *targets.names)
    np.testing.assert_array_equal(expression_matrix(frames, targets.names), values.astype(np.float32))
    shares = targets.to_shares(values.astype(np.float32))
    assert shares.min() >= -1e-6 and shares.max() <= 1 + 1e-6
    np.testing.assert_allclose(targets.from_shares(shares), values, atol=1e-5 * max(targets.span, 1), rtol=1e-5)


@settings(max_examples=40, deadline=None)
@given(any_targets(), st.data())
def test_a_value_out_of_any_range_is_named_by_row_column_and_value(targets, data):
    values = np.full((3, len(targets.names)), targets.minimum)
    row, column = data.draw(st.integers(0, 2)), data.draw(st.integers(0, len(targets.names) - 1))
    outside = [targets.minimum - 0.01, targets.maximum + 0.01, np.nan, np.inf]
    values[row, column] = data.draw(st.sampled_from(outside))
    with pytest.raises(AnnotationError) as caught:
        validate_annotations(annotations(targets, values), source="train.csv", targets=targets)
    assert (caught.value.row, caught.value.column) == (row + 2, targets.names[column])
    assert "\n" not in str(caught.value)


@settings(max_examples=20, deadline=None)
@given(any_targets(), st.data())
def test_a_missing_or_doubled_column_is_named(targets, data):
    raw = annotations(targets, np.full((3, len(targets.names)), targets.minimum))
    name = data.draw(st.sampled_from(targets.names))
    with pytest.raises(AnnotationError, match="is missing") as caught:
        validate_annotations(raw.drop(columns=name), source="train.csv", targets=targets)
    assert caught.value.column == name
    doubled = pd.concat([raw, raw[[name]]], axis=1)
    with pytest.raises(AnnotationError, match="two columns are called") as caught:
        validate_annotations(doubled, source="train.csv", targets=targets)
    assert repr(name) in str(caught.value)
