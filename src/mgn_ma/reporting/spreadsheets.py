"""Tables for people, who may open them in a spreadsheet, where text can be a formula."""

from __future__ import annotations

import pandas as pd
from pandas.api.types import is_numeric_dtype

_BEGINS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def for_spreadsheets(table: pd.DataFrame) -> pd.DataFrame:
    """The table with an apostrophe before each text that a spreadsheet would take for a formula; numbers stay."""
    texts = [name for name in table.columns if not is_numeric_dtype(table[name])]
    return table.assign(**{name: table[name].map(_as_text) for name in texts})


def _as_text(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_BEGINS_A_FORMULA) else cell
