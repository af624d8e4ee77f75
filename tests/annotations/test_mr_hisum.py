"""Mr. HiSum: what is read of its files, and what is said of those that are faulty."""

import json
import re

import numpy as np
import published
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mgn_ma.annotations.mr_hisum import TARGETS, read
from mgn_ma.annotations.published import PublishedDataError, frame_tables

h5py = pytest.importorskip("h5py")


@pytest.fixture
def folder(tmp_path):
    return published.mr_hisum(tmp_path / "dataset")


def rewrite(folder, name, **scores):
    with h5py.File(folder / "mr_hisum.h5", "a") as file:
        del file[name]
        for key, values in scores.items():
            file[f"{name}/{key}"] = values


def test_a_second_has_its_score_and_a_video_its_youtube_id(folder):
    (folder / "videos/-aaaaaaaaaa.mp4").touch()
    videos = list(read(folder))
    assert [video.video_id for video in videos if video.file] == ["-aaaaaaaaaa"]
    tables = frame_tables(videos, TARGETS)
    assert {split: list(table["video_id"].unique()) for split, table in tables.items()} == {
        "train": ["-aaaaaaaaaa", "bbbbbbbbbbb", "ccccccccccc"],
        "validation": ["ddddddddddd"],
        "test": ["eeeeeeeeeee", "fffffffffff"],
    }
    replay = tables["validation"]["replay"].to_numpy()
    np.testing.assert_array_equal(replay, np.repeat(np.float32([0, 1, 0.25, 0.3]), 6))


def test_of_videos_with_one_youtube_id_training_does_not_get_that_of_the_test(folder, caplog):
    file = folder / "metadata.csv"
    file.write_text(file.read_text().replace("-aaaaaaaaaa", "fffffffffff"))
    assert [(video.video_id, video.split) for video in read(folder) if video.video_id[0] == "f"] == [
        ("fffffffffff", "test")
    ]
    assert "1 videos have the YouTube ID of another" in caplog.text


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ({"gtscore": [0.5, 1.5]}, "video_2/gtscore[1] of bbbbbbbbbbb: replay is 1.5, not between 0 and 1"),
        ({"gtscore": [np.nan]}, "video_2/gtscore[0] of bbbbbbbbbbb: replay is nan"),
        ({"gtscore": []}, "there is not one label"),
        ({"gtscore": np.zeros((2, 2))}, "video_2/gtscore has the shape (2, 2), not that of a value a second"),
        ({"gtscore": np.zeros(90_000)}, "video_2/gtscore has the shape (90000,), not that of a value a second"),
        ({"gtscore": "often"}, "video_2/gtscore has the shape (), not that"),
        ({"gtscore": ["often"]}, "video_2/gtscore is not there, or holds no numbers"),
        ({"gtscore/deeper": [0.0]}, "video_2/gtscore is not there, or holds no numbers"),
        ({"other": [0.5]}, "video_2/gtscore is not there, or holds no numbers"),
    ],
)
def test_faulty_scores_are_named(folder, scores, message):
    rewrite(folder, "video_2", **scores)
    with pytest.raises(PublishedDataError, match=re.escape(message)):
        list(read(folder))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("mr_hisum.h5", "html", "mr_hisum.h5: can't be read as HDF5"),
        ("metadata.csv", "a,b\n1,2\n", "metadata.csv: columns 'video_id' and 'youtube_id', and rows, are needed"),
        (
            "metadata.csv",
            "video_id,youtube_id\nvideo_1,a\n",
            "metadata.csv: has no row of 'video_5', which mr_",
        ),
        ("metadata.csv", "video_id,youtube_id\nvideo_5\n", "mr_hisum.h5, video_5/gtscore[0] of : a video ID is empty"),
        ("metadata.csv", 'video_id,youtube_id\n"a', "metadata.csv: is no CSV"),
        ("mr_hisum_split.json", json.dumps({"test_keys": [1]}), "mr_hisum_split.json: 'test_keys' is no list of names"),
        ("another_split.json", "{}", "exactly one *_split.json of the repository's folder `dataset` is needed"),
    ],
)
def test_a_faulty_file_is_named(folder, name, content, message):
    (folder / name).write_text(content)
    with pytest.raises(PublishedDataError, match=re.escape(message)):
        list(read(folder))


ODD = st.none() | st.integers() | st.floats() | st.text(max_size=3) | st.just([]) | st.just({})
NAMES = st.sampled_from(["video_1", "video_2", "/", ".", ""]) | st.text(max_size=3)
SPLITS = st.fixed_dictionaries(
    dict.fromkeys(["train_keys", "val_keys", "test_keys"], st.lists(NAMES | ODD, max_size=3))
)
WORDS = ["video_id", "youtube_id", "video_1", "video_2", "aaaaaaaaaaa", ",", ",", "\n", "\n", '"', "\0", "../"]
TABLES = st.lists(st.sampled_from(WORDS), max_size=30).map("".join) | st.lists(
    st.tuples(NAMES, st.sampled_from(["a", "b", "", ".", "é"])), max_size=3
).map(lambda rows: "\n".join(["video_id,youtube_id", *map(",".join, rows)]))


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(SPLITS | ODD, TABLES)
def test_any_split_and_table_are_videos_or_a_line_that_names_a_file(folder, split, table):
    (folder / "mr_hisum_split.json").write_text(json.dumps(split))
    (folder / "metadata.csv").write_text(table)
    try:
        videos = list(read(folder))
    except PublishedDataError as error:
        assert str(folder) in str(error)
        return
    assert all(len(video.labels) == 4 for video in videos)
