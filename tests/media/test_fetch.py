"""Fetching over HTTP from a server that can't give parts of a file, and what goes wrong."""

import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from mgn_ma.media.errors import MediaError
from mgn_ma.media.fetch import FetchConfig, fetch

CONTENT = bytes(range(256)) * 5000


class Handler(SimpleHTTPRequestHandler):
    def do_GET(self):
        if self.path != "/stalls.mp4":
            return super().do_GET()
        self.send_response(200)
        self.send_header("Content-Length", "1000000")
        self.end_headers()
        self.wfile.write(b"x")
        self.wfile.flush()
        time.sleep(2)
        return None

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    folder = tmp_path_factory.mktemp("host")
    (folder / "a film.mp4").write_bytes(CONTENT)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_a_file_arrives_whole(host, tmp_path):
    fetch(f"{host}/a%20film.mp4?signed=x.y", tmp_path / "film", FetchConfig())
    assert (tmp_path / "film").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("name", "limits", "reason"),
    [
        ("gone.mp4", {}, "is not there, or nobody answers there"),
        ("a%20film.mp4", {"max_mib": 1}, "is larger than 1 MiB, the most that is fetched"),
        ("stalls.mp4", {"max_seconds": 0.5}, r"can't be fetched: \w*Timeout\w*"),
    ],
)
def test_what_can_not_be_fetched_leaves_nothing(host, tmp_path, name, limits, reason):
    with pytest.raises(MediaError, match=reason) as failed:
        fetch(f"{host}/{name}", tmp_path / "film", FetchConfig(**limits))
    assert failed.value.path == f"{host}/{name}"
    assert not list(tmp_path.iterdir())


def test_nobody_there(tmp_path):
    with pytest.raises(MediaError, match="is not there, or nobody answers there"):
        fetch("http://127.0.0.1:9/film.mp4", tmp_path / "film", FetchConfig(max_seconds=5))
