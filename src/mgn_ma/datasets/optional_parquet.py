"""A Parquet table that may be absent: what only some data sets have, such as the sample's truth."""

from __future__ import annotations

import pandas as pd
from kedro_datasets.pandas import ParquetDataset  # type: ignore[import-untyped]


class OptionalParquetDataset(ParquetDataset):  # type: ignore[misc]
    """Loads a table, or ``None`` where its file does not exist; saves as ``pandas.ParquetDataset`` does."""

    def load(self) -> pd.DataFrame | None:
        """The table, or ``None`` if nobody has written it."""
        return super().load() if self._exists() else None
