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
    "registration",
)
"""From annotations and videos to figures and the registered model, in the order of the data."""


def register_pipelines() -> dict[str, Pipeline]:
    """Every folder under ``mgn_ma.pipelines`` by its name; ``__default__`` is the whole chain.

    A run that asks for pipelines by name gets no others from Kedro, and then there is no chain to make.
    """
    pipelines = find_pipelines(raise_errors=True)
    if pipelines.keys() >= set(CHAIN):
        pipelines["__default__"] = sum((pipelines[name] for name in CHAIN), start=Pipeline([]))
    return pipelines
