"""Fetching weights from a server that breaks off, changes its mind, refuses, or sends something else."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from mgn_ma.extractors import fetching
from mgn_ma.extractors.fetching import accept, fetch, fetch_file
from mgn_ma.extractors.pretrained import Pretrained, PublicWeights, WeightsError, WeightsNeed, record_of
from mgn_ma.extractors.weights import verified

CONTENT = bytes(range(256)) * 20_000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class Server:
    """A web server with one file, and what it was asked."""

    content: bytes = CONTENT
    etag: str | None = '"v1"'
    breaks_after: list[int] = field(default_factory=list)
    """For each of the next answers, after how many bytes the connection is cut."""
    status: int = 200
    knows_ranges: bool = True
    ranges: list[str | None] = field(default_factory=list)
    url: str = ""


class Handler(BaseHTTPRequestHandler):
    state: Server

    def do_GET(self) -> None:
        state = self.state
        asked = self.headers.get("Range")
        state.ranges.append(asked)
        if state.status != 200:
            self.send_error(state.status)
            return
        start = 0
        if asked and state.knows_ranges and self.headers.get("If-Range") in (None, state.etag):
            start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1])  # type: ignore[index]
            if start >= len(state.content):
                self.send_error(416)
                return
        body = state.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        if state.etag:
            self.send_header("ETag", state.etag)
        self.end_headers()
        self.wfile.write(body[: state.breaks_after.pop(0)] if state.breaks_after else body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(fetching.time, "sleep", lambda _: None)
    state = Server()
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"state": state}))
    state.url = f"http://127.0.0.1:{httpd.server_port}/weights.pth"
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield state
    httpd.shutdown()
    httpd.server_close()
    thread.join()


def left_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_whole_file_comes_at_once_and_says_how_far_it_is(server: Server, tmp_path: Path) -> None:
    heard: list[tuple[int, int | None]] = []
    target = tmp_path / "sub" / "weights.pth"
    fetch_file(server.url, target, expected_sha256=DIGEST, on_bytes=lambda *at: heard.append(at))
    assert target.read_bytes() == CONTENT
    assert left_in(target.parent) == {"weights.pth"}
    assert heard[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in heard] == sorted({done for done, _ in heard})


def test_a_broken_connection_is_continued_where_it_broke(server: Server, tmp_path: Path) -> None:
    server.breaks_after = [1_000_000, 2_500_000]
    fetch_file(server.url, tmp_path / "w.pth")
    assert (tmp_path / "w.pth").read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=1000000-", "bytes=3500000-"]


def test_another_run_continues_what_was_given_up(server: Server, tmp_path: Path) -> None:
    server.breaks_after = [700_000, 0, 0, 0, 0, 0, 0, 0]
    with pytest.raises(WeightsError, match="700000 bytes are kept"):
        fetch_file(server.url, tmp_path / "w.pth")
    assert not (tmp_path / "w.pth").exists()
    server.breaks_after, server.ranges = [], []
    fetch_file(server.url, tmp_path / "w.pth")
    assert server.ranges == ["bytes=700000-"]
    assert (tmp_path / "w.pth").read_bytes() == CONTENT


def test_a_file_that_changed_meanwhile_is_not_patched_together(server: Server, tmp_path: Path) -> None:
    server.breaks_after = [700_000, 0, 0, 0, 0, 0, 0, 0]
    with pytest.raises(WeightsError):
        fetch_file(server.url, tmp_path / "w.pth")
    server.breaks_after, server.etag, server.content = [], '"v2"', CONTENT[::-1]
    fetch_file(server.url, tmp_path / "w.pth")
    assert (tmp_path / "w.pth").read_bytes() == CONTENT[::-1]


@pytest.mark.parametrize(("etag", "knows_ranges"), [(None, True), ('W/"v1"', True), ('"v1"', False)])
def test_without_a_sure_mark_or_without_ranges_it_starts_over(
    server: Server, tmp_path: Path, etag: str | None, knows_ranges: bool
) -> None:
    server.etag, server.knows_ranges, server.breaks_after = etag, knows_ranges, [1_000_000]
    fetch_file(server.url, tmp_path / "w.pth")
    assert (tmp_path / "w.pth").read_bytes() == CONTENT


def test_a_part_that_is_whole_already_is_no_dead_end(server: Server, tmp_path: Path) -> None:
    server.breaks_after = [700_000, 0, 0, 0, 0, 0, 0, 0]
    with pytest.raises(WeightsError):
        fetch_file(server.url, tmp_path / "w.pth")
    (tmp_path / "w.pth.part").write_bytes(CONTENT)
    server.breaks_after = []
    fetch_file(server.url, tmp_path / "w.pth", expected_sha256=DIGEST)
    assert (tmp_path / "w.pth").read_bytes() == CONTENT


@pytest.mark.parametrize(("status", "requests"), [(404, 1), (403, 1), (503, 4)])
def test_a_refusal_is_final_and_a_busy_server_is_asked_again(
    server: Server, tmp_path: Path, status: int, requests: int
) -> None:
    server.status = status
    with pytest.raises(WeightsError, match=str(status)):
        fetch_file(server.url, tmp_path / "w.pth")
    assert len(server.ranges) == requests
    assert not (tmp_path / "w.pth").exists()


def test_something_else_is_refused_and_not_kept(server: Server, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=DIGEST):
        fetch_file(server.url, tmp_path / "w.pth", expected_sha256="0" * 64)
    assert left_in(tmp_path) == set()


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://example.org/w.pth", "weights.pth"])
def test_only_web_addresses_are_opened(tmp_path: Path, url: str) -> None:
    with pytest.raises(WeightsError, match="address"):
        fetch_file(url, tmp_path / "w.pth")


class HubHandler(BaseHTTPRequestHandler):
    """As much of a model hub as its client asks for to get one small repository."""

    FILES: ClassVar[dict[str, bytes]] = {
        "config.json": b"{}",
        "model.safetensors": b"best",
        "pytorch_model.bin": b"not asked for",
        "tokenizer.json": b"words",
        "README.md": b"not asked for",
    }
    COMMIT = "c" * 40
    asked: ClassVar[list[str]] = []

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        self.asked.append(f"{self.command} {path}")
        if path.startswith("/api/models/some/repository"):
            siblings = [{"rfilename": name} for name in self.FILES]
            info = {"id": "some/repository", "sha": self.COMMIT, "siblings": siblings, "private": False}
            tree = [{"type": "file", "path": name, "size": len(body), "oid": "0"} for name, body in self.FILES.items()]
            self.answer(json.dumps(tree if "/tree/" in path else info).encode(), "application/json")
        elif path.startswith("/some/repository/resolve/") and (name := path.rsplit("/", 1)[1]) in self.FILES:
            self.answer(self.FILES[name], "application/octet-stream")
        else:
            self.send_error(404)

    def answer(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", f'"{hashlib.sha256(body).hexdigest()}"')
        self.send_header("X-Repo-Commit", self.COMMIT)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


FETCH_FROM_HUB = """
import sys
from mgn_ma.privacy import stay_silent
stay_silent()  # as a run of Kedro's
from mgn_ma.extractors.fetching import fetch
from mgn_ma.extractors.pretrained import Pretrained, PublicWeights, WeightsNeed, locate
files = ("model.safetensors|pytorch_model.bin", "config.json", "tokenizer.json|vocab.txt")
public = PublicWeights("Weights", "somebody", "MIT", None, files=files, hub="some/repository")
for settings in ({"hub": "some/repository"}, {"path": sys.argv[1]}):
    need = WeightsNeed("net", "network", Pretrained(**settings), public)
    fetch(need)
    print(*[path.name + "=" + path.read_text() for path in locate(need)])
"""


@pytest.mark.slow
def test_a_hub_repository_is_fetched_into_its_cache_or_to_a_path(tmp_path: Path) -> None:
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), HubHandler)
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    home = {"HF_ENDPOINT": f"http://127.0.0.1:{httpd.server_port}", "HF_HOME": str(tmp_path / "home")}
    environment = {key: value for key, value in os.environ.items() if not key.upper().endswith("PROXY")} | home
    # The hub's client reads its settings when it is imported, so it gets a process of its own.
    command = [sys.executable, "-c", FETCH_FROM_HUB, str(tmp_path / "net")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    httpd.shutdown()
    httpd.server_close()
    assert done.stdout.splitlines() == ["model.safetensors=best config.json={} tokenizer.json=words"] * 2, done.stderr
    assert not [line for line in HubHandler.asked if "pytorch_model" in line or "README" in line]


def test_a_client_that_is_told_to_stay_offline_says_so(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FETCH_FROM_HUB, str(tmp_path)]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert "told to stay offline" in done.stderr.splitlines()[-1]


def test_a_hub_that_can_not_be_reached_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: Any, **__: Any) -> None:
        raise ConnectError("Name or service not known")

    class ConnectError(Exception):
        """As the transport's, which is neither an OSError nor one of the hub's."""

    monkeypatch.setattr("huggingface_hub.HfApi.list_repo_files", unreachable)
    public = PublicWeights("Weights", "somebody", "MIT", None, files=("w.pth",), hub="some/repository")
    with pytest.raises(WeightsError, match=r"some/repository can't be fetched: Name or service not known"):
        fetch(WeightsNeed("net", "network", Pretrained(hub="some/repository"), public))


def need(path: Path, files: tuple[str, ...] = ("w.pth",), **pretrained: Any) -> WeightsNeed:
    public = PublicWeights("Weights", "somebody", "MIT", None, files=files, note="Ask around.")
    return WeightsNeed("net", "network", Pretrained(path=str(path), **pretrained), public)


def test_the_digest_of_a_fetched_file_is_recorded_and_holds_from_then_on(server: Server, tmp_path: Path) -> None:
    wanted = need(tmp_path / "w.pth", url=server.url)
    fetch(wanted)
    assert record_of(tmp_path / "w.pth").read_text() == f"{DIGEST}  w.pth\n"
    assert verified(wanted) == tmp_path / "w.pth"
    (tmp_path / "w.pth").write_bytes(CONTENT[:-1] + b"!")
    with pytest.raises(WeightsError, match="recorded"):
        verified(wanted)


def test_without_an_address_the_note_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="Ask around"):
        fetch(need(tmp_path / "w.pth"))


class TestAccept:
    def test_a_file_is_copied_checked_and_recorded(self, tmp_path: Path) -> None:
        (tmp_path / "mine.pth").write_bytes(CONTENT)
        wanted = need(tmp_path / "weights" / "w.pth", sha256=DIGEST)
        accept(wanted, tmp_path / "mine.pth")
        assert verified(wanted).read_bytes() == CONTENT
        accept(wanted, tmp_path / "weights" / "w.pth")

    def test_a_wrong_file_leaves_no_trace(self, tmp_path: Path) -> None:
        (tmp_path / "mine.pth").write_bytes(b"something else")
        with pytest.raises(WeightsError, match="configured"):
            accept(need(tmp_path / "weights" / "w.pth", sha256=DIGEST), tmp_path / "mine.pth")
        assert not (tmp_path / "weights").exists()

    def test_of_a_directory_only_what_is_known_is_taken(self, tmp_path: Path) -> None:
        mine = tmp_path / "mine"
        mine.mkdir()
        for name in ("w.bin", "config.json", "malware.py"):
            (mine / name).write_bytes(b"x")
        accept(need(tmp_path / "net", ("w.safetensors|w.bin", "config.json")), mine)
        assert left_in(tmp_path / "net") == {"w.bin", "w.bin.sha256", "config.json"}

    def test_a_hub_cache_takes_no_files(self, tmp_path: Path) -> None:
        public = PublicWeights("Weights", "somebody", "MIT", None, files=("w.pth",), hub="some/repository")
        of_hub = WeightsNeed("net", "network", Pretrained(hub="some/repository"), public)
        with pytest.raises(WeightsError, match="pretrained: <path>"):
            accept(of_hub, tmp_path)
