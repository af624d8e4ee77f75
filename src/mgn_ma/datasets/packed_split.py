"""A packed split as a Kedro dataset: memory-mapped matrices in a folder on a local disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset, DatasetError

from mgn_ma.training.packed import DESCRIPTION, PackedSplit


class PackedSplitDataset(AbstractDataset[PackedSplit, PackedSplit]):
    """One split's matrices, index and labels, which the node that packs them has put in place.

    Args:
        filepath: of the folder, on a local disk: training reads it at random.
        metadata: for Kedro-Viz and others; not used here.
    """

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        if "://" in filepath:
            raise DatasetError(
                f"{filepath}: a packed split is read at random through memory maps and belongs on a local disk; tracks "
                "may be elsewhere"
            )
        self._filepath = Path(filepath)
        self.metadata = metadata

    def save(self, data: PackedSplit) -> None:
        """Accept what stands in the folder.

        Raises:
            DatasetError: it stands elsewhere.
        """
        if data.folder.resolve() != self._filepath.resolve():
            raise DatasetError(f"the split was packed into {data.folder}, the catalog expects it in {self._filepath}")

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
