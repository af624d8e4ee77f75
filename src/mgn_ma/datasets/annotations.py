"""An annotation table as a catalog entry: a file that is no table at all is refused as a wrong row is, in one line."""

from __future__ import annotations

from pathlib import PurePath

import pandas as pd
from kedro.io import DatasetError
from kedro_datasets.pandas import CSVDataset  # type: ignore[import-untyped]
from pandas.errors import EmptyDataError

from mgn_ma.eev.annotations import AnnotationError


class AnnotationsDataset(CSVDataset):  # type: ignore[misc]
    """Loads and saves as ``pandas.CSVDataset`` does."""

    def load(self) -> pd.DataFrame:
        """The table as it stands in the file.

        Raises:
            AnnotationError: the file is empty, is not UTF-8, or a row has more fields than the header.
        """
        try:
            table: pd.DataFrame = super().load()
        except DatasetError as error:
            if not isinstance(error.__cause__, ValueError):
                raise
            path = PurePath(str(self._filepath))
            raise AnnotationError(f"{path.parent.name}/{path.name}", _reason(error.__cause__)) from error
        return table


def _reason(error: ValueError) -> str:
    if isinstance(error, EmptyDataError):
        return "the file is empty; download it again"
    if isinstance(error, UnicodeDecodeError):
        return "the text is not UTF-8 (UTF-16, as spreadsheets write it?); save the table as CSV in UTF-8"
    said = str(error).strip().removeprefix("Error tokenizing data. C error: ")
    return f"the table can't be read ({said}); correct the row or download the table again"
