"""A database that another process keeps locked costs a run what MLflow misses meanwhile, and no more."""

import logging
import shutil
import sqlite3
import threading
import time
from contextlib import closing, contextmanager
from pathlib import Path

import fsspec
import pytest
from mlflow.tracking import MlflowClient
from sqlalchemy import event
from sqlalchemy.engine import Engine

from mgn_ma.tracking import outage, server
from mgn_ma.tracking.run import start_run
from mgn_ma.tracking.server import TrackingUnavailableError, check
from mgn_ma.tracking.tracker import current_tracker

PATIENCE = "PRAGMA busy_timeout"
"""By which MLflow waits 20 s for a lock."""


@pytest.fixture
def impatient():
    """MLflow waits 0.2 s for a lock."""

    def shorten(_connection, _cursor, statement, parameters, _context, _many):
        return (f"{PATIENCE} = 200;" if statement.startswith(PATIENCE) else statement), parameters

    event.listen(Engine, "before_cursor_execute", shorten, retval=True)
    yield
    event.remove(Engine, "before_cursor_execute", shorten)


@contextmanager
def locked(database):
    with closing(sqlite3.connect(database, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


def test_a_locked_database_is_asked_once_and_gets_what_comes_after_the_pause(
    empty_database, tmp_path, impatient, monkeypatch, caplog
):
    database = Path(shutil.copy(empty_database, tmp_path / "mlflow.db"))
    (tmp_path / "table.csv").write_text("a\n1\n")
    run = start_run(f"sqlite:///{database}", "test", "locked", tmp_path)
    with locked(database), caplog.at_level(logging.WARNING, "mgn_ma"):
        began = time.monotonic()
        with current_tracker().member("one", {"seed": 1}) as log:
            log({"loss": 1.0}, 1)
        other = threading.Thread(target=run.activate)
        other.start()
        other.join()
        run.set_tag("lost", "1")
        run.log_parameters({"a": 1}, {"b": "2"})
        run.log_file(fsspec.filesystem("file"), str(tmp_path / "table.csv"))
        assert time.monotonic() - began < 3
    (warning,) = [record.getMessage() for record in caplog.records if record.name.startswith("mgn_ma")]
    assert warning.startswith("MLflow did not get member one; the work goes on, and MLflow gets nothing for 60 s. ")
    assert warning.endswith("database is locked")
    monkeypatch.setattr(outage, "_asked_again_at", time.monotonic())
    run.log_report({"score": 1.0}, frozenset())
    run.end("FINISHED")
    kept = MlflowClient(f"sqlite:///{database}").get_run(run.run_id)
    assert (kept.info.status, kept.data.metrics) == ("FINISHED", {"score": 1.0})
    assert "lost" not in kept.data.tags


def test_the_end_is_told_also_within_the_pause(empty_database, tmp_path, impatient):
    database = Path(shutil.copy(empty_database, tmp_path / "mlflow.db"))
    run = start_run(f"sqlite:///{database}", "test", "locked", tmp_path)
    with locked(database):
        run.set_tag("lost", "1")
    run.end("FINISHED")
    assert MlflowClient(f"sqlite:///{database}").get_run(run.run_id).info.status == "FINISHED"


def test_a_check_waits_for_a_lock_as_long_as_it_is_told(empty_database, tmp_path, monkeypatch):
    database = Path(shutil.copy(empty_database, tmp_path / "mlflow.db"))
    with locked(database), pytest.raises(TrackingUnavailableError, match=r"mlflow\.db: another process keeps it"):
        check(f"sqlite:///{database}", lock_wait_s=0.1)
    assert server.LOCK_WAIT_S > 60
    with locked(database):
        waits = threading.Thread(target=check, args=(f"sqlite:///{database}", 30))
        waits.start()
        waits.join(0.3)
        assert waits.is_alive()
    waits.join(10)
    assert not waits.is_alive()
