"""Annotation tables: the traps of EEV's format, and every fault named by file, row, column and value."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mgn_ma.eev.annotations import AnnotationError, validate_annotations
from mgn_ma.eev.targets import EEV

HEADER = "YouTube ID,Timestamp (milliseconds)," + ",".join(EEV.names)
MICROSECONDS = [0, 166666, 333333, 500000, 666666, 833333, 1000000]
MILLISECONDS = [0, 166, 333, 500, 666, 833, 1000]


def read(text):
    return pd.read_csv(io.StringIO(text), dtype={"YouTube ID": str, "Video ID": str})


def labelled_table(timestamps=MICROSECONDS, videos=("-abc_DEF123", "_xyz")):
    rows = [
        f"{video},{timestamp}," + ",".join(f"{(row + column) % 10 / 10}" for column in range(15))
        for video in videos
        for row, timestamp in enumerate(timestamps)
    ]
    return read("\n".join([HEADER, *rows]))


def refused(raw, match, labelled=True):
    with pytest.raises(AnnotationError, match=match) as caught:
        validate_annotations(raw, source="train.csv", targets=EEV if labelled else None)
    assert caught.value.source == "train.csv"
    assert str(caught.value).startswith("train.csv")
    return caught.value


def test_the_frame_table_of_a_labelled_file():
    frames = validate_annotations(labelled_table(), source="train.csv", targets=EEV)
    assert list(frames.columns) == ["video_id", "timestamp_us", *EEV.names]
    assert frames["timestamp_us"].tolist() == MICROSECONDS * 2
    assert frames["video_id"].tolist() == ["-abc_DEF123"] * 7 + ["_xyz"] * 7
    assert frames["timestamp_us"].dtype == np.int64
    assert (frames.dtypes[list(EEV.names)] == np.float32).all()
    assert frames["anger"].iloc[2] == np.float32(0.3)


def test_the_test_file_has_another_id_column_and_no_labels():
    raw = read("Video ID,Timestamp (milliseconds)\n-a,0\n-a,166666\nb,0")
    frames = validate_annotations(raw, source="test.csv", targets=None)
    assert list(frames.columns) == ["video_id", "timestamp_us"]
    assert frames["timestamp_us"].tolist() == [0, 166666, 0]


@pytest.mark.parametrize("timestamps", [MICROSECONDS, MILLISECONDS])
def test_the_unit_is_what_the_grid_says_not_the_header(timestamps):
    frames = validate_annotations(labelled_table(timestamps), source="train.csv", targets=EEV)
    assert frames["timestamp_us"].tolist() == MICROSECONDS * 2


@given(
    st.lists(st.lists(st.integers(0, 10_027), min_size=1, max_size=30, unique=True), min_size=1, max_size=5),
    st.booleans(),
)
@settings(deadline=None)
def test_any_subset_of_the_grid_comes_out_in_microseconds(videos, in_milliseconds):
    indices = [sorted({0, 1, *indices}) for indices in videos]
    ids = np.repeat([f"v{number}" for number in range(len(videos))], [len(video) for video in indices])
    frame_numbers = np.concatenate(indices)
    ticks = frame_numbers * (1_000 if in_milliseconds else 1_000_000) // 6
    raw = pd.DataFrame({"Video ID": ids, "Timestamp (milliseconds)": ticks})
    frames = validate_annotations(raw, source="test.csv", targets=None)
    assert frames["timestamp_us"].tolist() == (frame_numbers * 1_000_000 // 6).tolist()


def test_a_single_wrong_timestamp_does_not_change_the_unit():
    # 166166 is a grid time in milliseconds (frame 997), and so are all the others.
    raw = labelled_table([*MICROSECONDS[:1], 166166, *MICROSECONDS[2:]])
    error = refused(raw, "166166 is not on the 6 Hz grid")
    assert (error.row, error.column, error.value) == (3, "Timestamp (milliseconds)", 166166)


def test_videos_of_two_units_in_one_table_are_refused():
    raw = pd.concat([labelled_table(MILLISECONDS, [f"v{n}" for n in range(5)]), labelled_table(MICROSECONDS, ["w"])])
    assert refused(raw, "166666 is not on the 6 Hz grid").row == 2 + 35 + 1


@pytest.mark.parametrize("timestamps", [[0, 40, 80, 120], [0, 166667, 333334, 500001], [0, 1, 2], [7, 173673]])
def test_timestamps_on_neither_grid(timestamps):
    error = refused(labelled_table(timestamps), "not on the 6 Hz grid, which is 0, 166666, 333333")
    assert error.column == "Timestamp (milliseconds)"
    assert error.value == next(t for t in timestamps if t)


def test_rows_of_zeros_and_gaps_are_kept():
    raw = labelled_table([0, 166666, 833333])
    raw[list(EEV.names)] = 0
    frames = validate_annotations(raw, source="train.csv", targets=EEV)
    assert len(frames) == 6
    assert (frames[list(EEV.names)] == 0).all(axis=None)


@pytest.mark.parametrize("value", [-0.001, 1.001, 7, np.nan, np.inf])
def test_values_outside_0_to_1(value):
    raw = labelled_table()
    raw.loc[9, "doubt"] = value
    error = refused(raw, "row 11, column 'doubt'")
    assert (error.row, error.column) == (11, "doubt")
    assert error.value == value or np.isnan(error.value)


def test_a_word_among_the_values():
    raw = read(HEADER + "\na,0," + ",".join(["0.5"] * 15) + "\na,166666,n.a.x," + ",".join(["0.5"] * 14))
    error = refused(raw, "row 3, column 'amusement': 'n.a.x' is not a number")
    assert error.row == 3


def test_numbers_read_as_text_are_numbers():
    raw = labelled_table().astype({"anger": str, "Timestamp (milliseconds)": str})
    frames = validate_annotations(raw, source="train.csv", targets=EEV)
    assert frames["anger"].iloc[2] == np.float32(0.3)


@pytest.mark.parametrize(
    ("value", "match"), [(166666.5, "is not a whole number"), (-166667, "is not a time"), (1e300, "is not a time")]
)
def test_timestamps_that_are_no_times(value, match):
    raw = labelled_table().astype({"Timestamp (milliseconds)": float})
    raw.loc[1, "Timestamp (milliseconds)"] = value
    assert refused(raw, match).row == 3


@pytest.mark.parametrize("column", ["Timestamp (milliseconds)", "anger"])
def test_a_missing_column(column):
    error = refused(labelled_table().drop(columns=column), f"column '{'anger' if column == 'anger' else 'Timestamp'}")
    assert error.column == column
    assert "is missing; its columns are 'YouTube ID'" in str(error)


def test_a_missing_or_doubled_id_column():
    refused(labelled_table().rename(columns={"YouTube ID": "id"}), "'YouTube ID' or 'Video ID'")
    refused(labelled_table().assign(**{"Video ID": "x"}), "exactly one ID column")


def test_columns_that_are_not_of_the_format_are_ignored():
    raw = labelled_table().assign(comment="x")
    assert "comment" not in validate_annotations(raw, source="train.csv", targets=EEV)
    assert "anger" not in validate_annotations(raw, source="train.csv", targets=None)


def test_an_empty_table():
    refused(labelled_table().head(0), "no rows")


def test_a_repeated_frame_names_both_rows():
    raw = labelled_table()
    repeated = pd.concat([raw.iloc[:4], raw.iloc[[2]], raw.iloc[4:]])
    error = refused(repeated, "'-abc_DEF123' has timestamp 333333 again, which row 4 already has")
    assert error.row == 6
    at_the_end = pd.concat([raw, raw.iloc[[2]]])
    assert refused(at_the_end, "timestamp 333333 again").row == 16


def test_rows_out_of_order():
    raw = labelled_table()
    error = refused(raw.iloc[[0, 1, 3, 2, *range(4, 14)]], "333333 of video '-abc_DEF123' comes after 500000")
    assert error.row == 5


def test_interleaved_videos():
    raw = labelled_table()
    error = refused(raw.iloc[[0, 1, 7, 8, 2, 3, 9]], "'-abc_DEF123' comes again after rows of another")
    assert (error.row, error.column, error.value) == (6, "YouTube ID", "-abc_DEF123")


@pytest.mark.parametrize(
    ("video_id", "match"),
    [("../x", "is a path"), ("", "is empty"), ("a\0", "control character"), ("x" * 300, "300 characters")],
)
def test_ids_that_are_no_file_names(video_id, match):
    raw = labelled_table()
    raw.loc[7:, "YouTube ID"] = video_id
    error = refused(raw, match)
    assert (error.row, error.column, error.value) == (9, "YouTube ID", video_id)
    assert "6 more rows" in str(error)


@pytest.mark.parametrize("ids", [[1, 2], ["NA", np.nan]])
def test_ids_not_read_as_text(ids):
    raw = pd.DataFrame({"Video ID": ids, "Timestamp (milliseconds)": [0, 0]})
    refused(raw, "read the ID column with dtype str", labelled=False)


def test_the_given_table_stays_as_it_was():
    raw = labelled_table()
    before = raw.copy(deep=True)
    frames = validate_annotations(raw, source="train.csv", targets=EEV)
    frames.loc[0, "anger"] = 0.9
    pd.testing.assert_frame_equal(raw, before)
