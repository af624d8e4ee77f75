"""A PostgreSQL server of the tests' own, on a free port, in a folder that goes away with it."""

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from urllib.parse import quote

import pytest
from ports import unused_port

DEBIAN = Path("/usr/lib/postgresql")
"""Where Debian keeps the server's programs, off the PATH: one folder a version."""
PASSWORD = "se:cret@1/%"
"""Needs quoting wherever it goes."""


def programs():
    """The folder of `initdb` and `pg_ctl`; ``None`` where there is no PostgreSQL."""
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    return max((path.parent for path in DEBIAN.glob("*/bin/initdb")), default=None)


def unprivileged():
    """How a subprocess becomes a user that PostgreSQL accepts: it refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    try:
        entry = pwd.getpwnam("postgres")
    except KeyError:
        pytest.skip("PostgreSQL does not run as root, and there is no user 'postgres' to run it as")
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


@pytest.fixture(scope="session")
def database():
    """The address of an empty database, as MLflow takes it."""
    pytest.importorskip("psycopg2")
    folder_of_programs = programs()
    if folder_of_programs is None:
        pytest.skip("no PostgreSQL on this machine: install the package 'postgresql'")
    user = unprivileged()
    folder = Path(tempfile.mkdtemp(prefix="mgn_ma_postgres_"))
    if user:
        os.chown(folder, user["user"], user["group"])
    data, port = folder / "data", unused_port()

    def run(program, *arguments, check=True):
        command = [folder_of_programs / program, "-D", data, *arguments]
        log = folder.with_suffix(".log")
        with log.open("ab") as output:
            # The server keeps what it inherits open: a pipe would never end.
            code = subprocess.run(command, cwd=folder, stdout=output, stderr=output, timeout=60, **user).returncode
        text = log.read_text()
        log.unlink()
        assert code == 0 or not check, text

    settings = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
    secret = folder / "password"
    secret.write_text(PASSWORD)
    try:
        run("initdb", "-U", "mgn_ma", f"--pwfile={secret}", "-A", "scram-sha-256", "-E", "UTF8", "--locale=C", "-N")
        run("pg_ctl", "-w", "-o", settings, "start")
        yield f"postgresql+psycopg2://mgn_ma:{quote(PASSWORD, safe='')}@127.0.0.1:{port}/postgres"
    finally:
        run("pg_ctl", "-w", "-m", "immediate", "stop", check=False)
        shutil.rmtree(folder)
