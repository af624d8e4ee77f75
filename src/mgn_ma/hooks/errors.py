"""Errors that end with what to do, instead of a page of frames with the reason somewhere above."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any

from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol
from kedro.validation.exceptions import ParameterValidationError

from mgn_ma.errors import TRACEBACK_VARIABLE, MGNMAError, message_for_people
from mgn_ma.hooks.catalog_files import layer, unwrapped


class NoDataError(MGNMAError):
    """The raw data that a run starts from is not there."""


class ErrorHooks:
    """Says early that there is no data, and lets Kedro's output end with the reason for a foreseen error."""

    def __init__(self) -> None:
        self._env = "base"
        self._project_path = Path()
        self._catalog: CatalogProtocol[Any, Any] | None = None

    @hook_impl(tryfirst=True)
    def after_context_created(self, context: KedroContext) -> None:
        """From here on the last line of a failed run is its reason."""
        self._env = context.env or "base"
        self._project_path = Path(context.project_path)
        sys.excepthook = show

    @hook_impl
    def after_catalog_created(self, catalog: CatalogProtocol[Any, Any]) -> None:
        """Remember the catalog: hooks on datasets are told a name only."""
        self._catalog = catalog

    @hook_impl(tryfirst=True)
    def before_dataset_loaded(self, dataset_name: str) -> None:
        """Stop where a raw file is asked for that is not there.

        Raises:
            NoDataError: with the two ways to come by data.
        """
        dataset: Any = unwrapped(self._catalog.get(dataset_name)) if self._catalog is not None else None
        # Datasets of this project know themselves what their absence means.
        ours = type(dataset).__module__.startswith("mgn_ma.")
        if dataset is None or ours or layer(dataset) != "raw" or dataset.exists():
            return
        path = str(getattr(dataset, "_filepath", dataset_name)).removeprefix(f"{self._project_path}/")
        raise NoDataError(no_data_message(path, self._env))


def no_data_message(path: str, env: str) -> str:
    """What to do when the raw file ``path`` of the environment ``env`` is missing."""
    if env == "sample":
        return (
            f"{path} does not exist: the sample is not rendered yet.\n"
            "Run `make run`, or put the pipeline first that renders it:\n"
            "    kedro run --env sample --pipelines sample_data,__default__"
        )
    return (
        f"{path} does not exist: there is no data to run on. Either\n"
        "  - put EEV's annotations and your videos under data/01_raw (see docs/own-data.md), or\n"
        "  - run the embedded sample, which needs no download: `make run`"
    )


def show(kind: type[BaseException], error: BaseException, frames: TracebackType | None) -> None:
    """Print a foreseen error as its message and any other in full, for ``sys.excepthook``."""
    message = message_for_people(error, also=(ParameterValidationError,))
    if message is None:
        traceback.print_exception(kind, error, frames)
    else:
        sys.stderr.write(f"\nError: {message}\n\n({TRACEBACK_VARIABLE}=1 shows where it was raised)\n")
