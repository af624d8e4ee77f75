"""What a consumer sees of a modality: the tracks that are wanted now, each compared with what it must be made from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from mgn_ma.extractors.base import Clock
from mgn_ma.features.store import TrackStore
from mgn_ma.features.track import Selection, Track, TrackError, TrackFailure, TrackHeader


class TrackView:
    """The tracks of one modality, of one extractor, of the sources as they are now.

    Attributes:
        store: where they stand.
        selection: what is wanted.
        headers: of the tracks that are there, in the order of the selection.
        failures: of the videos whose track could not be made from the source as it is now.
        missing: videos that have neither, because an extraction was interrupted or never ran.
    """

    def __init__(self, store: TrackStore, selection: Selection, *, verify: bool = False) -> None:
        self.store = store
        self.selection = selection
        wanted = selection.wanted
        kept = store.headers(selection.modality, selection.fingerprint, verify=verify)
        failed = store.failures(selection.modality, selection.fingerprint)
        self.headers: dict[str, TrackHeader] = {
            video_id: kept[video_id]
            for video_id, digest in wanted.items()
            if video_id in kept and kept[video_id].source_digest == digest
        }
        self.failures: dict[str, TrackFailure] = {
            video_id: failed[video_id]
            for video_id, digest in wanted.items()
            if video_id not in self.headers and video_id in failed and failed[video_id].source_digest == digest
        }
        self.missing = [v for v in wanted if v not in self.headers and v not in self.failures]

    @property
    def modality(self) -> str:
        """Whose tracks these are."""
        return self.selection.modality

    @property
    def fingerprint(self) -> str:
        """Of the extractor that made all of them."""
        return self.selection.fingerprint

    @cached_property
    def width(self) -> int:
        """Length of a vector.

        Raises:
            TrackError: no video has a track, so nobody knows.
        """
        return self.read(self._any()).width

    @property
    def clock(self) -> Clock:
        """What the timestamps of the tracks are.

        Raises:
            TrackError: no video has a track, so nobody knows.
        """
        return self.headers[self._any()].clock

    def read(self, video_id: str) -> Track:
        """Read a track of the view.

        Raises:
            KeyError: the video has none in this view; ask with ``in`` first.
            TrackError: the file was damaged or exchanged since the view was made.
        """
        wanted = self.headers[video_id]
        track = self.store.read(self.modality, self.fingerprint, video_id)
        if track.header != wanted:
            raise TrackError(f"the {self.modality} track of {video_id} changed while it was in use")
        return track

    def require_complete(self) -> None:
        """Refuse to stand for more videos than there are.

        Raises:
            TrackError: a wanted video has neither a track nor a failure on record.
        """
        if self.missing:
            raise TrackError(
                f"{len(self.missing)} of {len(self.selection.wanted)} videos have neither a {self.modality} track nor "
                f"a reason why not (the first is {self.missing[0]}): the extraction was interrupted. Run it again; it "
                "computes only what is missing"
            )

    def __contains__(self, video_id: object) -> bool:
        return video_id in self.headers

    def __iter__(self) -> Iterator[str]:
        return iter(self.headers)

    def __len__(self) -> int:
        return len(self.headers)

    def _any(self) -> str:
        if not self.headers:
            raise TrackError(
                f"no video has a {self.modality} track ({len(self.failures)} failed, {len(self.missing)} were never "
                "tried): the account says why. A modality that the data does not have is taken out of `modalities`"
            )
        return next(iter(self.headers))


@dataclass(frozen=True, slots=True)
class ModalityOnDisk:
    """One modality's part of a store, whatever it holds: the place where an extraction looks before it starts."""

    store: TrackStore
    modality: str

    def view(self, selection: Selection, *, verify: bool = False) -> TrackView:
        """View a selection that need not be complete.

        Raises:
            ValueError: the selection is of another modality.
        """
        if selection.modality != self.modality:
            raise ValueError(f"a selection of {selection.modality} tracks on the folder of {self.modality}")
        return TrackView(self.store, selection, verify=verify)
