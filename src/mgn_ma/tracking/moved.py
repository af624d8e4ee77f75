"""A project that was moved or copied: MLflow keeps where artifacts are as absolute addresses, which then follow."""

from __future__ import annotations

import logging
import shlex
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from mgn_ma.errors import MGNMAError

logger = logging.getLogger(__name__)

ARTIFACTS = "mlartifacts"
"""The folder of artifacts beside a database."""
_ADDRESSES = {
    "experiments": ("artifact_location",),
    "runs": ("artifact_uri",),
    "logged_models": ("artifact_location",),
    "model_versions": ("source", "storage_location"),
}
_TIMEOUT_S = 5


class ArtifactsLeftBehindError(MGNMAError):
    """A database was copied without the artifacts that it names; the message says how to bring them."""


def follow_move(database: Path) -> None:
    """Make an MLflow database name the artifacts beside it, where it names those of the folder that it came from.

    Raises:
        ArtifactsLeftBehindError: there are none beside it, and there still are where it came from.
        sqlite3.Error: it can't be written to.
    """
    here = database.resolve().parent / ARTIFACTS
    with closing(sqlite3.connect(database, timeout=_TIMEOUT_S)) as connection:
        for (location,) in connection.execute("SELECT DISTINCT artifact_location FROM experiments").fetchall():
            there = _local_path(location)
            if there is None or there.name != ARTIFACTS or there.resolve() == here:
                continue
            if there.is_dir() and not here.is_dir():
                raise ArtifactsLeftBehindError(
                    f"{database} names artifacts in {there}, which did not come with it. Nothing was changed; bring "
                    f"them, and they are found:\n    cp -r {shlex.quote(str(there))} {shlex.quote(str(here))}"
                )
            n_addresses = _rename(connection, location, here.as_uri() if "://" in location else str(here))
            logger.info("The project was at %s: %d addresses in %s follow it", there.parent, n_addresses, database)


def _local_path(location: str) -> Path | None:
    address = urlsplit(location)
    if address.scheme == "file":
        return Path(url2pathname(address.path))
    return None if "://" in location else Path(location)


def _rename(connection: sqlite3.Connection, old: str, new: str) -> int:
    n_changed = 0
    with connection:
        for table, columns in _ADDRESSES.items():
            for column in columns:
                change = (
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column} || '/', 1, ?) = ?"  # noqa: S608
                )
                cursor = connection.execute(change, (new, len(old) + 1, len(old) + 1, f"{old}/"))
                n_changed += cursor.rowcount
    return n_changed
