"""Fetching over HTTP from a server that can't give parts of a file, and what goes wrong."""

import threading
import time
from contextlib import suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote, unquote

import pytest

from mgn_ma.media.errors import MediaError
from mgn_ma.media.fetch import FetchConfig, fetch, is_within

LOCAL = FetchConfig(max_seconds=5, private_hosts=("127.0.0.1",))
CONTENT = bytes(range(256)) * 5000


class Handler(SimpleHTTPRequestHandler):
    def do_GET(self):
        if self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", unquote(self.path.removeprefix("/to/")))
            self.end_headers()
            return None
        if self.path == "/short.mp4":
            self.send_response(200)
            self.send_header("Content-Length", "9")
            self.end_headers()
            self.wfile.write(b"x")
            return None
        if self.path == "/endless.mp4":
            self.send_response(200)
            self.end_headers()
            with suppress(OSError):
                while True:
                    self.wfile.write(bytes(1 << 16))
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
    for name in ("a%20film.mp4?signed=x.y", "to/%2Fa%2520film.mp4"):
        fetch(f"{host}/{name}", tmp_path / "film", LOCAL)
        assert (tmp_path / "film").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("name", "limits", "reason"),
    [
        ("gone.mp4", {}, "is not there, or nobody answers there"),
        ("a%20film.mp4", {"max_mib": 1}, "is larger than 1 MiB, the most that is fetched"),
        ("endless.mp4", {"max_mib": 1}, "is larger than 1 MiB, the most that is fetched"),
        ("short.mp4", {}, "the connection was cut after 1 bytes"),
        ("to/x.mp4", {}, "redirects more than 5 times"),
        ("to/file:%2F%2F%2Fetc%2Fpasswd", {}, "the address that it redirects to is none of http, https"),
        ("to/http:%2F%2Flocalhost%2Fa", {}, "at (127.0.0.1|::1), which is no public address"),
        ("a%20film.mp4", {"private_hosts": ()}, "at 127.0.0.1, which is no public address"),
        ("a%20film.mp4", {"schemes": ("https",)}, "the address is none of https"),
        ("stalls.mp4", {"max_seconds": 0.5}, r"can't be fetched: \w*Timeout\w*"),
    ],
)
def test_what_can_not_be_fetched_leaves_nothing(host, tmp_path, name, limits, reason):
    with pytest.raises(MediaError, match=reason) as failed:
        fetch(f"{host}/{name}", tmp_path / "film", LOCAL.model_copy(update=limits))
    assert failed.value.path == f"{host}/{name}"
    assert not list(tmp_path.iterdir())


def test_nobody_there(tmp_path):
    with pytest.raises(MediaError, match="is not there, or nobody answers there"):
        fetch("http://127.0.0.1:9/film.mp4", tmp_path / "film", LOCAL)


def test_no_redirect_leaves_the_places(host, tmp_path):
    other = host.replace("127.0.0.1", "localhost")
    places = LOCAL.model_copy(
        update={"places": (f"{host}/to", f"{host}/ok"), "private_hosts": ("127.0.0.1", "localhost")}
    )
    for target in (f"{other}/ok/a.mp4", "/a%20film.mp4"):
        with pytest.raises(MediaError, match="the address that it redirects to is in no place"):
            fetch(f"{host}/to/{quote(target, safe='')}", tmp_path / "film", places)
    with pytest.raises(MediaError, match="the address is in no place"):
        fetch(f"{host}/a%20film.mp4", tmp_path / "film", places)


@pytest.mark.parametrize(
    "address",
    ["http://[::1]:9/a", "http://[::ffff:127.0.0.1]:9/a", "http://169.254.169.254/a"],
)
def test_addresses_inside_are_found_in_every_spelling(tmp_path, address):
    with pytest.raises(MediaError, match="no public address"):
        fetch(address, tmp_path / "film", FetchConfig(max_seconds=5))


@pytest.mark.parametrize(
    ("address", "place", "inside"),
    [
        ("/videos/a.mp4", "/videos", True),
        ("/videos/../etc/passwd", "/videos", False),
        ("/videosecret/a.mp4", "/videos", False),
        ("https://host/v/a.mp4", "https://host/v", True),
        ("https://HOST:443/v//a%20b.mp4?x=..", "https://host/v/", True),
        ("https://host/v/../x/a.mp4", "https://host/v", False),
        ("https://host/v/%2e%2e/x/a.mp4", "https://host/v", False),
        ("https://host/v/%252e%252E/x/a.mp4", "https://host/v", False),
        ("https://host/v%2f..%2fx/a.mp4", "https://host/v", False),
        ("https://host/v/..\\x/a.mp4", "https://host/v", False),
        ("https://host@evil/v/a.mp4", "https://host/v", False),
        ("https://host:8443/v/a.mp4", "https://host/v", False),
        ("http://host/v/a.mp4", "https://host/v", False),
        ("https://host.evil/v/a.mp4", "https://host", False),
        ("https://host:x/v/a.mp4", "https://host", False),
        ("https://host/v/a.zip::file:///etc", "https://host/v", False),
        ("s3://bucket/v/a.mp4", "s3://bucket/v", True),
        ("file:///videos/a.mp4", "/videos", False),
        ("/videos/a.mp4", "https://host", False),
    ],
)
def test_places_are_left_by_no_spelling(address, place, inside):
    assert is_within(address, place) == inside


def test_a_link_out_of_a_place_is_outside(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/link.mp4").symlink_to(tmp_path / "secret.mp4")
    assert not is_within(str(tmp_path / "in/link.mp4"), str(tmp_path / "in"))
