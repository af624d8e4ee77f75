"""Whether MLflow answers is known in seconds, and the message says what is wrong where, without its password."""

import os
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import mlflow
import pytest
from ports import unused_port

from mgn_ma.tracking.server import (
    TIMEOUT_S,
    TrackingUnavailableError,
    artifact_location,
    check,
    database_file,
    resolve_uri,
)


def reason(uri):
    """Why ``uri`` is refused, and after how many seconds."""
    began = time.monotonic()
    with pytest.raises(TrackingUnavailableError) as caught:
        check(uri)
    return str(caught.value), time.monotonic() - began


def test_nobody_listens():
    uri = f"http://127.0.0.1:{unused_port()}"
    text, took = reason(uri)
    assert uri in text
    assert "refused" in text
    assert took < TIMEOUT_S


@pytest.mark.slow
def test_somebody_listens_and_never_answers():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        text, took = reason(f"http://127.0.0.1:{silent.getsockname()[1]}")
    assert "timed out" in text.lower()
    assert took < 2 * TIMEOUT_S


@pytest.mark.parametrize(("status", "expected"), [(401, "401"), (404, "404"), (500, "500")])
def test_another_kind_of_server_answers(status, expected):
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.end_headers()
            self.wfile.write(b"<html>" + b"x" * 5000)

        def do_POST(self):
            self.do_GET()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        text, took = reason(f"http://127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        server.server_close()
    assert expected in text
    assert len(text) < 1500
    assert took < TIMEOUT_S


def test_the_environment_is_as_before():
    before = dict(os.environ)
    reason("http://127.0.0.1:9")
    assert dict(os.environ) == before


def test_unknown_scheme():
    text, _ = reason("gopher://somewhere")
    assert "gopher://somewhere" in text
    assert "sqlite" in text


def test_folder_of_files():
    text, _ = reason("mlruns")
    assert "sqlite:///mlflow.db" in text


class TestSqliteFile:
    def test_in_a_folder_that_is_not_there(self, tmp_path):
        text, took = reason(f"sqlite:///{tmp_path}/nowhere/mlflow.db")
        assert f"{tmp_path}/nowhere does not exist" in text
        assert took < 1
        assert list(tmp_path.iterdir()) == []

    def test_that_is_no_database(self, tmp_path):
        (tmp_path / "mlflow.db").write_text("I am a diary. " * 100)
        text, took = reason(f"sqlite:///{tmp_path}/mlflow.db")
        assert "not a database" in text
        assert took < 1
        assert (tmp_path / "mlflow.db").read_text().startswith("I am")

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
    def test_that_may_not_be_written(self, tmp_path):
        path = tmp_path / "mlflow.db"
        sqlite3.connect(path).close()
        path.chmod(0o444)
        assert "no permission" in reason(f"sqlite:///{path}")[0]

    def test_of_another_program(self, tmp_path):
        with sqlite3.connect(tmp_path / "mlflow.db") as connection:
            connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
            connection.execute("INSERT INTO alembic_version VALUES ('ffffffffffff')")
        connection.close()
        assert "ffffffffffff" in reason(f"sqlite:///{tmp_path}/mlflow.db")[0]


def test_a_database_server_that_is_down_hides_the_password():
    pytest.importorskip("psycopg2")
    text, took = reason("postgresql+psycopg2://anna:s3cret@127.0.0.1:9/runs")
    assert "s3cret" not in text
    assert "anna" not in text.partition("\n")[0].replace('user "anna"', "")
    assert "refused" in text
    assert took < TIMEOUT_S


def test_a_relative_file_is_the_project_s():
    project = Path("/home/p")
    assert resolve_uri("sqlite:///mlflow.db", project) == "sqlite:////home/p/mlflow.db"
    assert resolve_uri("sqlite:////var/mlflow.db", project) == "sqlite:////var/mlflow.db"
    assert resolve_uri("http://host", project) == "http://host"
    assert (
        resolve_uri("sqlite:///mlflow.db?timeout=9", Path("/a?b%20c")) == "sqlite:////a%3Fb%2520c/mlflow.db?timeout=9"
    )
    assert database_file("sqlite:////a%3Fb%2520c/mlflow.db?timeout=9") == Path("/a?b%20c/mlflow.db")


def test_artifacts_stand_beside_a_database_and_a_server_decides_itself():
    project = Path("/home/p")
    assert artifact_location("sqlite:////var/mlflow.db", project) == "/var/mlartifacts"
    assert artifact_location("postgresql://h/db", project) == "/home/p/mlartifacts"
    assert artifact_location("mysql+pymysql://h/db", project) == "/home/p/mlartifacts"
    assert artifact_location("http://host", project) is None


def tables(path):
    with closing(sqlite3.connect(path)) as connection:
        return set(connection.execute("SELECT type, name, tbl_name FROM sqlite_master"))


def test_a_new_database_has_the_tables_that_mlflow_makes(tmp_path):
    mlflow.MlflowClient(f"sqlite:///{tmp_path}/theirs.db").search_experiments()
    check(f"sqlite:///{tmp_path}/ours.db")
    assert tables(tmp_path / "ours.db") == tables(tmp_path / "theirs.db")


KILLED_HALF_WAY = """
import os, sys
from sqlalchemy import event
from sqlalchemy.engine import Engine
from mgn_ma.tracking.server import check

@event.listens_for(Engine, "after_cursor_execute")
def die_at_a_later_table(connection, cursor, statement, *_):
    if "CREATE TABLE trace_info" in statement:
        os._exit(9)

check(sys.argv[1])
"""


def test_a_run_that_is_killed_while_it_makes_the_database_costs_the_next_one_nothing(tmp_path):
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    killed = subprocess.run([sys.executable, "-c", KILLED_HALF_WAY, uri], check=False, capture_output=True)
    assert killed.returncode == 9, killed.stderr
    check(uri)
    assert mlflow.MlflowClient(uri).search_experiments()


def test_two_runs_that_make_one_database_at_once_keep_each_other_s_experiments(tmp_path):
    uri = f"sqlite:///{tmp_path}/mlflow.db"

    def make(name):
        check(uri)
        mlflow.MlflowClient(uri).create_experiment(name)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(make, "abcd"))
    assert {experiment.name for experiment in mlflow.MlflowClient(uri).search_experiments()} == {"Default", *"abcd"}
