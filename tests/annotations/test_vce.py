"""VCE: what is read of its files, and what is said of those that are faulty."""

import json
import re
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import published
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mgn_ma.annotations.published import PublishedDataError, frame_tables
from mgn_ma.annotations.vce import EMOTIONS, TARGETS, read

GOOD = {"emotions": dict.fromkeys(EMOTIONS, 0.5)}


def write(folder, train, metadata):
    texts = {"train_labels.json": train, "test_labels.json": {}, "metadata.json": metadata}
    for name, content in texts.items():
        (Path(folder) / name).write_text(json.dumps(content))
    return Path(folder)


def test_a_clip_has_its_label_in_every_frame_and_its_id_keeps_its_zeros(tmp_path):
    folder = published.vce(tmp_path / "vce")
    (folder / "videos/00001.mp4").touch()
    videos = list(read(folder))
    assert [video.video_id for video in videos if video.file] == ["00001"]
    tables = frame_tables(videos, TARGETS)
    assert {split: len(table) for split, table in tables.items()} == {"train": 5 * 24, "validation": 24, "test": 48}
    clip = tables["test"][tables["test"]["video_id"] == "00007"]
    emotions = json.loads((folder / "test_labels.json").read_text())["00007"]["emotions"]
    assert (clip["awe"] == np.float32(emotions["Awe (or Wonder)"])).all()
    assert (clip["sexual_desire"] == np.float32(emotions["Sexual Desire"])).all()
    assert len(TARGETS.names) == 27


@pytest.mark.parametrize(
    ("clips", "message"),
    [
        ({"a": {"emotions": GOOD["emotions"] | {"Joy": 1.5}}}, "train_labels.json, 'a': joy is 1.5, not between 0"),
        ({"a": {"emotions": GOOD["emotions"] | {"Joy": "x"}}}, "train_labels.json, 'a', 'Joy': 'x' is no number"),
        ({"a": {"emotions": GOOD["emotions"] | {"Envy": 0}}}, "train_labels.json, 'a': 'Envy' is not known"),
        ({"a": {"emotions": {}}}, "train_labels.json, 'a': 'Admiration' is missing"),
        ({"a": {}}, "train_labels.json, 'a', 'emotions': is no JSON object but NoneType"),
        ({"../a": GOOD}, "train_labels.json, '../a': video ID '../a' is a path"),
        ({"b": GOOD}, "metadata.json, 'b': is no JSON object but NoneType"),
        ({"c": GOOD}, "metadata.json, 'c', 'duration': None is no number"),
        ({"d": GOOD}, "train_labels.json, 'd': a length of -1 s is not that of this video"),
        ([], "train_labels.json: is no JSON object but list"),
    ],
)
def test_a_faulty_clip_is_named(tmp_path, clips, message):
    metadata = {"a": {"duration": "4.0"}, "../a": {"duration": "4.0"}, "c": {}, "d": {"duration": "-1"}}
    with pytest.raises(PublishedDataError, match=re.escape(message)):
        list(read(write(tmp_path, clips, metadata)))


def test_a_file_that_is_not_there_and_one_that_is_no_json_are_named(tmp_path):
    with pytest.raises(PublishedDataError, match=r"metadata.json: there is no such file"):
        list(read(tmp_path))
    (tmp_path / "metadata.json").write_text("{")
    with pytest.raises(PublishedDataError, match=r"metadata.json: is no JSON"):
        list(read(tmp_path))


ODD = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.just([]) | st.just({})
LABELS = st.fixed_dictionaries({}, optional={"emotions": ODD | st.fixed_dictionaries(dict.fromkeys(EMOTIONS, ODD))})
ABOUT = st.fixed_dictionaries({}, optional={"duration": ODD | st.sampled_from(["4.0", "1e9", "nan"])})
IDS = st.sampled_from(["a", "00001"]) | st.text(max_size=3)


@settings(deadline=None)
@given(ODD | st.dictionaries(IDS, LABELS | ODD, max_size=2), ODD | st.dictionaries(IDS, ABOUT | ODD, max_size=2))
def test_any_content_is_labels_in_their_range_or_a_line_that_names_a_file(train, metadata):
    with TemporaryDirectory() as folder:
        try:
            videos = list(read(write(folder, train, metadata)))
        except PublishedDataError as error:
            assert ".json" in str(error)
            return
        assert all(((video.labels >= 0) & (video.labels <= 1)).all() for video in videos)
