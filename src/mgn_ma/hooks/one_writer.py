"""Two runs never write one thing at once, and a run reads what it wrote itself."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.io import AbstractVersionedDataset, CatalogProtocol, Version
from kedro.io.core import VersionNotFoundError
from kedro.pipeline import Pipeline

from mgn_ma.errors import MGNMAError
from mgn_ma.files import remove_unfinished
from mgn_ma.hooks.catalog_files import unwrapped
from mgn_ma.hooks.tracking import command
from mgn_ma.run_lock import claimed
from mgn_ma.temporary import remove_abandoned_folders


class ClockError(MGNMAError):
    """A version is there that is later than this run: the clock was set back, and the newest would not be the last."""


class OneWriterHooks:
    """Claims, before the first node, the datasets that a run saves and those that it starts from."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._catalog: CatalogProtocol[Any, Any] | None = None
        self._held = ExitStack()

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Find the data folder; one that is no local folder keeps no locks."""
        data = str(context.config_loader.get("globals", {}).get("data", "data"))
        self._folder = None if "://" in data else Path(context.project_path) / data

    @hook_impl
    def before_pipeline_run(
        self, run_params: dict[str, Any], pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]
    ) -> None:
        """Claim what is kept, and remove what killed runs have left half written.

        Raises:
            BusyError: another run works with some of it.
            ClockError: some of it has a version of a later time.
        """
        self._held.close()  # of a run of this process that was interrupted
        self._catalog = catalog
        remove_abandoned_folders()
        if self._folder is None:
            return
        writes, reads = (
            [name for name in names if name in catalog and not name.startswith("params:")]
            for names in (pipeline.all_outputs(), pipeline.inputs())
        )
        for name in writes:
            _check_clock(unwrapped(catalog.get(name)))
        self._held.enter_context(claimed(self._folder, command(run_params), writes, reads))
        remove_unfinished(self._folder)

    @hook_impl
    def after_dataset_saved(self, dataset_name: str) -> None:
        """Let later nodes load this run's version, whoever has saved a newer one meanwhile."""
        dataset = None if self._catalog is None else unwrapped(self._catalog.get(dataset_name))
        if isinstance(dataset, AbstractVersionedDataset) and (saved := dataset.resolve_save_version()):
            dataset._version = Version(saved, saved)

    @hook_impl
    def after_pipeline_run(self) -> None:
        """Give back what was claimed."""
        self._held.close()

    @hook_impl
    def on_pipeline_error(self) -> None:
        """Give back what was claimed."""
        self._held.close()


def _check_clock(dataset: Any) -> None:
    """Versions are named by time, and what is loaded later is the newest: no run may write an older one."""
    if not isinstance(dataset, AbstractVersionedDataset) or not (version := dataset.resolve_save_version()):
        return
    with suppress(VersionNotFoundError):
        if (newest := dataset._fetch_latest_load_version()) > version:
            raise ClockError(
                f"{dataset._filepath}: its newest version, {newest}, is later than this run, {version}, and would be"
                " taken for its result. Was the clock set back? Set it right, or move that version away"
            )
