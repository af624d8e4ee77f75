"""What the served model takes and gives, as MLflow shows it. docs/serving.md says it in words."""

from __future__ import annotations

import pandas as pd
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema, TensorSpec
from mlflow.types.schema import AnyType

from mgn_ma.grid import grid_time
from mgn_ma.inference.model import Model
from mgn_ma.inference.requests import EXPLAIN, REQUEST_COLUMNS, attention_column, contribution_names

_ANY = {"timestamp_us", "end_us", "vector"}
"""Checked by us: MLflow would refuse whole numbers in a vector and times that are left out."""


def signature(bundle: Model) -> ModelSignature:
    """Columns of the request, none required by itself, its parameter, and columns of the response."""
    any_type = AnyType()  # type: ignore[no-untyped-call]
    asked: list[ColSpec | TensorSpec] = [
        ColSpec(any_type if name in _ANY else DataType.string, name, required=False) for name in REQUEST_COLUMNS
    ]
    given: list[ColSpec | TensorSpec] = [
        ColSpec(DataType.string, "video_id"),
        ColSpec(DataType.long, "timestamp_us"),
        *(ColSpec(DataType.double, name) for name in bundle.description.targets.names),
        *(ColSpec(DataType.double, attention_column(name)) for name in bundle.modalities),
        *(ColSpec(DataType.double, name, required=False) for name in contribution_names(bundle)),
    ]
    params = ParamSchema([ParamSpec(EXPLAIN, DataType.boolean, default=False)])
    return ModelSignature(Schema(asked), Schema(given), params)


def input_example(bundle: Model) -> pd.DataFrame:
    """Two rows of a track of zeros, of the first modality that it reads."""
    modality, width = next(iter(bundle.widths.items()))
    rows = [("example", modality, grid_time(index), grid_time(index + 1), [0.0] * width) for index in (0, 1)]
    return pd.DataFrame(rows, columns=["video_id", "modality", "timestamp_us", "end_us", "vector"])
