"""MediaEval 2018: what is read of its files, and what is said of those that are faulty."""

import re
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import published
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mgn_ma.annotations.mediaeval_2018 import TARGETS, read
from mgn_ma.annotations.published import PublishedDataError, frame_tables

FILE = "MEDIAEVAL18_03_Valence-Arousal.txt"


def test_movies_are_found_below_the_folder_and_told_apart_by_their_number(tmp_path):
    folder = published.mediaeval_2018(tmp_path / "accede")
    movie = folder / "MEDIAEVAL18-DevSet-Part1-Data/data/MEDIAEVAL18_03.mp4"
    movie.parent.mkdir(parents=True)
    movie.touch()
    videos = {video.video_id: video for video in read(folder)}
    assert list(videos) == [f"MEDIAEVAL18_{number:02d}" for number in published.MOVIES]
    assert [video.split for video in videos.values()] == ["train"] * 10 + ["test"] * 2
    assert [video.video_id for video in videos.values() if video.file] == ["MEDIAEVAL18_03"]
    tables = frame_tables(videos.values(), TARGETS)
    assert {split: table["video_id"].nunique() for split, table in tables.items()} == {
        "train": 8,
        "validation": 2,
        "test": 2,
    }


def test_a_value_holds_until_the_next_one_and_the_last_as_long_as_the_one_before(tmp_path):
    (tmp_path / FILE).write_text("Time\tValence\tArousal\n1\t-1\t0.5\n2\t0.25\t1\n")
    (tmp_path / FILE.replace("03", "60")).write_text("Time Valence Arousal\r\n0 0 0\r\n")
    video, other = read(tmp_path)
    assert (video.end_s, other.end_s, other.split) == (3.0, 1.0, "test")
    with pytest.raises(PublishedDataError, match=r"split validation .* five are needed"):
        frame_tables([video, other], TARGETS)
    np.testing.assert_array_equal(video.labels, np.array([[-1, 0.5], [0.25, 1]], dtype=np.float32))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("0\t0\t1.5", "line 2: arousal is 1.5, not between -1 and 1"),
        ("0\t0\t0\n1\tnan\t0", "line 3: valence is nan, not between"),
        ("1\t0\t0\n1\t0\t0", "line 3: the time 1 s comes after 1 s; times must rise"),
        ("-1\t0\t0", "line 2: the time -1 is not one within a video"),
        ("1e12\t0\t0", "line 2: the time 1e+12 is not one within a video"),
        ("0\t0\tcalm", "line 2: could not convert string to float: 'calm'"),
        ("0\t0\t10\t0", "line 2: there are 4 fields, not time, valence, arousal"),
        ("", "line 2: there is not one label; get the file again"),
        ("0.01\t0\t0\n0.02\t0\t0", "line 2: the labels end before a frame of the 6 Hz grid"),
    ],
)
def test_a_faulty_line_is_named(tmp_path, lines, message):
    (tmp_path / FILE).write_text(f"Time\tValence\tArousal\n{lines}\n")
    with pytest.raises(PublishedDataError, match=re.escape(f"{FILE}, {message}")):
        list(read(tmp_path))


def test_a_folder_without_labels_and_a_movie_that_is_annotated_twice_are_refused(tmp_path):
    with pytest.raises(PublishedDataError, match=r"there is no MEDIAEVAL18_NN_Valence-Arousal\.txt in it or below"):
        list(read(tmp_path))
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / FILE).write_text("Time\tValence\tArousal\n0\t0\t0\n")
    with pytest.raises(PublishedDataError, match="'MEDIAEVAL18_03' is annotated twice"):
        frame_tables(read(tmp_path), TARGETS)


WORDS = st.sampled_from(["0", "1", "2.5", "-0.3", "1e9", "nan", "\t", "\t", "\n", "\n", ",", " ", "Time", "\ufeff"])


@settings(deadline=None)
@given(st.lists(WORDS, max_size=40).map(lambda words: "".join(words).encode()) | st.binary(max_size=60))
def test_any_file_is_labels_on_the_grid_or_a_line_that_names_it(content):
    with TemporaryDirectory() as folder:
        (Path(folder) / FILE).write_bytes(content)
        try:
            (video,) = read(Path(folder))
        except PublishedDataError as error:
            assert FILE in str(error)
            return
        assert len(video.labels) == len(video.seconds) > 0
        assert (np.diff(video.seconds) > 0).all() and (np.abs(video.labels) <= 1).all()
