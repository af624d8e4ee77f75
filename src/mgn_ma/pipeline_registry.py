"""Which pipelines `kedro run --pipelines …` knows, and what the default is made of."""

from __future__ import annotations

from pkgutil import iter_modules

from kedro.framework.project import find_pipelines
from kedro.framework.project import pipelines as registered
from kedro.pipeline import Pipeline

import mgn_ma.pipelines
from mgn_ma.errors import MGNMAError

DEFAULT = "__default__"
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


class UnknownPipelineError(MGNMAError):
    """No pipeline goes by a name that was given; the message lists those there are."""


def register_pipelines() -> dict[str, Pipeline]:
    """Every folder under ``mgn_ma.pipelines`` by its name, which tags its nodes; ``__default__`` is the whole chain.

    A run that asks for pipelines by name gets no others from Kedro, and then there is no chain to make.

    Raises:
        UnknownPipelineError: a run asks for one that is not there.
    """
    known = {DEFAULT, *(module.name for module in iter_modules(mgn_ma.pipelines.__path__) if module.ispkg)}
    unknown = sorted(set(registered._requested_pipelines or ()) - known)
    if unknown:
        raise UnknownPipelineError(f"there is no pipeline {unknown[0]!r}; there are {', '.join(sorted(known))}")
    pipelines = {name: pipeline.tag(name) for name, pipeline in find_pipelines(raise_errors=True).items()}
    if pipelines.keys() >= set(CHAIN):
        pipelines[DEFAULT] = sum((pipelines[name] for name in CHAIN), start=Pipeline([]))
    return pipelines
