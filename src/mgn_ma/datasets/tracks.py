"""Kedro datasets on a track store: tracks saved as they are made and loaded as a view, and what is on disk already."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from kedro.io import AbstractDataset, DatasetError

from mgn_ma.datasets.handle import HandleDataset
from mgn_ma.features.arrow import Dtype
from mgn_ma.features.store import TrackStore
from mgn_ma.features.track import Selection, Track, TrackError, TrackFailure
from mgn_ma.features.view import ModalityOnDisk, TrackView


class _OneModality:
    def __init__(
        self,
        *,
        path: str,
        modality: str,
        dtype: Dtype = "float16",
        credentials: dict[str, Any] | None = None,
        fs_args: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._path = path
        self._modality = modality
        self._dtype: Dtype = dtype
        self._options = {**(fs_args or {}), **(credentials or {})}
        self.metadata = metadata

    @cached_property
    def _store(self) -> TrackStore:
        # Once: a node gives its tracks one by one.
        return TrackStore(self._path, self._dtype, self._options)

    def _describe(self) -> dict[str, Any]:
        return {"path": self._path, "modality": self._modality, "dtype": self._dtype}


class TracksDataset(_OneModality, AbstractDataset["Selection | Track | TrackFailure", TrackView]):
    """The tracks of one modality.

    A node gives first the selection, then each track or failure as it is made; each is kept atomically. Killed in the
    middle, everything that was finished is there.

    Loading gives a ``TrackView`` of the selection, and refuses while a wanted video has neither a track nor a failure
    on record, so nothing is ever trained on a silent subset. The view stands until something is saved or the run needs
    it no more: its files are looked into once.

    Args:
        path: a local path or an fsspec URL; the modality's folder is below it.
        modality: name of the folder.
        dtype: of the vectors on disk.
        credentials: for the file system, by name from ``credentials.yml``.
        fs_args: further options of the file system.
        metadata: for Kedro-Viz and others; not used here.
    """

    _view: TrackView | None = None

    def save(self, data: Selection | Track | TrackFailure) -> None:
        """Keep what is given.

        Raises:
            DatasetError: it is of another modality.
        """
        modality = data.header.modality if isinstance(data, Track) else data.modality
        if modality != self._modality:
            raise DatasetError(f"{modality} tracks don't belong to the {self._modality} folder")
        self._view = None
        self._store.keep(data)

    def load(self) -> TrackView:
        """View the selected tracks."""
        if self._view is None:
            self._view = self._selected()
        return self._view

    def _selected(self) -> TrackView:
        store = self._store
        selection = store.selection(self._modality)
        if selection is None:
            raise DatasetError(
                f"no {self._modality} tracks were ever extracted below {self._path}: run the pipelines "
                "frame_features, clip_features and video_features first"
            )
        view = TrackView(store, selection)
        try:
            view.require_complete()
        except TrackError as error:
            raise DatasetError(str(error)) from error
        return view

    def _exists(self) -> bool:
        store = self._store
        selection = store.selection(self._modality)
        return selection is not None and not TrackView(store, selection).missing

    def _release(self) -> None:
        self._view = None


class TracksOnDiskDataset(_OneModality, HandleDataset[ModalityOnDisk]):
    """What a modality's folder holds before anything is computed. Load only; an empty or absent folder is no error.

    A second catalog entry on the path of a ``TracksDataset``, because a node can't have one dataset as both input and
    output. Arguments as there.
    """

    def load(self) -> ModalityOnDisk:
        """Open the folder; nothing is read yet."""
        return ModalityOnDisk(self._store, self._modality)
