"""An annotation table as a catalog entry: a file that is no table at all is refused as a wrong row is, in one line."""

from __future__ import annotations

import warnings
from itertools import islice
from pathlib import PurePath
from typing import Any, ClassVar

import pandas as pd
from kedro.io import DatasetError
from kedro_datasets.pandas import CSVDataset  # type: ignore[import-untyped]
from pandas.errors import EmptyDataError, ParserWarning

from mgn_ma.eev.annotations import AnnotationError

LONGEST_LINE = 1 << 16
"""Of the header and of the first row, in bytes. What pandas makes of a million fields there takes 20 GiB."""


class AnnotationsDataset(CSVDataset):  # type: ignore[misc]
    """Loads and saves as ``pandas.CSVDataset`` does, but for rows with more fields than the header."""

    # Else the fields that a first row has too many are an index.
    DEFAULT_LOAD_ARGS: ClassVar[dict[str, Any]] = {"index_col": False}

    def load(self) -> pd.DataFrame:
        """The table as it stands in the file.

        Raises:
            AnnotationError: the file is empty, is not UTF-8, has a header without end, or a row has more fields.
        """
        path = PurePath(str(self._filepath))
        source = f"{path.parent.name}/{path.name}"
        if self._exists() and self._longest_of_first_two_lines() > LONGEST_LINE:
            raise AnnotationError(
                source, f"its header or first row is longer than {LONGEST_LINE} bytes, and so not one of EEV"
            )
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", ParserWarning)
                table: pd.DataFrame = super().load()
        except DatasetError as error:
            if not isinstance(error.__cause__, ValueError | ParserWarning):
                raise
            raise AnnotationError(source, _reason(error.__cause__)) from error
        return table

    def _longest_of_first_two_lines(self) -> int:
        """In bytes; no more than one above the limit is read of each. Blank lines are none."""
        with self._fs.open(str(self._get_load_path()), "rb") as file:
            lines = (line for line in iter(lambda: file.readline(LONGEST_LINE + 1), b"") if line.strip())
            return max(map(len, islice(lines, 2)), default=0)


def _reason(error: BaseException) -> str:
    if isinstance(error, ParserWarning):
        return "its first row has more fields than its header has names; correct the row or download the table again"
    if isinstance(error, EmptyDataError):
        return "the file is empty; download it again"
    if isinstance(error, UnicodeDecodeError):
        return "the text is not UTF-8 (UTF-16, as spreadsheets write it?); save the table as CSV in UTF-8"
    said = str(error).strip().removeprefix("Error tokenizing data. C error: ")
    return f"the table can't be read ({said}); correct the row or download the table again"
