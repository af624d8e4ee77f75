"""What a user may write where videos are asked for."""

import fsspec
import pytest

from mgn_ma.inference.finding import NoVideosError, find_videos
from mgn_ma.inference.videos import VideoInput
from mgn_ma.media.folder import VIDEO_SUFFIXES


@pytest.fixture
def folder(tmp_path):
    for name in ("-abc.mp4", "-abc.en.vtt", "-abc.info.json", "b c.webm", "b c.srt", ".hidden.mp4", "note.md"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "-abc.info.json").write_text('{"title": "A <b>film</b>"}')
    return tmp_path


def test_a_folder_gives_its_videos_with_what_lies_beside_them(folder):
    assert find_videos(str(folder)) == [
        VideoInput("-abc", f"{folder}/-abc.mp4", f"{folder}/-abc.en.vtt", "A <b>film</b>"),
        VideoInput("b c", f"{folder}/b c.webm", f"{folder}/b c.srt", None),
    ]


def test_every_suffix_of_a_video_counts_in_small_and_in_capital_letters(tmp_path):
    names = [f"{suffix}.{spelt}" for suffix in VIDEO_SUFFIXES for spelt in (suffix, suffix.upper())]
    for name in [*names, "mp4", "a.jpg", ".b.mp4"]:
        (tmp_path / name).write_bytes(b"")
    assert sorted(video.path.rpartition("/")[2] for video in find_videos(str(tmp_path))) == sorted(names)


def test_a_title_that_can_not_be_read_is_said(folder):
    (folder / "-abc.info.json").write_text('{"title": ')
    video, other = find_videos(str(folder))
    assert video.title is None
    assert video.note.startswith(f"without title: {folder}/-abc.info.json: is no JSON")
    assert other.note == ""


def test_a_file_a_pattern_and_several_at_once_name_each_video_once(folder):
    wanted = [f"{folder}/b c.webm", f"{folder}/*.mp4", str(folder)]
    assert [video.video_id for video in find_videos(wanted)] == ["b c", "-abc"]


def test_a_name_with_the_signs_of_a_pattern_is_a_file_where_it_exists(folder):
    (folder / "what[1]?.mp4").write_bytes(b"")
    (video,) = find_videos(f"{folder}/what[1]?.mp4")
    assert video.video_id == "what[1]?"


def test_lists_hold_paths_relative_to_themselves_and_urls(folder):
    lines = folder / "list.txt"
    lines.write_text("# mine\n-abc.mp4\n\nhttps://host/a%20film.mp4?x=1.2\n")
    assert find_videos(str(lines)) == [
        VideoInput("-abc", f"{folder}/-abc.mp4", f"{folder}/-abc.en.vtt", "A <b>film</b>"),
        VideoInput("a film", "https://host/a%20film.mp4?x=1.2"),
    ]
    table = folder / "list.csv"
    table.write_text('video,title,captions,video_id\n-abc.mp4,"One, ""two""",b c.srt,first\n')
    assert find_videos(str(table)) == [VideoInput("first", f"{folder}/-abc.mp4", f"{folder}/b c.srt", 'One, "two"')]


def test_alike_names_get_numbers(folder):
    (folder / "more").mkdir()
    (folder / "more" / "-abc.mp4").write_bytes(b"")
    found = find_videos([str(folder / "-abc.mp4"), str(folder / "more")])
    assert [video.video_id for video in found] == ["-abc", "-abc (2)"]


def test_remote_folders_and_what_is_beside_remote_files():
    filesystem = fsspec.filesystem("memory")
    for name in ("film.mp4", "film.en.vtt", "readme.txt"):
        filesystem.pipe_file(f"/found/{name}", b"x")
    expected = [VideoInput("film", "memory://found/film.mp4", "memory://found/film.en.vtt")]
    assert find_videos("memory://found/") == expected
    assert find_videos("memory://found/film.mp4") == expected


def test_a_missing_file_is_left_to_the_prediction(tmp_path):
    assert find_videos(f"{tmp_path}/gone.mp4") == [VideoInput("gone", f"{tmp_path}/gone.mp4")]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.txt", "# nothing\n", "there is no video in it"),
        ("empty.csv", "video\n", "there is no video in it"),
        ("odd.csv", "path,name\na.mp4,b\n", "has the column video, and may have video_id, captions, title; .*'path'"),
        ("gone.txt", None, "can't be read: No such file"),
        ("*.webm", None, "there is no video in it"),
        ("long.csv", "video\n" + "a" * 200_000, "is no list of videos in CSV: field larger than field limit"),
    ],
)
def test_what_names_no_video_is_an_error_that_says_so(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(NoVideosError, match=message):
        find_videos(str(tmp_path / name))


def test_nothing_and_an_empty_folder_are_errors(tmp_path):
    for nothing in ("", [], [""]):
        with pytest.raises(NoVideosError, match="no videos are named"):
            find_videos(nothing)
    with pytest.raises(NoVideosError, match="there is no video in it"):
        find_videos(str(tmp_path))
    with pytest.raises(NoVideosError, match="can't be listed"):
        find_videos("memory://nowhere/at/all/")
