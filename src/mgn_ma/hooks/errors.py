"""Errors that end with what to do, instead of a page of frames with the reason somewhere above."""

from __future__ import annotations

import re
import sys
import traceback
from collections.abc import Sequence
from copy import copy
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.framework.project import pipelines
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from kedro.validation.exceptions import ParameterValidationError

from mgn_ma.errors import TRACEBACK_VARIABLE, MGNMAError, message_for_people
from mgn_ma.hooks.catalog_files import unwrapped
from mgn_ma.redaction import redact_logs, redacted
from mgn_ma.terminal import escape_unprintable

DEFAULT = "__default__"
SAMPLE = "sample_data"
"""The pipeline that makes raw data, where an environment has none."""
_READ_AS_A_NUMBER = re.compile(r"valid string .*input_type=(int|float|bool|date)")
_QUOTE = """Text that YAML reads as no text, such as the ID 0x1F, is quoted: --params 'prediction.videos="0x1F"'"""


class NoDataError(MGNMAError):
    """A file that a run starts from is not there; the message says how to come by it."""


class UnknownParameterError(MGNMAError):
    """``--params`` sets what no configuration has; the message says what is nearest."""


class UnknownEnvironmentError(MGNMAError):
    """No configuration environment goes by the name that was given; the message lists those there are."""


class ErrorHooks:
    """Says early what a run lacks, and lets Kedro's output end with the reason for a foreseen error."""

    def __init__(self) -> None:
        self._context: KedroContext | None = None
        self._catalog: CatalogProtocol[Any, Any] | None = None
        self._inputs: set[str] = set()

    @hook_impl(tryfirst=True)
    def after_context_created(self, context: KedroContext) -> None:
        """From here on the last line of a failed run is its reason, and no line of the log holds a secret.

        Raises:
            UnknownEnvironmentError: the configuration has no such environment.
            UnknownParameterError: a parameter is given that nothing reads.
        """
        self._context = context
        sys.excepthook = partial(show, env=context.env)
        escape_unprintable()
        redact_logs()  # Kedro lets the configuration of logging name no classes of ours
        configuration = Path(str(getattr(context.config_loader, "conf_source", "")))
        if context.env and configuration.is_dir() and not (configuration / context.env).is_dir():
            known = sorted(folder.name for folder in configuration.iterdir() if folder.is_dir())
            raise UnknownEnvironmentError(f"there is no environment {context.env!r}; there are {', '.join(known)}")
        _require_known_parameters(context.config_loader)

    @hook_impl
    def after_catalog_created(self, catalog: CatalogProtocol[Any, Any]) -> None:
        """Remember the catalog: hooks on datasets are told a name only."""
        self._catalog = catalog

    @hook_impl
    def before_pipeline_run(self, pipeline: Pipeline) -> None:
        """Remember what the run starts from."""
        self._inputs = pipeline.inputs()

    @hook_impl(tryfirst=True)
    def before_dataset_loaded(self, dataset_name: str) -> None:
        """Stop where a run starts from a file that is not there.

        Raises:
            NoDataError: with the ways to come by it.
        """
        if self._context is None or self._catalog is None or dataset_name not in self._inputs:
            return
        from mgn_ma.datasets.annotations import AnnotationsDataset  # with pandas, which a start can do without

        dataset: Any = unwrapped(self._catalog.get(dataset_name))
        # Datasets of this project know themselves what their absence means, but for what a run starts with.
        knows = type(dataset).__module__.startswith("mgn_ma.") and not isinstance(dataset, AnnotationsDataset)
        if knows or dataset.exists():
            return
        path = str(getattr(dataset, "_filepath", dataset_name)).removeprefix(f"{self._context.project_path}/")
        pipelines.set_requested(None)
        makers = [name for name, made in pipelines.items() if name != DEFAULT and dataset_name in made.all_outputs()]
        sample = self._context.config_loader["parameters"].get("sample", {})
        raise NoDataError(no_data_message(path, makers, renders=bool(sample.get("render"))))


def _require_known_parameters(loader: Any) -> None:
    """Deeper keys are for the models of the parameters to refuse: a key of the first level would reach none of them."""
    given = getattr(loader, "runtime_params", None) or {}
    if not given:
        return
    without = copy(loader)
    without.runtime_params = {}
    known = sorted(without["parameters"])
    for name in given:
        if name not in known:
            near = get_close_matches(str(name), known, n=1)
            raise UnknownParameterError(
                f"--params: there is no parameter {name!r}; "
                + (f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}")
            )


def no_data_message(path: str, makers: Sequence[str], *, renders: bool) -> str:
    """What to do when the file ``path`` is missing.

    Args:
        path: as a reader knows it.
        makers: the pipelines that make it.
        renders: whether the raw data of the environment are a sample that it renders itself.
    """
    if renders and SAMPLE in makers:
        return (
            f"{path} does not exist: the sample is not rendered yet. Put the pipeline first that renders it:\n"
            f"    kedro run --pipelines {SAMPLE},{DEFAULT}"
        )
    makers = [name for name in makers if name != SAMPLE]
    if makers:
        return (
            f"{path} does not exist. Run the pipeline first that makes it:\n"
            f"    kedro run --pipelines {' or '.join(makers)}"
        )
    return (
        f"{path} does not exist: there is no data to run on. Either\n"
        "  - put EEV's annotations and your videos under data/01_raw (see docs/own-data.md), or\n"
        "  - run the embedded sample, which needs no download:\n"
        f"      kedro run --env sample --pipelines {SAMPLE},{DEFAULT}"
    )


def for_environment(message: str, env: str | None) -> str:
    """A message whose commands are for a run's environment, of which those who write messages need not know."""
    return message.replace("kedro run --pipelines", f"kedro run --env {env} --pipelines") if env else message


def show(
    kind: type[BaseException], error: BaseException, frames: TracebackType | None, *, env: str | None = None
) -> None:
    """Print a foreseen error as its message and any other in full, for ``sys.excepthook``."""
    message = message_for_people(error, also=(ParameterValidationError,))
    if message is None:
        sys.stderr.write(redacted("".join(traceback.format_exception(kind, error, frames))))
    else:
        if _READ_AS_A_NUMBER.search(message):
            message += f"\n{_QUOTE}"
        message = for_environment(message, env)
        sys.stderr.write(f"\nError: {message}\n\n({TRACEBACK_VARIABLE}=1 shows where it was raised)\n")
