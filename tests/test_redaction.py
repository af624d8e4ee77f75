"""What of an address is shown, logged and kept, and that a run leaves its secrets nowhere."""

import base64
import functools
import http.server
import logging
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tiny_project import make_project, start

from mgn_ma.errors import MGNMAError
from mgn_ma.media.errors import MediaError
from mgn_ma.redaction import RedactingFormatter, redacted

COMMAND = (sys.executable, "-c", "from mgn_ma.command import main; main()")
USER, PASSWORD, TOKEN, MLFLOW_PASSWORD = "anna", "s3cretpass", "t0ken-of-anna", "pl4nted"


def test_host_and_path_are_kept():
    assert redacted("postgresql://a:b@host:1/db") == "postgresql://…@host:1/db"
    for address in (
        "http://host:5000",
        "https://host/@channel/a.mp4?v=1&start=2#t=3",
        "abfs://container@account.dfs.core.windows.net/a.mp4",
        "sqlite:////home/a@b/mlflow.db",
        "a@b.mp4",
    ):
        assert redacted(address) == address


@pytest.mark.parametrize("password", ["p@ss", "a/b", "a?b", "a:b@c/d"])
def test_a_password_of_a_database_need_not_be_quoted(password):
    assert redacted(f"postgresql+psycopg2://a:{password}@host:1/db") == "postgresql+psycopg2://…@host:1/db"


def test_options_that_are_secret():
    uri = "postgresql://host/db?user=a&password=b%20c&sslpassword=d&sslmode=require"
    assert redacted(uri) == "postgresql://host/db?user=a&password=…&sslpassword=…&sslmode=require"
    assert redacted(f"can't connect to {uri} now") == f"can't connect to {redacted(uri)} now"
    for name in ("token", "access_token", "X-Amz-Signature", "X-Amz-Credential", "X-Goog-Signature", "sig", "api_key"):
        assert redacted(f'["https://h/a.mp4?v=1&{name}=x%2Fy+z"]') == f'["https://h/a.mp4?v=1&{name}=…"]'


def test_every_address_of_a_text_is_redacted_also_where_it_is_logged_with_its_traceback():
    text = "https://a:b@one/x,https://c:d@two/y s3://k:s@bucket/z"
    assert redacted(text) == "https://…@one/x,https://…@two/y s3://…@bucket/z"
    assert str(MGNMAError(text)) == redacted(text)
    assert str(MediaError("https://a:b@one/x", "is not at https://a:b@one/x")) == (
        "https://…@one/x: is not at https://…@one/x"
    )
    try:
        raise ValueError(text)
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, "x.py", 1, "%s", (text,), sys.exc_info())
    lines = RedactingFormatter().format(record)
    assert "Traceback" in lines and ":b@" not in lines and ":d@" not in lines


class Protected(http.server.SimpleHTTPRequestHandler):
    """Gives files to who knows the password."""

    def do_GET(self):
        expected = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if self.headers.get("Authorization") == f"Basic {expected}":
            super().do_GET()
        else:
            self.send_error(401)

    def log_message(self, *_):
        pass


@pytest.fixture
def site(films):
    """host:port of a server of the films."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Protected, directory=str(films)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def assert_no_secret_in(text: str | bytes, where: object) -> None:
    content = text if isinstance(text, bytes) else text.encode()
    for secret in (PASSWORD, TOKEN, MLFLOW_PASSWORD):
        assert secret.encode() not in content, f"{secret} stands in {where}"


def assert_no_secret_below(folder: Path, *, written: int) -> None:
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) >= written
    for path in files:
        assert_no_secret_in(path.read_bytes(), path)


@pytest.mark.slow
def test_a_run_with_secret_addresses_leaves_them_nowhere(tmp_path, films, bundle_folder, site):
    name = next(films.glob("*.mp4")).name
    addresses = [
        f"http://{USER}:{PASSWORD}@{site}/{name}?token={TOKEN}&v=1",
        f"http://{USER}:{PASSWORD}@{site}/gone.mp4?X-Amz-Signature={TOKEN}",
        f"http://{USER}:wrong-{PASSWORD}@{site}/refused.mp4?sig={TOKEN}",
    ]
    project = make_project(tmp_path / "project", {"prediction": {"videos": addresses, "model": str(bundle_folder)}})
    process = start(
        project,
        *("run", "--env", "sample", "--pipelines", "prediction"),
        *("--params", f"prediction.reading.fetch.places=[http://{USER}:{PASSWORD}@{site}/]"),
        PYTHONPATH=str(project / "src"),
        MGN_MA_TRACEBACK="1",
    )
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert "gone is not predicted" in output
    assert_no_secret_in(output, "the output")
    account = (project / "data/sample/08_reporting/prediction/account.csv").read_text()
    assert f"http://…@{site}/{name}?token=…&v=1" in account
    assert list(project.rglob("mlartifacts/**/account.csv"))
    shutil.rmtree(project / "conf")  # where they stand
    assert_no_secret_below(project, written=100)


def test_the_command_with_secret_addresses_leaves_them_nowhere(tmp_path, films, bundle_folder, site):
    name = next(films.glob("*.mp4")).name
    addresses = [f"http://{USER}:{PASSWORD}@{site}/{path}?token={TOKEN}" for path in (name, "gone.mp4")]
    (tmp_path / "list.csv").write_text(
        f"video,captions\n{addresses[0]},http://{USER}:{PASSWORD}@{site}/gone.vtt?sig={TOKEN}\n"
    )
    done = subprocess.run(
        [*COMMAND, "predict", str(tmp_path / "list.csv"), addresses[1], "-o", "out", "--model", str(bundle_folder)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 1 and "1 of 2 videos" in done.stderr, done.stderr
    assert_no_secret_in(done.stdout + done.stderr, "the output")
    assert "gone.vtt" in (tmp_path / "out/account.csv").read_text()
    assert_no_secret_below(tmp_path / "out", written=6)


@pytest.mark.parametrize(
    "uri", ["http://anna:pl4nted@127.0.0.1:9", "postgresql://anna:pl4nted@127.0.0.1:9/runs?password=pl4nted"]
)
def test_the_password_of_mlflow_is_not_shown_even_with_tracebacks(tmp_path, uri):
    environment = os.environ | {"MLFLOW_TRACKING_URI": uri, "MGN_MA_TRACEBACK": "1"}
    done = subprocess.run(
        [*COMMAND, "predict", "a.mp4", "-o", "out"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1
    assert "Traceback" in done.stderr and "127.0.0.1" in done.stderr
    assert_no_secret_in(done.stdout + done.stderr, "the output")
