"""Nested values made flat, within MLflow's limits."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.utils.validation import _validate_metric_name, _validate_param_name
from pydantic import BaseModel

from mgn_ma.tracking.records import flatten_metrics, flatten_parameters


class Inner(BaseModel):
    rate: float = 0.5
    layers: tuple[int, ...] = (8, 4)


class Outer(BaseModel):
    inner: Inner = Inner()
    name: str | None = None


def test_parameters_are_flat_and_typed_ones_are_dumped():
    values = {"training": Outer(), "seeds": [1, 2], "modalities": {"image": {"tolerance_us": 5}}, "on": True, "a": ""}
    assert flatten_parameters(values) == {
        "training.inner.rate": "0.5",
        "training.inner.layers": "[8, 4]",
        "training.name": "null",
        "seeds": "[1, 2]",
        "modalities.image.tolerance_us": "5",
        "on": "true",
        "a": "",
    }


def test_lists_of_settings_are_numbered_and_empty_ones_stay_visible():
    values = {"members": [Inner(rate=1), {"rate": 2}], "none": {}, "empty": []}
    assert flatten_parameters(values) == {
        "members.0.rate": "1.0",
        "members.0.layers": "[8, 4]",
        "members.1.rate": "2",
        "none": "{}",
        "empty": "[]",
    }


def test_metrics_are_the_finite_numbers():
    report = {
        "validation": {"ensemble": 0.5, "members": [0.25, math.nan], "per_expression": {"awe": {"r": 1}, "pain": None}},
        "ok": True,
        "version": "1",
        "n": 3,
        "high": math.inf,
    }
    assert flatten_metrics(report) == {
        "validation/ensemble": 0.5,
        "validation/members/0": 0.25,
        "validation/per_expression/awe/r": 1.0,
        "n": 3.0,
    }


def test_metrics_can_do_without_details():
    report = {"validation": {"r": 1, "expressions": {"awe": 1}}, "methods": {"mean": 1}}
    assert flatten_metrics(report, leave_out={"expressions", "methods"}) == {"validation/r": 1.0}


@given(st.dictionaries(st.text(min_size=1, max_size=400), st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_any_name_is_made_one_that_mlflow_takes(values):
    for name in flatten_parameters(values):
        _validate_param_name(name)
    for name in flatten_metrics(values):
        _validate_metric_name(name)


@pytest.mark.parametrize("name", ["..", "../x", "/etc", "a//b", "a/../b", "x/", "."])
def test_names_that_look_like_paths_are_taken_too(name):
    (flat,) = flatten_parameters({name: 1})
    _validate_param_name(flat)
