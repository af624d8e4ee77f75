"""A file that is elsewhere, fetched whole to a local one, within limits of size and time."""

from __future__ import annotations

import time
from pathlib import Path
from typing import IO, Any

import fsspec
from pydantic import BaseModel, ConfigDict, Field

from mgn_ma.media.errors import MediaError

_CHUNK_BYTES = 1 << 20


class FetchConfig(BaseModel):
    """What is fetched at most.

    Attributes:
        max_mib: of one file.
        max_seconds: for one file.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_mib: int = Field(default=4096, gt=0)
    max_seconds: float = Field(default=1800, gt=0)


def is_remote(path: str) -> bool:
    """Whether a path is an fsspec URL and no path of this machine."""
    return "://" in path


def fetch(url: str, target: Path, config: FetchConfig) -> None:
    """Fetch a file; nothing is left of one that could not be fetched whole.

    Args:
        url: an fsspec URL (``https://…``, ``s3://…``).
        target: the local file to write.
        config: the limits.

    Raises:
        MediaError: it isn't there, can't be read, or exceeds a limit; the reason says which.
    """
    try:
        _fetch(url, target, config)
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def _fetch(url: str, target: Path, config: FetchConfig) -> None:
    try:
        with _opened(url, config) as source, target.open("wb") as file:
            _copy(url, source, file, config)
    except MediaError:
        raise
    except FileNotFoundError as error:
        # fsspec says so of a server that refuses the connection too.
        raise MediaError(url, "is not there, or nobody answers there") from error
    except Exception as error:
        # Each file system raises errors of its own; those of asyncio have no text.
        raise MediaError(url, f"can't be fetched: {type(error).__name__}: {error}".rstrip(": ")) from error


def _opened(url: str, config: FetchConfig) -> Any:
    if not url.startswith(("http://", "https://")):
        return fsspec.open(url, "rb")
    import aiohttp

    # Read as a stream: not every server can give parts of a file.
    timeout = aiohttp.ClientTimeout(total=config.max_seconds, sock_connect=30, sock_read=60)
    return fsspec.open(url, "rb", block_size=0, client_kwargs={"timeout": timeout})


def _copy(url: str, source: IO[bytes], target: IO[bytes], config: FetchConfig) -> None:
    until, n_bytes = time.monotonic() + config.max_seconds, 0
    while chunk := source.read(_CHUNK_BYTES):
        n_bytes += len(chunk)
        if n_bytes > config.max_mib << 20:
            raise MediaError(url, f"is larger than {config.max_mib} MiB, the most that is fetched")
        if time.monotonic() > until:
            raise MediaError(url, f"could not be fetched within {config.max_seconds:g} s")
        target.write(chunk)
