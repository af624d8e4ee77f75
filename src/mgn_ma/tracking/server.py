"""Where runs are tracked, and whether that place answers: asked once, in seconds, before any work is done."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import cast
from urllib.parse import quote, unquote, urlsplit

from mgn_ma.errors import MGNMAError
from mgn_ma.files import write_atomically
from mgn_ma.redaction import redacted
from mgn_ma.temporary import in_use
from mgn_ma.tracking.moved import ARTIFACTS, ArtifactsLeftBehindError, follow_move

SQLITE = "sqlite:///"
TIMEOUT_S = 5
LOCK_WAIT_S = 120.0
"""How long a run that has computed something waits for a SQLite database that another process keeps locked."""
_LONGEST_REASON = 500
_LOCAL_DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
_CONNECT_TIMEOUT = {"postgresql": "connect_timeout", "mysql": "connect_timeout", "mssql": "timeout"}


class TrackingUnavailableError(MGNMAError):
    """MLflow can't be reached or used where this run is told to track; the message says what to do."""

    def __init__(self, uri: str, reason: str) -> None:
        super().__init__(
            f"MLflow can't be used at {redacted(uri)}: {reason}\n"
            "What is computed already is kept. Make it work there (is it a server? start it: `mlflow server …`),\n"
            "or set MLFLOW_TRACKING_URI to one that runs, or unset it to track in this project's own mlflow.db."
        )


def resolve_uri(uri: str, project_path: Path) -> str:
    """``uri`` with a relative SQLite file taken from the project's root, wherever Kedro is called from."""
    if uri.startswith(SQLITE) and not uri.startswith(SQLITE + "/"):
        file, _, options = uri.removeprefix(SQLITE).partition("?")
        path = (project_path / unquote(file)).resolve().as_posix()
        return SQLITE + quote(path) + (f"?{options}" if options else "")
    return uri


def database_file(uri: str) -> Path:
    """The file of a SQLite address, in which ``%``, ``?`` and the like are quoted."""
    return Path(unquote(uri.removeprefix(SQLITE).partition("?")[0]))


def artifact_location(uri: str, project_path: Path) -> str | None:
    """Where artifacts of a new experiment go: ``mlartifacts`` beside a database; ``None``: its server decides."""
    scheme = _scheme(uri)
    if scheme == "sqlite":
        return (database_file(uri).parent / ARTIFACTS).as_posix()
    if scheme in _LOCAL_DATABASES:
        return (project_path / ARTIFACTS).as_posix()
    return None


def check(uri: str, lock_wait_s: float = TIMEOUT_S) -> None:
    """Ask the MLflow at ``uri`` for one experiment, with one attempt of seconds.

    Args:
        lock_wait_s: how long another process may keep a SQLite database locked.

    Raises:
        ArtifactsLeftBehindError: a database was copied here without its artifacts.
        TrackingUnavailableError: nobody answers within seconds, the scheme is unknown, or the database can't be used.
    """
    from mlflow.tracking import MlflowClient

    scheme = _scheme(uri)
    try:
        if scheme == "sqlite":
            _check_sqlite(database_file(uri), lock_wait_s)
            _create_sqlite(database_file(uri))
        elif scheme in _LOCAL_DATABASES:
            _check_database(uri, scheme)
        with _one_attempt():
            MlflowClient(uri).search_experiments(max_results=1)
        if scheme == "sqlite":
            follow_move(database_file(uri))
    except ArtifactsLeftBehindError:
        raise
    except Exception as error:
        raise TrackingUnavailableError(uri, redacted(str(error))[:_LONGEST_REASON]) from error


def _scheme(uri: str) -> str:
    return urlsplit(uri).scheme.partition("+")[0]


def _check_sqlite(path: Path, lock_wait_s: float) -> None:
    """MLflow retries a file that it can't open for minutes; SQLite itself says at once what is wrong with it."""
    if not path.parent.is_dir():
        raise FileNotFoundError(f"the folder {path.parent} does not exist")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise PermissionError(f"no permission to write {path}")
    if path.exists():
        try:
            with closing(sqlite3.connect(path, timeout=lock_wait_s)) as connection:
                connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.Error as error:
            problem = "another process keeps it" if "locked" in str(error) else "it is not a database that can be read"
            raise ValueError(f"{path}: {problem} ({error})") from error


def _create_sqlite(path: Path) -> None:
    """Give a new database its tables in one step: with half of them, after a kill, MLflow would not go on."""
    with in_use(lambda: path.parent):
        if path.exists() and path.stat().st_size:
            return
        import sqlalchemy
        from mlflow.store.db.utils import _initialize_tables

        engine = sqlalchemy.create_engine("sqlite://", poolclass=sqlalchemy.StaticPool)
        _initialize_tables(engine)  # type: ignore[no-untyped-call]
        database = cast("sqlite3.Connection", engine.raw_connection().driver_connection)
        write_atomically(path, database.serialize())
        engine.dispose()


def _check_database(uri: str, scheme: str) -> None:
    """One attempt; MLflow alone would try ten times, doubling its pause."""
    import sqlalchemy

    engine = sqlalchemy.create_engine(uri, connect_args={_CONNECT_TIMEOUT[scheme]: TIMEOUT_S})
    with engine.connect():
        pass
    engine.dispose()


@contextmanager
def _one_attempt() -> Iterator[None]:
    """One attempt of five seconds while the context lasts."""
    limits = {"MLFLOW_HTTP_REQUEST_TIMEOUT": str(TIMEOUT_S), "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    before = {name: os.environ.get(name) for name in limits}
    os.environ.update(limits)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
