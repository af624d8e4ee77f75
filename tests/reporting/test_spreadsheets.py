"""Text that a spreadsheet would run stays text, and numbers stay numbers."""

import io

import numpy as np
import pandas as pd

from mgn_ma.reporting.spreadsheets import for_spreadsheets


def test_formulas_are_text_and_numbers_are_numbers():
    ids = ["=1+1", "+1", "-abc", "@SUM(A1)", "\t=1", "\r=1", "a=b", "", None]
    values = np.linspace(-1, 1, len(ids), dtype=np.float32)
    table = pd.DataFrame({"video_id": ids, "joy": values, "n": range(-1, len(ids) - 1)})
    safe = for_spreadsheets(table)
    assert list(safe["video_id"][:6]) == [f"'{each}" for each in ids[:6]]
    assert list(safe["video_id"][6:8]) == ids[6:8] and safe["video_id"].isna().sum() == 1
    pd.testing.assert_frame_equal(safe[["joy", "n"]], table[["joy", "n"]])
    assert list(table["video_id"][:3]) == ids[:3]
    written = pd.read_csv(io.StringIO(safe.to_csv(index=False)))
    assert written["joy"].min() == -1


def test_a_table_without_rows_stays_as_it_is():
    empty = pd.DataFrame(columns=["video_id", "joy"])
    pd.testing.assert_frame_equal(for_spreadsheets(empty), empty)
