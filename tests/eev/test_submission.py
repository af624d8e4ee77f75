from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest

from mgn_ma.eev.errors import FrameTableError
from mgn_ma.eev.frames import KEY_COLUMNS, expression_matrix, locate_frames
from mgn_ma.eev.submission import SubmissionError, check_submission, make_submission
from mgn_ma.eev.targets import EEV, Targets

TEST_FRAMES = pd.DataFrame({"video_id": ["-b", "-b", "gone", "a", "a"], "timestamp_us": [0, 166666, 0, 0, 166666]})


def predicted(keys):
    table = pd.DataFrame(keys, columns=["video_id", "timestamp_us"])
    for number, name in enumerate(EEV.names):
        table[name] = np.linspace(0.1, 0.9, len(table), dtype=np.float32) / (number + 1)
    return table


PREDICTIONS = predicted([("a", 0), ("a", 166666), ("other", 0), ("-b", 0), ("-b", 166666)])


def test_every_row_of_the_test_table_in_its_order_with_zeros_for_missing_videos():
    submission = make_submission(TEST_FRAMES, PREDICTIONS, EEV)
    written = pd.read_csv(io.StringIO(submission.to_csv(index=False)), dtype={"Video ID": str})
    assert list(written.columns) == ["Video ID", "Timestamp (milliseconds)", *EEV.names]
    assert written["Video ID"].tolist() == ["-b", "-b", "gone", "a", "a"]
    assert written["Timestamp (milliseconds)"].tolist() == [0, 166666, 0, 0, 166666]
    np.testing.assert_allclose(written["amusement"], [0.7, 0.9, 0, 0.1, 0.3], atol=1e-6)
    np.testing.assert_allclose(written["triumph"] * 15, written["amusement"], atol=1e-6)


def test_a_video_with_some_predictions_missing_is_refused():
    with pytest.raises(SubmissionError, match="'a' has predictions, but not for 1 of its test frames, the first at 16"):
        make_submission(TEST_FRAMES, PREDICTIONS.drop(index=1), EEV)


def test_a_frame_predicted_twice_is_refused():
    with pytest.raises(FrameTableError, match="'a' has the frame at 0 us twice"):
        make_submission(TEST_FRAMES, pd.concat([PREDICTIONS, PREDICTIONS.iloc[[0]]]), EEV)


@pytest.mark.parametrize("value", [np.nan, -0.1, 1.5, np.inf])
def test_a_value_that_is_no_probability_is_refused(value):
    wrong = PREDICTIONS.copy()
    wrong.loc[1, "pain"] = value
    with pytest.raises(SubmissionError, match="row 4: pain is"):
        make_submission(TEST_FRAMES, wrong, EEV)


def test_the_checker_refuses_another_order_of_rows_or_columns():
    submission = make_submission(TEST_FRAMES, PREDICTIONS, EEV)
    check_submission(submission, TEST_FRAMES, EEV)
    with pytest.raises(SubmissionError, match="row 0 is '-b' at 166666, where the test table has '-b' at 0"):
        check_submission(submission.iloc[[1, 0, 2, 3, 4]], TEST_FRAMES, EEV)
    with pytest.raises(SubmissionError, match="row 0 is 'a' at 0"):
        check_submission(submission.iloc[[3, 4, 2, 0, 1]], TEST_FRAMES, EEV)
    with pytest.raises(SubmissionError, match="4 rows for the 5"):
        check_submission(submission.head(4), TEST_FRAMES, EEV)
    with pytest.raises(SubmissionError, match="in this order"):
        check_submission(submission[[*submission.columns[:2], *submission.columns[:1:-1]]], TEST_FRAMES, EEV)
    milliseconds = submission.assign(**{"Timestamp (milliseconds)": submission["Timestamp (milliseconds)"] // 1000})
    with pytest.raises(SubmissionError, match="row 1 is '-b' at 166,"):
        check_submission(milliseconds, TEST_FRAMES, EEV)


def test_locating_frames_equals_a_dictionary():
    rng = np.random.default_rng(0)
    keys = [(f"v{video}", int(t)) for video in range(6) for t in rng.permutation(20)[:10]]
    table = predicted([keys[row] for row in rng.permutation(len(keys))])
    wanted = pd.DataFrame(
        [(f"v{rng.integers(8)}", int(rng.integers(20))) for _ in range(200)], columns=["video_id", "timestamp_us"]
    )
    rows = {(v, t): row for row, (v, t) in enumerate(zip(table["video_id"], table["timestamp_us"], strict=True))}
    expected = [rows.get(key, -1) for key in zip(wanted["video_id"], wanted["timestamp_us"], strict=True)]
    assert locate_frames(wanted, table).tolist() == expected
    assert set(expected) - {-1}


def test_the_matrix_has_the_expressions_in_their_order_whatever_the_table_has():
    assert KEY_COLUMNS == ("video_id", "timestamp_us")
    shuffled = PREDICTIONS[["timestamp_us", *EEV.names[::-1], "video_id"]]
    np.testing.assert_array_equal(expression_matrix(shuffled, EEV.names), expression_matrix(PREDICTIONS, EEV.names))


def test_other_targets_have_columns_and_a_range_of_their_own():
    affect = Targets(names=("valence", "arousal"), minimum=1.0, maximum=9.0)
    keys = PREDICTIONS[["video_id", "timestamp_us"]]
    predictions = keys.assign(arousal=np.float32(7.5), valence=np.float32(1.0))
    submission = make_submission(TEST_FRAMES, predictions, affect)
    assert list(submission.columns) == ["Video ID", "Timestamp (milliseconds)", "valence", "arousal"]
    assert submission["arousal"].tolist() == [7.5, 7.5, 1.0, 7.5, 7.5], "a scale of 1 to 9 has no zero"
    with pytest.raises(SubmissionError, match=r"row 3: arousal is 9\.5, not between 1 and 9"):
        make_submission(TEST_FRAMES, predictions.assign(arousal=[9.5, *[7.5] * 4]), affect)
    with pytest.raises(FrameTableError, match="no column 'valence', only arousal"):
        make_submission(TEST_FRAMES, predictions.drop(columns="valence"), affect)
