"""A file that is elsewhere, fetched whole to a local one: from where it is allowed, within limits of size and time."""

from __future__ import annotations

import ipaddress
import re
import socket
import time
from collections.abc import Iterable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import unquote, urljoin, urlsplit

import fsspec
from fsspec.asyn import get_loop, sync
from pydantic import Field

from mgn_ma.configuration import Configuration
from mgn_ma.errors import MGNMAError
from mgn_ma.media.errors import MediaError

if TYPE_CHECKING:
    import aiohttp

_CHUNK_BYTES = 1 << 20
_MOST_REDIRECTS = 5
_REDIRECTS = (301, 302, 303, 307, 308)
_PORTS = {"http": 80, "https": 443}


class FetchConfig(Configuration):
    """What is fetched at most, and from where.

    Attributes:
        max_mib: of one file.
        max_seconds: for one file.
        schemes: of the URLs that are fetched.
        private_hosts: hosts that may be at an address of a private network or of this machine. All others have to be
            at public ones, after every redirect, so that no list or server sends us into our own network.
        places: if any are given, beginnings of URLs that an address has to lie in, after every redirect.
    """

    max_mib: int = Field(default=4096, gt=0)
    max_seconds: float = Field(default=1800, gt=0)
    schemes: tuple[str, ...] = ("http", "https", "s3", "gs", "gcs", "az", "abfs", "abfss")
    private_hosts: tuple[str, ...] = ()
    places: tuple[str, ...] = ()


def is_remote(path: str) -> bool:
    """Whether a path is an fsspec URL and no path of this machine."""
    return "://" in path


def hosts_of(addresses: Iterable[str]) -> tuple[str, ...]:
    """The hosts that URLs name; paths name none."""
    return tuple(filter(None, (urlsplit(address).hostname for address in addresses if is_remote(address))))


def is_within(address: str, place: str) -> bool:
    """Whether a path lies in a folder, or a URL begins with another, however they are spelt."""
    if not is_remote(address) and not is_remote(place):
        return Path(address).resolve().is_relative_to(Path(place).resolve())
    parts, beginning = _normalised(address), _normalised(place)
    return parts is not None and beginning is not None and parts[: len(beginning)] == beginning


def _normalised(url: str) -> list[object] | None:
    """Scheme, host, port and names of folders; ``None`` where two readers could understand different things."""
    path = urlsplit(url).path
    while (decoded := unquote(path)) != path:
        path = decoded
    names = [name for name in path.split("/") if name]
    try:
        scheme, host, port = urlsplit(url).scheme, urlsplit(url).hostname, urlsplit(url).port
    except ValueError:
        return None
    if not is_remote(url) or "::" in url or re.search(r"[\\\x00-\x1f]", url + path) or {".", ".."} & set(names):
        return None
    return [scheme, host, port or _PORTS.get(scheme), *names]


def fetch(url: str, target: Path, config: FetchConfig) -> None:
    """Fetch a file; nothing is left of one that could not be fetched whole.

    Args:
        url: an fsspec URL (``https://…``, ``s3://…``).
        target: the local file to write.
        config: the limits.

    Raises:
        MediaError: it isn't there, can't be read, may not be asked for, or exceeds a limit; the reason says which.
    """
    try:
        _require_allowed(url, url, config)
        with target.open("wb") as file:
            if url.startswith(("http://", "https://")):
                sync(get_loop(), _fetch_http, url, file, config)
            else:
                with fsspec.open(url, "rb") as source:
                    _copy(url, source, file, config)
    except BaseException as error:
        target.unlink(missing_ok=True)
        if isinstance(error, MediaError) or not isinstance(error, Exception):
            raise
        # Each file system raises errors of its own; those of asyncio have no text.
        reason = f"can't be fetched: {type(error).__name__}: {error}".rstrip(": ")
        if isinstance(error, FileNotFoundError):
            reason = "is not there, or nobody answers there"
        raise MediaError(url, reason) from error


def _require_allowed(url: str, asked: str, config: FetchConfig) -> None:
    """A redirect has to keep to what the address that was asked for has to."""
    where = "" if url == asked else " that it redirects to"
    scheme = urlsplit(url).scheme
    # fsspec takes a double colon for two addresses; over HTTP it is not asked.
    if scheme not in config.schemes or ("::" in url and scheme not in _PORTS):
        raise MediaError(asked, f"the address{where} is none of {', '.join(config.schemes)}")
    if config.places and not any(is_within(url, place) for place in config.places):
        raise MediaError(asked, f"the address{where} is in no place that may be read from")


async def _fetch_http(url: str, target: IO[bytes], config: FetchConfig) -> None:
    import aiohttp

    timeout = aiohttp.ClientTimeout(total=config.max_seconds, sock_connect=30, sock_read=60)
    address = url
    for _ in range(_MOST_REDIRECTS + 1):
        _require_allowed(address, url, config)
        is_private = urlsplit(address).hostname in config.private_hosts
        connector = aiohttp.TCPConnector(socket_factory=None if is_private else _public_socket)
        try:
            async with (
                aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
                session.get(address, allow_redirects=False) as response,
            ):
                if response.status not in _REDIRECTS:
                    return await _copy_response(url, response, target, config)
                address = urljoin(address, response.headers.get("Location", ""))
        except aiohttp.ClientConnectorError as error:
            if isinstance(error.os_error, _NotPublicError):
                raise MediaError(url, str(error.os_error.strerror)) from error
            raise FileNotFoundError(url) from error
    raise MediaError(url, f"redirects more than {_MOST_REDIRECTS} times")


class _NotPublicError(MGNMAError, PermissionError):
    """A host is at an address inside; as an error of the system, since that is what a connection may fail with."""


def _public_socket(info: tuple[Any, ...]) -> socket.socket:
    """A socket for an address that a name was resolved to: checked here, a name can't change in between."""
    address = ipaddress.ip_address(info[4][0].partition("%")[0])
    if not (getattr(address, "ipv4_mapped", None) or address).is_global:
        raise _NotPublicError(
            0, f"its host is at {address}, which is no public address (fetch.private_hosts lists those that may be)"
        )
    return socket.socket(*info[:3])


async def _copy_response(url: str, response: aiohttp.ClientResponse, target: IO[bytes], config: FetchConfig) -> None:
    import aiohttp

    if response.status == 404:
        raise FileNotFoundError(url)
    if not response.ok:
        raise MediaError(url, f"can't be fetched: HTTP {response.status} {response.reason}")
    n_bytes = 0
    try:
        async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
            n_bytes += len(chunk)
            _require_size(url, n_bytes, config)
            target.write(chunk)
    except aiohttp.ClientPayloadError as error:
        raise MediaError(url, f"the connection was cut after {n_bytes} bytes") from error


def _copy(url: str, source: IO[bytes], target: IO[bytes], config: FetchConfig) -> None:
    until, n_bytes = time.monotonic() + config.max_seconds, 0
    while chunk := source.read(_CHUNK_BYTES):
        n_bytes += len(chunk)
        _require_size(url, n_bytes, config)
        if time.monotonic() > until:
            raise MediaError(url, f"could not be fetched within {config.max_seconds:g} s")
        target.write(chunk)


def _require_size(url: str, n_bytes: int, config: FetchConfig) -> None:
    if n_bytes > config.max_mib << 20:
        raise MediaError(url, f"is larger than {config.max_mib} MiB, the most that is fetched")
