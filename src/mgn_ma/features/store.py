"""The track store: one Arrow file a video, modality and extractor fingerprint, under a local path or an fsspec URL.

Layout below the root::

    <modality>/selection.json                      which fingerprint and which videos are wanted now
    <modality>/<fingerprint[:12]>/<video>.arrow    a track
    <modality>/<fingerprint[:12]>/<video>.failed.json   why there is none

A file appears whole or not at all.
"""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import fsspec
import pyarrow as pa
from fsspec.implementations.local import LocalFileSystem

from mgn_ma.features import arrow
from mgn_ma.features.arrow import Dtype
from mgn_ma.features.track import Selection, Track, TrackError, TrackFailure, TrackHeader
from mgn_ma.files import remove_unfinished, write_atomically

logger = logging.getLogger(__name__)

TRACK_SUFFIX = ".arrow"
FAILURE_SUFFIX = ".failed.json"
REMOTE_CONNECTIONS = 16

T = TypeVar("T")


class TrackStore:
    """Reads and writes tracks, failures and selections below one root.

    Args:
        root: a local path or an fsspec URL (``s3://bucket/prefix``, ``memory://…``).
        dtype: of the vectors on disk. A track of another dtype counts as missing.
        storage_options: for the file system, such as an endpoint or credentials.
    """

    def __init__(
        self, root: str | Path, dtype: Dtype = "float16", storage_options: Mapping[str, Any] | None = None
    ) -> None:
        self.root = str(root)
        self.dtype: Dtype = dtype
        self._fs, path = fsspec.core.url_to_fs(self.root, **dict(storage_options or {}))
        self._path = str(path).rstrip("/")
        self._is_local = isinstance(self._fs, LocalFileSystem)

    def path(self, modality: str, fingerprint: str, video_id: str) -> str:
        """Where a track stands, in the terms of the file system.

        Raises:
            TrackError: an identifier that would leave its folder.
        """
        for part in (modality, video_id):
            if not part or "/" in part or "\\" in part or part.startswith("."):
                raise TrackError(f"{part!r} can't be the name of a file")
        return f"{self._folder(modality, fingerprint)}/{video_id}{TRACK_SUFFIX}"

    def headers(self, modality: str, fingerprint: str, *, verify: bool = False) -> dict[str, TrackHeader]:
        """Headers of all whole tracks of one extractor. A damaged file is reported in the log and left out.

        Args:
            modality: whose tracks.
            fingerprint: of the extractor.
            verify: read each track whole and compare its checksum, where otherwise only its footer is read.
        """
        folder = self._folder(modality, fingerprint)
        names = [name for name in self._names(folder) if name.endswith(TRACK_SUFFIX)]

        def read_header(name: str) -> TrackHeader | None:
            video_id = name.removesuffix(TRACK_SUFFIX)
            try:
                return self._checked_header(f"{folder}/{name}", (modality, fingerprint, video_id), verify)
            except TrackError as error:
                logger.warning("%s is no usable track and counts as missing: %s", f"{folder}/{name}", error)
            except FileNotFoundError:  # removed since it was listed
                pass
            return None

        return {header.video_id: header for header in self._map(read_header, names) if header is not None}

    def failures(self, modality: str, fingerprint: str) -> dict[str, TrackFailure]:
        """What could not be made, by video. An unreadable record counts as none."""
        folder = self._folder(modality, fingerprint)
        names = [name for name in self._names(folder) if name.endswith(FAILURE_SUFFIX)]

        def read_failure(name: str) -> TrackFailure | None:
            try:
                return TrackFailure(**json.loads(self._fs.cat_file(f"{folder}/{name}")))
            except (ValueError, TypeError, FileNotFoundError) as error:
                logger.warning("%s is no record of a failure and is ignored: %s", f"{folder}/{name}", error)
                return None

        return {failure.video_id: failure for failure in self._map(read_failure, names) if failure is not None}

    def read(self, modality: str, fingerprint: str, video_id: str) -> Track:
        """Read a track; on a local disk its arrays are mapped, not copied.

        Raises:
            FileNotFoundError: there is none.
            TrackError: it is damaged, or another's.
        """
        path = self.path(modality, fingerprint, video_id)
        try:
            if self._is_local:
                with pa.memory_map(path) as mapped:
                    track = arrow.decode(mapped)
            else:
                track = arrow.decode(pa.BufferReader(self._fs.cat_file(path)))
            _check_identity(track.header, (modality, fingerprint, video_id))
        except TrackError as error:
            raise TrackError(f"{path}: {error}. Delete it and run the extraction again") from error
        return track

    def write(self, track: Track) -> None:
        """Write a track atomically, and forget an earlier failure.

        Raises:
            TrackError: a value is not finite or does not fit the store's dtype.
        """
        header = track.header
        path = self.path(header.modality, header.fingerprint, header.video_id)
        write_atomically(path, arrow.encode(track, self.dtype), self._fs)
        with contextlib.suppress(FileNotFoundError):
            self._fs.rm_file(path.removesuffix(TRACK_SUFFIX) + FAILURE_SUFFIX)

    def write_failure(self, failure: TrackFailure) -> None:
        """Write down, atomically, why there is no track."""
        path = self.path(failure.modality, failure.fingerprint, failure.video_id)
        content = json.dumps(asdict(failure), indent=1, ensure_ascii=False)
        write_atomically(path.removesuffix(TRACK_SUFFIX) + FAILURE_SUFFIX, content.encode(), self._fs)

    def keep(self, item: Selection | Track | TrackFailure) -> None:
        """Write down which tracks are wanted, a track, or why there is none."""
        if isinstance(item, Selection):
            self.select(item)
        elif isinstance(item, Track):
            self.write(item)
        else:
            self.write_failure(item)

    def select(self, selection: Selection) -> None:
        """Say which tracks of a modality are wanted from now on."""
        content = json.dumps(asdict(selection), indent=1, ensure_ascii=False)
        write_atomically(f"{self._path}/{selection.modality}/selection.json", content.encode(), self._fs)
        if self._is_local:
            remove_unfinished(self._folder(selection.modality, selection.fingerprint))

    def selection(self, modality: str) -> Selection | None:
        """What was selected last; ``None`` where nothing ever was.

        Raises:
            TrackError: the file is damaged.
        """
        path = f"{self._path}/{modality}/selection.json"
        try:
            selection = Selection(**json.loads(self._fs.cat_file(path)))
            if not isinstance(selection.fingerprint, str) or not isinstance(selection.wanted, dict):
                raise TypeError("a field is of another type")
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as error:
            raise TrackError(
                f"{path}: says not which tracks are wanted ({error}). Delete it and run the pipeline again that makes "
                "the tracks: it makes only those that are missing"
            ) from error
        return selection

    def _folder(self, modality: str, fingerprint: str) -> str:
        return f"{self._path}/{modality}/{fingerprint[:12]}"

    def _names(self, folder: str) -> list[str]:
        self._fs.invalidate_cache(folder)
        try:
            return sorted(str(name).rstrip("/").rpartition("/")[2] for name in self._fs.ls(folder, detail=False))
        except FileNotFoundError:
            return []

    def _map(self, read: Callable[[str], T], names: list[str]) -> Iterable[T]:
        if self._is_local or len(names) < 2:
            return map(read, names)
        with ThreadPoolExecutor(REMOTE_CONNECTIONS) as pool:
            return list(pool.map(read, names))

    def _checked_header(self, path: str, identity: tuple[str, str, str], verify: bool) -> TrackHeader:
        with self._opened(path) as file:
            header, dtype = arrow.decode_header(file)
            _check_identity(header, identity)
            if dtype != self.dtype:
                raise TrackError(f"its vectors are {dtype}, wanted are {self.dtype}")
            if verify:
                arrow.decode(file)
        return header

    @contextlib.contextmanager
    def _opened(self, path: str) -> Iterator[Any]:
        if self._is_local:
            # An empty file can't be mapped, and a mapped one that shrinks kills the process: plain reads for headers.
            with pa.OSFile(path) as file:
                yield file
        else:
            with self._fs.open(path, "rb", cache_type="none") as remote:
                yield pa.PythonFile(remote, mode="r")


def _check_identity(header: TrackHeader, identity: tuple[str, str, str]) -> None:
    found = (header.modality, header.fingerprint, header.video_id)
    if found != identity:
        raise TrackError(f"its header says {found}, its place says {identity}")
