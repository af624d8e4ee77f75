"""Fetching weights from a server that breaks off, refuses, or sends something else, and from a model hub."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch

from mgn_ma.extractors.pretrained import Pretrained, PublicWeights, WeightsError, WeightsNeed
from mgn_ma.extractors.weights import fetch, read_state_dict, verified


def checkpoint() -> bytes:
    buffer = io.BytesIO()
    torch.save({"w": torch.arange(100_000.0)}, buffer)
    return buffer.getvalue()


CONTENT = checkpoint()
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class Server:
    """A web server with one file, and how often it was asked."""

    content: bytes = CONTENT
    breaks_after: int | None = None
    """After how many bytes the connection is cut."""
    status: int = 200
    n_requests: int = 0
    url: str = ""


class Handler(BaseHTTPRequestHandler):
    state: Server

    def do_GET(self) -> None:
        self.state.n_requests += 1
        if self.state.status != 200:
            self.send_error(self.state.status)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.state.content)))
        self.end_headers()
        self.wfile.write(self.state.content[: self.state.breaks_after])

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
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


def need(path: Path, files: tuple[str, ...] = ("w.pth",), **pretrained: Any) -> WeightsNeed:
    public = PublicWeights("Weights", "MIT", None, files=files, note="Ask around")
    return WeightsNeed("net", "network", Pretrained(path=str(path), **pretrained), public)


@pytest.mark.parametrize("sha256", [None, DIGEST, DIGEST[:8].upper()])
def test_a_file_is_fetched_to_where_it_is_looked_for_and_once_only(
    server: Server, tmp_path: Path, sha256: str | None
) -> None:
    wanted = need(tmp_path / "sub" / "w.pth", url=server.url, sha256=sha256)
    fetch(wanted)
    fetch(wanted)
    assert server.n_requests == 1
    assert left_in(tmp_path / "sub") == {"w.pth"}
    assert torch.equal(read_state_dict(verified(wanted))["w"], torch.arange(100_000.0))


def test_a_download_that_breaks_off_is_refused_and_not_kept(server: Server, tmp_path: Path) -> None:
    server.breaks_after = 200_000
    wanted = need(tmp_path / "w.pth", url=server.url)
    with pytest.raises(WeightsError, match="damaged"):
        fetch(wanted)
    assert left_in(tmp_path) == set()
    server.breaks_after = None
    fetch(wanted)
    assert (tmp_path / "w.pth").read_bytes() == CONTENT


@pytest.mark.parametrize("status", [404, 403, 503])
def test_a_refusal_is_named_with_its_address(server: Server, tmp_path: Path, status: int) -> None:
    server.status = status
    with pytest.raises(WeightsError, match=f"{server.url}.*{status}"):
        fetch(need(tmp_path / "w.pth", url=server.url))
    assert left_in(tmp_path) == set()


def test_something_else_is_refused_and_not_kept(server: Server, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=DIGEST):
        fetch(need(tmp_path / "w.pth", url=server.url, sha256="0" * 64))
    server.content = b"<html>Sorry, we have moved</html>"
    with pytest.raises(WeightsError, match="damaged"):
        fetch(need(tmp_path / "w.pth", url=server.url))
    assert left_in(tmp_path) == set()


def test_without_an_address_the_note_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="Ask around"):
        fetch(need(tmp_path / "w.pth"))


class HubHandler(BaseHTTPRequestHandler):
    """As much of a model hub as its client asks for to get one small repository."""

    FILES: ClassVar[dict[str, bytes]] = {
        "config.json": b"{}",
        "model.safetensors": b"best",
        "pytorch_model.bin": b"not asked for",
        "vocab.txt": b"words",
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
            self.answer(json.dumps(info).encode(), "application/json")
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
from mgn_ma.telemetry import disable_telemetry
disable_telemetry()  # as a run of Kedro's
from mgn_ma.extractors.pretrained import Pretrained, PublicWeights, WeightsNeed, locate
from mgn_ma.extractors.weights import fetch
files = ("model.safetensors|pytorch_model.bin", "config.json", "tokenizer.json|vocab.txt", *sys.argv[1:])
public = PublicWeights("Weights", "MIT", None, files=files, optional_files=("merges.txt",), hub="some/repository")
need = WeightsNeed("net", "network", Pretrained(hub="some/repository"), public)
fetch(need)
print(*[path.name + "=" + path.read_text() for path in locate(need)])
"""


def fetch_from_hub(*files: str, **environment: str) -> tuple[str, str]:
    """What a process that fetches prints, and what it complains of."""
    # The hub's client reads its settings when it is imported, so it gets a process of its own.
    inherited = {key: value for key, value in os.environ.items() if not key.upper().endswith("PROXY")}
    command = [sys.executable, "-c", FETCH_FROM_HUB, *files]
    done = subprocess.run(
        command, env=inherited | environment, capture_output=True, text=True, timeout=120, check=False
    )
    return done.stdout.strip(), done.stderr


@pytest.mark.slow
def test_of_a_hub_repository_what_is_needed_is_fetched_into_its_cache(tmp_path: Path) -> None:
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), HubHandler)
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    home = {"HF_ENDPOINT": f"http://127.0.0.1:{httpd.server_port}", "HF_HOME": str(tmp_path / "home")}
    fetched, complaint = fetch_from_hub(**home)
    assert fetched == "model.safetensors=best config.json={} vocab.txt=words", complaint
    assert not [line for line in HubHandler.asked if "pytorch_model" in line or "README" in line]
    n_asked = len(HubHandler.asked)
    assert fetch_from_hub(**home)[0] == fetched
    assert len(HubHandler.asked) == n_asked
    assert "some/repository has no spiece.model or merges.bpe" in fetch_from_hub("spiece.model|merges.bpe", **home)[1]
    httpd.shutdown()
    httpd.server_close()


def test_a_client_that_is_told_to_stay_offline_says_so(tmp_path: Path) -> None:
    complaint = fetch_from_hub(HF_HUB_OFFLINE="1", HF_HOME=str(tmp_path))[1]
    assert "some/repository can't be fetched: HF_HUB_OFFLINE" in complaint


def test_a_hub_that_can_not_be_reached_is_named_at_once(tmp_path: Path) -> None:
    nobody_listens = "http://127.0.0.1:1"
    complaint = fetch_from_hub(HF_ENDPOINT=nobody_listens, HF_HOME=str(tmp_path), HF_HUB_OFFLINE="0")[1]
    assert "some/repository can't be fetched: [Errno 111] Connection refused" in complaint
    assert "Retrying" not in complaint
