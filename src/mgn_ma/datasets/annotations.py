"""An annotation table as a catalog entry: a file that is no table at all is refused as a wrong row is, in one line."""

from __future__ import annotations

from pathlib import PurePath

import pandas as pd
from kedro.io import DatasetError
from kedro_datasets.pandas import CSVDataset  # type: ignore[import-untyped]
from pandas.errors import EmptyDataError

from mgn_ma.eev.annotations import AnnotationError

LONGEST_HEADER = 1 << 16
"""In bytes. To read a table of 200,000 columns takes pandas most of a minute."""


class AnnotationsDataset(CSVDataset):  # type: ignore[misc]
    """Loads and saves as ``pandas.CSVDataset`` does."""

    def load(self) -> pd.DataFrame:
        """The table as it stands in the file.

        Raises:
            AnnotationError: the file is empty, is not UTF-8, has a header without end, or a row has more fields.
        """
        path = PurePath(str(self._filepath))
        source = f"{path.parent.name}/{path.name}"
        if self._exists() and len(self._header()) > LONGEST_HEADER:
            raise AnnotationError(
                source, f"its first line is longer than {LONGEST_HEADER} bytes, and so no header of EEV"
            )
        try:
            table: pd.DataFrame = super().load()
        except DatasetError as error:
            if not isinstance(error.__cause__, ValueError):
                raise
            raise AnnotationError(source, _reason(error.__cause__)) from error
        return table

    def _header(self) -> bytes:
        with self._fs.open(str(self._get_load_path()), "rb") as file:
            return bytes(file.readline(LONGEST_HEADER + 1))


def _reason(error: ValueError) -> str:
    if isinstance(error, EmptyDataError):
        return "the file is empty; download it again"
    if isinstance(error, UnicodeDecodeError):
        return "the text is not UTF-8 (UTF-16, as spreadsheets write it?); save the table as CSV in UTF-8"
    said = str(error).strip().removeprefix("Error tokenizing data. C error: ")
    return f"the table can't be read ({said}); correct the row or download the table again"
