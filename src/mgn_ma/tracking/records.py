"""From nested Python values to what MLflow keeps: flat parameters, tags and metrics within its limits."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Container, Iterator, Mapping, Sequence

from mlflow.entities import Metric, Param, RunTag
from mlflow.tracking import MlflowClient
from mlflow.utils.validation import MAX_ENTITY_KEY_LENGTH, MAX_PARAM_VAL_LENGTH, MAX_TAG_VAL_LENGTH
from pydantic import BaseModel

from mgn_ma.redaction import redacted

_FORBIDDEN = re.compile(r"[^\w./ -]")
_DOTS = re.compile(r"^\.+$|^\.\.")


def flatten_parameters(values: Mapping[str, object]) -> dict[str, str]:
    """``{"a": {"b": 1}}`` to ``{"a.b": "1"}``; Pydantic models by their dump, sequences of scalars as JSON,
    addresses without their secrets.

    Names are cut to what MLflow accepts; an empty mapping or list is kept as ``{}`` or ``[]``, so that it can be seen.
    """
    return {_name(key): value for key, value in _leaves("", values)}


def _leaves(prefix: str, value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    if isinstance(value, Mapping) and value:
        for key, child in value.items():
            yield from _leaves(f"{prefix}.{key}" if prefix else str(key), child)
    elif isinstance(value, list | tuple) and any(isinstance(child, Mapping | BaseModel) for child in value):
        for index, child in enumerate(value):
            yield from _leaves(f"{prefix}.{index}", child)
    elif prefix:
        yield prefix, redacted(value if isinstance(value, str) else json.dumps(value, default=str))


def flatten_metrics(values: Mapping[str, object], leave_out: Container[str] = ()) -> dict[str, float]:
    """The finite numbers of a nested report by their path, ``validation/members/0``; all else is left out.

    MLflow's page groups charts by what stands before the slash.

    Args:
        values: the report.
        leave_out: keys, at any depth, whose content is too much for a list of metrics.
    """
    return {_name(key): number for key, number in _numbers("", values, leave_out)}


def _numbers(prefix: str, value: object, leave_out: Container[str]) -> Iterator[tuple[str, float]]:
    if isinstance(value, Mapping):
        for key, child in value.items():
            if key not in leave_out:
                yield from _numbers(f"{prefix}/{key}" if prefix else str(key), child, leave_out)
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        for index, child in enumerate(value):
            yield from _numbers(f"{prefix}/{index}", child, leave_out)
    elif isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        yield prefix, float(value)


def _name(key: str) -> str:
    """``key`` as MLflow takes it: its characters, its length, and nothing that would be another path when resolved."""
    clean = _FORBIDDEN.sub("_", key)[:MAX_ENTITY_KEY_LENGTH]
    parts = (_DOTS.sub("_", part) for part in clean.split("/") if part)
    return "/".join(parts) or "_"


def log_parameters(client: MlflowClient, run_id: str, values: Mapping[str, object]) -> None:
    """Log ``values`` flat; one too long for a parameter becomes a tag."""
    flat = flatten_parameters(values)
    params = [Param(key, value) for key, value in flat.items() if len(value) <= MAX_PARAM_VAL_LENGTH]
    tags = [RunTag(key, value[:MAX_TAG_VAL_LENGTH]) for key, value in flat.items() if len(value) > MAX_PARAM_VAL_LENGTH]
    client.log_batch(run_id, params=params, tags=tags)


def log_metrics(client: MlflowClient, run_id: str, values: Mapping[str, float]) -> None:
    """Log numbers that a run has once."""
    now = int(time.time() * 1000)
    client.log_batch(run_id, metrics=[Metric(name, value, now, 0) for name, value in values.items()])
