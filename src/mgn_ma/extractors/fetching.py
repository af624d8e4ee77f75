"""Getting pretrained files: from an address with resume, from a model hub, or from a local file that a user has.

The only module of this room that opens connections, and only when the pipeline ``weights`` is asked to fetch.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import logging
import os
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from mgn_ma.extractors.pretrained import PublicWeights, WeightsError, WeightsNeed, locate, record_sha256
from mgn_ma.extractors.weights import fetch_address, verified

log = logging.getLogger(__name__)

OnBytes = Callable[[int, int | None], None]
"""Told how many bytes are there, and how many there will be where the server says so."""

_CHUNK = 1 << 20
_TIMEOUT_S = 30.0
_TRIES_WITHOUT_PROGRESS = 4
_NO_USE_TO_TRY_AGAIN = frozenset({400, 401, 403, 404, 405, 410, 451})


def fetch(need: WeightsNeed, on_bytes: OnBytes | None = None) -> None:
    """Fetch the files of one set of weights to where the configuration looks for them, and check their digest.

    Raises:
        WeightsError: if no address is known, the server refuses, or what came is not what is configured.
    """
    address = fetch_address(need.pretrained, need.public)
    if address is None:
        raise WeightsError(f"no address is known to fetch {need.public.title} from. {need.public.note}".rstrip())
    if address.startswith("hub:"):
        _fetch_from_hub(need, address.removeprefix("hub:"))
        return
    target = target_of(need)
    fetch_file(address, target, expected_sha256=need.pretrained.sha256, on_bytes=on_bytes)
    record_sha256(target)


def target_of(need: WeightsNeed) -> Path:
    """The path that the configuration names.

    Raises:
        WeightsError: if it names a hub repository instead.
    """
    if need.pretrained.path is None:
        raise WeightsError(
            f"{need.network} is configured by a hub repository; configure `pretrained: <path>` to use a file of yours"
        )
    return Path(need.pretrained.path).expanduser()


def accept(need: WeightsNeed, given: Path) -> None:
    """Copy a file (or directory) that the user has to where the configuration looks for it, whole or not at all.

    Raises:
        WeightsError: if it is absent, its digest is not the configured one, or a hub repository is configured.
    """
    target = target_of(need)
    theirs = replace(need, pretrained=need.pretrained.model_copy(update={"path": str(given)}))
    verified(theirs)
    for path in locate(theirs):
        _put(path, target / path.name if len(need.public.files) > 1 else target)
    record_sha256(locate(need)[0])


def fetch_file(url: str, target: Path, *, expected_sha256: str | None = None, on_bytes: OnBytes | None = None) -> None:
    """Download one file; what an earlier try left in ``<target>.part`` is continued if the server still has the same.

    The file appears under its name only when it is whole and its digest is right.

    Raises:
        WeightsError: if the server refuses, gives up several times in a row, or sends something else.
    """
    if urlsplit(url).scheme not in {"http", "https"}:
        raise WeightsError(f"{url} is no http or https address")
    target.parent.mkdir(parents=True, exist_ok=True)
    part = _Part(target.with_name(target.name + ".part"), url)
    tries = 0
    while True:
        before = part.size
        try:
            _continue(part, on_bytes)
            break
        except urllib.error.HTTPError as error:
            if error.code in _NO_USE_TO_TRY_AGAIN:
                raise WeightsError(f"{url}: the server answered {error.code} {error.reason}") from error
            failure: Exception = error
        except (OSError, http.client.HTTPException) as error:
            failure = error
        tries = 1 if part.size > before else tries + 1
        if tries >= _TRIES_WITHOUT_PROGRESS:
            raise WeightsError(
                f"{url}: {failure}; {part.size} bytes are kept, another run continues there"
            ) from failure
        log.warning("%s: %s; going on after %d bytes", url, failure, part.size)
        time.sleep(2.0**tries / 4)
    try:
        _demand(part.path, expected_sha256)
    except WeightsError:
        part.drop()
        raise
    part.move_to(target)


@dataclass
class _Part:
    """What has come of a file so far, and which version of it that is."""

    path: Path
    url: str

    @property
    def _note(self) -> Path:
        return self.path.with_name(self.path.name + ".json")

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.is_file() else 0

    @property
    def version(self) -> str | None:
        """The server's mark (a strong ETag or a date) of the version that the part is of; none: start over."""
        if not self.size or not self._note.is_file():
            return None
        try:
            note = json.loads(self._note.read_text())
        except ValueError:
            return None
        return note.get("version") if note.get("url") == self.url else None

    def begin(self, version: str | None) -> None:
        self.path.write_bytes(b"")
        self._note.write_text(json.dumps({"url": self.url, "version": version}))

    def drop(self) -> None:
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def move_to(self, target: Path) -> None:
        self.path.replace(target)
        self._note.unlink(missing_ok=True)


def _continue(part: _Part, on_bytes: OnBytes | None) -> None:
    request = urllib.request.Request(part.url, headers={"User-Agent": "mgn-ma"})  # noqa: S310 (scheme is checked)
    version = part.version
    if version is not None:
        # If-Range: the rest, if it is of the same version; else the whole of the new one.
        request.add_header("Range", f"bytes={part.size}-")
        request.add_header("If-Range", version)
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT_S)  # noqa: S310
    except urllib.error.HTTPError as error:
        if error.code == 416:
            # Nothing lies beyond what is here: it may be whole, but only a fresh start tells.
            part.drop()
        raise
    with response:
        if response.status != 206:
            part.begin(_version_of(response))
        length = response.headers.get("Content-Length")
        total = part.size + int(length) if length is not None else None
        with part.path.open("ab") as file:
            while chunk := response.read(_CHUNK):
                file.write(chunk)
                if on_bytes is not None:
                    on_bytes(file.tell(), total)
        if total is not None and part.size < total:
            raise ConnectionError(f"the connection ended after {part.size} of {total} bytes")


def _version_of(response: http.client.HTTPResponse) -> str | None:
    tag = response.headers.get("ETag")
    if tag is not None and not tag.startswith("W/"):
        return tag
    return response.headers.get("Last-Modified")


def _fetch_from_hub(need: WeightsNeed, repository: str) -> None:
    # The hub's own client knows its log-in, mirrors and storage, resumes and shows progress.
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import OfflineModeIsEnabled

    revision = need.pretrained.revision
    try:
        wanted = _choose(need.public, HfApi().list_repo_files(repository, revision=revision), repository)
        snapshot = Path(snapshot_download(repository, revision=revision, allow_patterns=wanted))
    except OfflineModeIsEnabled as error:
        raise WeightsError(f"{repository} can't be fetched: the hub's client is told to stay offline") from error
    except Exception as error:
        # What its transport raises without a network has no base class in common with the client's own errors.
        raise WeightsError(f"{repository} can't be fetched: {error}") from error
    if need.pretrained.path is not None:
        accept(need, snapshot if len(need.public.files) > 1 else snapshot / wanted[0])


def _choose(public: PublicWeights, there: list[str], repository: str) -> list[str]:
    """Of the files of a repository those that are needed: of alternatives the best that is there."""
    chosen = []
    for names in public.files:
        alternatives = [name for name in names.split("|") if name in there]
        if not alternatives:
            raise WeightsError(f"{repository} has no {names.replace('|', ' or ')}")
        chosen.append(alternatives[0])
    return chosen + [name for name in public.optional_files if name in there]


def _demand(path: Path, expected: str | None) -> None:
    if expected is None:
        return
    with path.open("rb") as file:
        actual = hashlib.file_digest(file, "sha256").hexdigest()
    if not actual.startswith(expected):
        raise WeightsError(f"{path} has SHA-256 {actual}, but {expected} is configured: not the same file")


def _put(source: Path, target: Path) -> None:
    if target.exists() and target.samefile(source):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    shutil.copyfile(source, part)
    part.replace(target)
