"""Reads EEV's annotation tables: checks every row and brings them to one unit, one ID column and one order.

The header of the timestamps says milliseconds, but the data set's numbers are microseconds. The unit is therefore found
out from the 6 Hz grid that the timestamps stand on, and a table that stands on neither grid is refused.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pandas as pd
import pandera.pandas as pa
from pandera.errors import SchemaError

from mgn_ma.eev.targets import Targets
from mgn_ma.eev.video_ids import VideoIdError, validate_video_id
from mgn_ma.errors import MGNMAError
from mgn_ma.grid import frames_before, grid_time

ID_COLUMNS = ("YouTube ID", "Video ID")
"""Of train.csv and val.csv, and of test.csv."""

TIMESTAMP_COLUMN = "Timestamp (milliseconds)"

_TICKS_PER_SECOND = {"microseconds": 1_000_000, "milliseconds": 1_000}
_INVALID_ID = "is not a valid video ID"
_FIRST_FILE_ROW = 2
"""A file's line 1 is its header."""

_Ints = npt.NDArray[np.int64]


class AnnotationError(MGNMAError):
    """An annotation table can't be used; the message names file, row, column and value, and what to do.

    Attributes:
        source: the table's file, as the caller calls it.
        row: line of the file, the header being line 1; None where the fault is not in one row.
        column: name of the column, where the fault is in one.
        value: what stands there.
    """

    def __init__(
        self, source: str, reason: str, *, row: int | None = None, column: str | None = None, value: object = None
    ) -> None:
        where = ", ".join([source, *([f"row {row}"] if row else []), *([f"column {column!r}"] if column else [])])
        super().__init__(f"{where}: {reason}")
        self.source, self.row, self.column, self.value = source, row, column, value


def validate_annotations(raw: pd.DataFrame, *, source: str, targets: Targets | None) -> pd.DataFrame:
    """Turn a table as read from an EEV CSV file into a frame table.

    A video may lack rows of the grid, and rows of all-zero labels are kept. Columns that are not of the format are
    ignored.

    Args:
        raw: columns as in the file, IDs read as text; its rows are the file's, in their order.
        source: what messages call the table, such as its file name.
        targets: of which the table has labels; ``None`` where it has none, or they are to be left out.

    Returns:
        ``video_id`` (str), ``timestamp_us`` (int64, ascending within a video), and the targets (float32,
        within their range); one contiguous block a video.

    Raises:
        AnnotationError: at the first fault.
    """
    raw = raw.reset_index(drop=True)
    names = targets.names if targets is not None else ()
    id_column = _check_columns(raw, source, names)
    try:
        _schema(id_column, targets).validate(raw, inplace=True)
    except SchemaError as error:
        raise _explained(error, raw, source) from None
    ids = raw[id_column]
    ticks = _numbers(raw[TIMESTAMP_COLUMN]).to_numpy(np.int64)
    _check_order(ids, ticks, source, id_column)
    columns = {"video_id": ids.astype("str"), "timestamp_us": _microseconds(ids, ticks, source)}
    # Column by column, so that no second table of the size of the first exists at any time.
    columns |= {name: _numbers(raw[name]).to_numpy(np.float32) for name in names}
    return pd.DataFrame(columns, copy=False)


def _check_columns(raw: pd.DataFrame, source: str, names: tuple[str, ...]) -> str:
    """Name of the ID column, if all columns are there and any row is."""
    found = f"its columns are {', '.join(map(repr, raw.columns))}"
    id_columns = [column for column in ID_COLUMNS if column in raw.columns]
    if len(id_columns) != 1:
        wanted = " or ".join(map(repr, ID_COLUMNS))
        raise AnnotationError(source, f"exactly one ID column is needed, {wanted}; {found}")
    wanted_columns = [TIMESTAMP_COLUMN, *names]
    missing = [column for column in wanted_columns if column not in raw.columns]
    if missing:
        raise AnnotationError(
            source,
            f"column {missing[0]!r} is missing{f' and {len(missing) - 1} more' if missing[1:] else ''}; {found}. "
            "The header must be as in the EEV data set, with a column for each of the targets",
            column=missing[0],
        )
    if raw.columns.duplicated().any():
        raise AnnotationError(source, f"two columns are called {raw.columns[raw.columns.duplicated()][0]!r}")
    if raw.empty:
        raise AnnotationError(source, "the table has a header and no rows; download it again")
    return id_columns[0]


def _schema(id_column: str, targets: Targets | None) -> pa.DataFrameSchema:
    """What can be said of a column by itself. A check's error continues the sentence that its value starts."""
    is_number = _check(lambda series: _numbers(series).notna(), "is not a number; correct the row or remove it")
    is_whole = _check(lambda series: _numbers(series).mod(1).eq(0), "is not a whole number, as every timestamp is")
    is_time = _check(lambda series: _numbers(series).between(0, 2**53), "is not a time within a video")
    is_text = _check(
        lambda series: _by_value(series, lambda value: isinstance(value, str)),
        "was not read as text; read the ID column with dtype str and without NA values",
    )
    is_id = _check(lambda series: _by_value(series, _is_valid_id), _INVALID_ID)
    labels = {}
    if targets is not None:
        low, high = targets.minimum, targets.maximum
        is_within = _check(
            lambda series: _numbers(series).between(low, high),
            f"is not between {low:g} and {high:g}, the targets' range",
        )
        labels = {name: pa.Column(checks=[is_number, is_within], nullable=True) for name in targets.names}
    return pa.DataFrameSchema(
        {
            id_column: pa.Column(checks=[is_text, is_id], nullable=True),
            TIMESTAMP_COLUMN: pa.Column(checks=[is_number, is_whole, is_time], nullable=True),
            **labels,
        }
    )


def _check(passes: Callable[[pd.Series], pd.Series], error: str) -> pa.Check:
    # Missing values are for our own checks to refuse: pandera would hide them from a check.
    return pa.Check(passes, error=error, ignore_na=False)


def _numbers(series: pd.Series) -> pd.Series:
    """The series as numbers, NaN for what is none; untouched if it is numeric already."""
    if pd.api.types.is_numeric_dtype(series):
        return series
    return pd.to_numeric(series, errors="coerce").astype(np.float64)


def _by_value(series: pd.Series, predicate: Callable[[object], bool]) -> pd.Series:
    """The predicate of every row, asked once a distinct value: a few thousand IDs, not millions of rows."""
    codes, distinct = pd.factorize(series, use_na_sentinel=False)
    return pd.Series(np.array([predicate(value) for value in distinct], dtype=bool)[codes], index=series.index)


def _is_valid_id(value: object) -> bool:
    try:
        validate_video_id(value)
    except VideoIdError:
        return False
    return True


def _explained(error: SchemaError, raw: pd.DataFrame, source: str) -> AnnotationError:
    """The first row that fails, in words."""
    if not isinstance(error.failure_cases, pd.DataFrame):
        return AnnotationError(source, str(error))
    rows = error.failure_cases["index"]
    row, column = int(rows.min()), str(error.schema.name)
    value = raw[column].iloc[row]
    reason = f"{value!r} {error.check.error}"
    if error.check.error == _INVALID_ID:
        try:
            validate_video_id(value)
        except VideoIdError as invalid:
            reason = f"{invalid}; rename the video in this table and on disk"
    more = f" ({len(rows) - 1} more rows likewise)" if len(rows) > 1 else ""
    return AnnotationError(source, f"{reason}{more}", row=row + _FIRST_FILE_ROW, column=column, value=value)


def _check_order(ids: pd.Series, ticks: _Ints, source: str, id_column: str) -> None:
    """Refuse videos that are not one ascending block each."""
    codes, distinct = pd.factorize(ids)
    same_video = codes[1:] == codes[:-1]
    # Codes count up in order of appearance, so that a video that comes again is a step back.
    interleaved = np.flatnonzero(codes[1:] < codes[:-1]) + 1
    descending = np.flatnonzero(same_video & (ticks[1:] <= ticks[:-1])) + 1
    if not len(interleaved) and not len(descending):
        return
    keys = pd.DataFrame({"code": codes, "ticks": ticks})
    repeated = np.flatnonzero(keys.duplicated().to_numpy())
    if len(repeated):
        row = int(repeated[0])
        first = int(np.flatnonzero((codes == codes[row]) & (ticks == ticks[row]))[0])
        reason = (
            f"video {distinct[codes[row]]!r} has timestamp {ticks[row]} again, which row {first + _FIRST_FILE_ROW} "
            "already has; remove one of the two"
        )
        raise AnnotationError(source, reason, row=row + _FIRST_FILE_ROW, column=TIMESTAMP_COLUMN, value=int(ticks[row]))
    if len(interleaved) and not (len(descending) and descending[0] < interleaved[0]):
        row = int(interleaved[0])
        reason = (
            f"video {distinct[codes[row]]!r} comes again after rows of another; the rows of a video must be one block "
            "(sort the table by ID and timestamp)"
        )
        raise AnnotationError(source, reason, row=row + _FIRST_FILE_ROW, column=id_column, value=distinct[codes[row]])
    row = int(descending[0])
    reason = (
        f"timestamp {ticks[row]} of video {distinct[codes[row]]!r} comes after {ticks[row - 1]}; the timestamps of a "
        "video must ascend (sort the table by ID and timestamp)"
    )
    raise AnnotationError(source, reason, row=row + _FIRST_FILE_ROW, column=TIMESTAMP_COLUMN, value=int(ticks[row]))


def _microseconds(ids: pd.Series, ticks: _Ints, source: str) -> _Ints:
    """Find out the unit of grid timestamps, check that every one is on that grid, and convert."""
    on_microseconds = _on_grid(ticks, _TICKS_PER_SECOND["microseconds"])
    after_start = ticks > 0
    # Every microsecond grid time is also one of milliseconds (of a frame 1000 times as late), so the finer grid is
    # asked first, and most rows decide: a single bad timestamp must not turn microseconds into milliseconds.
    if 2 * (on_microseconds & after_start).sum() >= after_start.sum():
        unit, fits = "microseconds", on_microseconds
    else:
        unit, fits = "milliseconds", _on_grid(ticks, _TICKS_PER_SECOND["milliseconds"])
        # Neighbours that both are microsecond grid times lie 166 s apart or more if they are milliseconds.
        same_video = (ids == ids.shift()).to_numpy(dtype=bool)
        fits[1:] &= ~(on_microseconds[1:] & on_microseconds[:-1] & same_video[1:])
    off = np.flatnonzero(~fits)
    if len(off):
        row, value = int(off[0]), int(ticks[off[0]])
        raise AnnotationError(
            source,
            f"timestamp {value} is not on the 6 Hz grid, which is 0, 166666, 333333, 500000, … in microseconds and 0, "
            f"166, 333, 500, … in milliseconds, always rounded down; {len(off)} of {len(ticks)} rows don't fit "
            f"{unit}, the unit that suits most. Resample the labels to 6 Hz or correct the timestamps",
            row=row + _FIRST_FILE_ROW,
            column=TIMESTAMP_COLUMN,
            value=value,
        )
    return grid_time(frames_before(ticks, _TICKS_PER_SECOND[unit]))


def _on_grid(ticks: _Ints, ticks_per_second: int) -> npt.NDArray[np.bool_]:
    return np.asarray(grid_time(frames_before(ticks, ticks_per_second), ticks_per_second) == ticks)
