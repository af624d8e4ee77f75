"""A stable place for the newest version: what a catalog entry publishes is copied there after every save."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from fsspec.core import url_to_fs
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol

from mgn_ma.errors import MGNMAError
from mgn_ma.hooks.catalog_files import SavedFile, metadata, saved_file

logger = logging.getLogger(__name__)


class PublishingError(MGNMAError):
    """An entry asks to be published that is no single file."""


class PublishingHooks:
    """Copies a dataset with ``metadata: {mgn_ma: {publish: PATH}}`` to PATH, whole or not at all, after each save.

    Versioned datasets keep every run's file in a folder named by the run; others look for the newest one under a plain
    path. A relative PATH is meant from the project's root.
    """

    def __init__(self) -> None:
        self._project_path = Path()
        self._catalog: CatalogProtocol[Any, Any] | None = None

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Remember where relative paths start."""
        self._project_path = Path(context.project_path)

    @hook_impl
    def after_catalog_created(self, catalog: CatalogProtocol[Any, Any]) -> None:
        """Remember the catalog: hooks on datasets are told a name only."""
        self._catalog = catalog

    @hook_impl(tryfirst=True)
    def after_dataset_saved(self, dataset_name: str) -> None:
        """Publish, if the catalog entry says so."""
        dataset: Any = self._catalog.get(dataset_name) if self._catalog is not None else None
        target = (metadata(dataset).get("mgn_ma") or {}).get("publish")
        if not target:
            return
        source = saved_file(dataset)
        if source is None:
            raise PublishingError(f"'{dataset_name}' can't be published to {target}: it did not write a single file.")
        publish(source, str(target), self._project_path)
        logger.info("Published %s as %s", dataset_name, target)


def publish(source: SavedFile, target: str, project_path: Path) -> None:
    """Copy ``source`` to ``target`` (a path or an fsspec URL); a reader sees the old file or the new one."""
    if "://" not in target:
        target = str(project_path / target)
    filesystem, path = url_to_fs(target)
    if "file" not in (filesystem.protocol if isinstance(filesystem.protocol, tuple) else (filesystem.protocol,)):
        with source.filesystem.open(source.path, "rb") as read, filesystem.open(path, "wb") as write:
            shutil.copyfileobj(read, write)
        return
    local = Path(path)
    local.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=local.parent, prefix=f".{local.name}.")
    try:
        with os.fdopen(descriptor, "wb") as write, source.filesystem.open(source.path, "rb") as read:
            shutil.copyfileobj(read, write)
        Path(temporary).chmod(0o666 & ~_umask())
        Path(temporary).replace(local)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _umask() -> int:
    """The process's mask for new files, which can only be read by setting it."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
