"""The way from labels at any times to the 6 Hz grid."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgn_ma.annotations.published import LabelledVideo, PublishedDataError, on_grid, read_text


def video(seconds, labels, end_s):
    labels = np.asarray(labels, dtype=np.float32).reshape(len(seconds), -1)
    return LabelledVideo("a", "train", np.asarray(seconds, dtype=np.float64), labels, end_s, None)


def test_a_second_has_six_frames_and_a_label_does_not_reach_back():
    timestamps_us, labels = on_grid(video([1, 2], [10, 20], 3.0))
    assert timestamps_us[0] == 1_000_000 and timestamps_us[-1] == 2_833_333
    assert labels[:, 0].tolist() == [10] * 6 + [20] * 6


@given(st.lists(st.integers(0, 400), min_size=1, max_size=20, unique=True).map(sorted), st.integers(1, 50))
def test_every_frame_has_the_last_label_that_is_not_after_it(tenths, rest):
    seconds = [tenth / 10 for tenth in tenths]
    end_s = seconds[-1] + rest / 10
    timestamps_us, labels = on_grid(video(seconds, tenths, end_s))
    assert all(time * 6 // 1_000_000 in (k, k - 1) for k, time in enumerate(timestamps_us, int(seconds[0] * 6 + 0.999)))
    for time, label in zip(timestamps_us, labels[:, 0], strict=True):
        assert label == max(tenth for tenth in tenths if tenth * 100_000 <= time)
        assert time < end_s * 1e6


@pytest.mark.parametrize(
    ("content", "message"), [(None, "there is no such file"), (b"\xff\xfe\x00", "is no text in UTF-8")]
)
def test_a_file_that_has_no_text_is_named(tmp_path, content, message):
    file = tmp_path / "labels.json"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(PublishedDataError, match=f"labels.json: {message}"):
        read_text(file)
