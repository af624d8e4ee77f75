"""A packed split as a Kedro dataset: a plan is packed as it is saved, and loads as memory-mapped matrices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset, DatasetError

from mgn_ma.training.packed import DESCRIPTION, PackedSplit
from mgn_ma.training.packing import PackPlan, pack


class PackedSplitDataset(AbstractDataset[PackPlan, PackedSplit]):
    """One split's matrices, index and labels in a folder that is replaced as a whole.

    Saving takes a plan, of which nothing has been read, and packs it video by video; a folder that was packed from the
    same plan is kept. Loading maps the files.

    Args:
        filepath: of the folder, on a local disk: training reads it at random.
        metadata: for Kedro-Viz and others; not used here.

    Example catalog entry::

        train_input:
          type: mgn_ma.datasets.packed_split.PackedSplitDataset
          filepath: data/05_model_input/train
    """

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        if "://" in filepath:
            raise DatasetError(
                f"{filepath}: a packed split is read at random through memory maps and belongs on a local disk; tracks "
                "may be elsewhere"
            )
        self._filepath = Path(filepath)
        self.metadata = metadata

    def save(self, data: PackPlan) -> None:
        """Pack the plan."""
        try:
            pack(data, self._filepath)
        except ValueError as error:
            raise DatasetError(str(error)) from error

    def load(self) -> PackedSplit:
        """Open the folder."""
        try:
            return PackedSplit(self._filepath)
        except (OSError, ValueError) as error:
            raise DatasetError(str(error)) from error

    def _exists(self) -> bool:
        return (self._filepath / DESCRIPTION).exists()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}
