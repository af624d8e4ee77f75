"""The place where trainings keep where they stand, as a catalog entry that nodes get and never save."""

from __future__ import annotations

from mgn_ma.datasets.handle import PlaceDataset
from mgn_ma.files import Folder
from mgn_ma.training.states import StateStore


class TrainingStatesDataset(PlaceDataset[StateStore]):
    """Loads the store of training states; an empty or absent folder is no error.

    A node goes through the store to resume what was interrupted and to skip what is finished. States of other
    configurations stay until somebody deletes the folder.
    """

    def load(self) -> StateStore:
        """Open the store; nothing is read yet."""
        return StateStore(Folder(self._filepath, self._options))
