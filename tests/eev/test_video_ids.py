from __future__ import annotations

from pathlib import PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgn_ma.eev.video_ids import MAX_LENGTH, VideoIdError, file_name_of, validate_video_id


@pytest.mark.parametrize("video_id", ["dQw4w9WgXcQ", "-dQw4w9WgX_", "_", "-", "--help", "a.b", "0", "x" * MAX_LENGTH])
def test_ids_that_a_file_can_have(video_id):
    assert validate_video_id(video_id) == video_id


@pytest.mark.parametrize(
    ("video_id", "reason"),
    [
        ("../x", "is a path"),
        ("..", "is a path"),
        (".", "is a path"),
        ("/etc/passwd", "is a path"),
        ("a/b", "is a path"),
        ("C:\\x", "is a path"),
        ("", "is empty"),
        ("a\0b", "control character"),
        ("a\n", "control character"),
        ("a\u202eb", "control character"),
        (".hidden", "starts with a dot"),
        ("a b", "has ' '"),
        ("a*?", r"has '\* \?'"),
        ("C:x", "has ':'"),
        ("é", "has 'é'"),
        ("x" * (MAX_LENGTH + 1), "129 characters"),
        (12345, "not text but int"),
        (None, "not text but NoneType"),
        (float("nan"), "not text but float"),
    ],
)
def test_ids_that_are_refused_and_why(video_id, reason):
    with pytest.raises(VideoIdError, match=reason):
        validate_video_id(video_id)


@given(st.text(max_size=20))
def test_an_accepted_id_is_one_plain_name_on_any_system(video_id):
    try:
        validate_video_id(video_id)
    except VideoIdError:
        return
    for path_class in (PurePosixPath, PureWindowsPath):
        path = path_class("root") / f"{video_id}.failed.json"
        assert path.parent == path_class("root")
        assert path.name == f"{video_id}.failed.json"
    assert len(f"{video_id}.failed.json".encode()) <= 255


def test_a_file_name_keeps_a_valid_id_and_what_is_plain_of_others():
    assert file_name_of("-dQw4w9WgX_") == "-dQw4w9WgX_"
    assert file_name_of("a cat's <b>film</b>").startswith("a-cat-s-b-film-b-")
    assert file_name_of("♥").startswith("video-")


def test_an_id_that_is_the_file_name_of_another_gets_one_of_its_own() -> None:
    first = file_name_of("a b")
    assert first == "a-b-c8687a08aa5d"
    assert file_name_of(first) not in (first, "a b")


@given(st.text(), st.text())
def test_a_file_name_is_a_valid_id_and_names_one_text_only(one, other):
    validate_video_id(file_name_of(one))
    assert (file_name_of(one) == file_name_of(other)) == (one == other)
