"""Which pipelines `kedro run --pipelines …` knows, and what the default is made of."""

from __future__ import annotations

from kedro.framework.project import find_pipelines
from kedro.pipeline import Pipeline

CHAIN = (
    "ingestion",
    "frame_features",
    "clip_features",
    "video_features",
    "model_input",
    "training",
    "evaluation",
    "ensembling",
    "reporting",
)
"""From annotations and videos to figures, in the order of the data."""


def register_pipelines() -> dict[str, Pipeline]:
    """Every folder under ``mgn_ma.pipelines`` by its name; ``__default__`` is the whole chain."""
    pipelines = find_pipelines(raise_errors=True)
    pipelines["__default__"] = sum((pipelines[name] for name in CHAIN), start=Pipeline([]))
    return pipelines
