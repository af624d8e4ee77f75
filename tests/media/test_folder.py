from __future__ import annotations

import json
from pathlib import Path

import fsspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgn_ma.media.errors import MediaError
from mgn_ma.media.folder import CaptionsFile, MediaFolder, VideoInfo, choose_captions, read_info


def folder_of(tmp_path: Path, *names: str) -> MediaFolder:
    for name in names:
        (tmp_path / name).write_bytes(b"x")
    return MediaFolder(str(tmp_path))


def test_finds_what_yt_dlp_writes(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "-a_b.mp4", "-a_b.en.vtt", "-a_b.info.json", "-a_b.webp")
    files = folder.files("-a_b")
    assert files.video_path == f"{tmp_path}/-a_b.mp4"
    assert files.captions == (CaptionsFile(f"{tmp_path}/-a_b.en.vtt", "en", "en"),)
    assert files.info_path == f"{tmp_path}/-a_b.info.json"


def test_ids_are_matched_whole(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "abc.mp4", "abc.d.en.vtt", "ab.en.vtt", "abc.d.webm")
    assert folder.files("ab").video_path is None
    assert folder.files("abc").captions == ()
    assert folder.files("abc.d").video_path == f"{tmp_path}/abc.d.webm"
    assert folder.files("abc.d").captions[0].path == f"{tmp_path}/abc.d.en.vtt"
    assert folder.files("ABC").video_path is None


def test_containers_in_order_of_preference(tmp_path: Path) -> None:
    assert (folder_of(tmp_path, "a.webm").files("a").video_path or "").endswith(".webm")
    assert (folder_of(tmp_path, "a.mkv").files("a").video_path or "").endswith(".mkv")
    assert (folder_of(tmp_path, "a.mp4").files("a").video_path or "").endswith(".mp4")
    assert folder_of(tmp_path, "b.mp4.part", "b.jpg").files("b").video_path is None
    assert (folder_of(tmp_path, "c.MTS", "c.txt").files("c").video_path or "").endswith("c.MTS")
    assert (folder_of(tmp_path, "c.mov").files("c").video_path or "").endswith("c.mov")


def test_captions_in_order_of_preference(tmp_path: Path) -> None:
    best_last = ["a.json3", "a.srt", "a.vtt", "a.de.vtt", "a.en-orig.json3", "a.en.json3", "a.en-GB.srt",
                 "a.en-orig.srt", "a.en.srt", "a.en-GB.vtt", "a.en-orig.vtt", "a.en.vtt"]  # fmt: skip
    for name in best_last:
        folder = folder_of(tmp_path, name)
        expected = "a.vtt" if name == "a.de.vtt" else name
        assert folder.files("a").captions[0].path == f"{tmp_path}/{expected}"
    assert folder.files("a", ["de", "en"]).captions[0].path == f"{tmp_path}/a.de.vtt"
    assert folder.files("a", ["fr"]).captions[0].path == f"{tmp_path}/a.vtt"
    of_de = [file for file in folder.files("a", ["de", "en"]).captions if file.serves == "de"]
    assert of_de == [CaptionsFile(f"{tmp_path}/a.de.vtt", "de", "de")]
    assert len(folder.files("a").captions) == len(best_last) - 1


def test_captions_that_somebody_wrote_come_first_within_a_language(tmp_path: Path) -> None:
    names = ("a.en.vtt", "a.en-orig.vtt", "a.en-GB.vtt", "a.en-US.json3", "a.fr.vtt", "a.vtt")
    captions = folder_of(tmp_path, *names).files("a", ["en", "fr"]).captions

    def chosen(uploaded: set[str]) -> str:
        file = choose_captions(captions, VideoInfo(uploaded=frozenset(uploaded), automatic=frozenset({"en", "en-GB"})))
        assert file is not None
        return Path(file.path).name

    assert chosen(set()) == chosen({"fr", "de"}) == "a.en.vtt"
    assert chosen({"en-GB"}) == chosen({"en-GB", "en-US"}) == "a.en-GB.vtt"
    assert chosen({"en-US"}) == "a.en-US.json3"
    assert chosen({"en", "en-GB"}) == "a.en.vtt"
    assert choose_captions((), VideoInfo(uploaded=frozenset({"en"}))) is None


def test_an_absent_folder_is_empty(tmp_path: Path) -> None:
    folder = MediaFolder(str(tmp_path / "nowhere"))
    assert len(folder) == 0
    assert folder.files("a").video_path is None


def test_the_listing_is_of_when_it_was_made(tmp_path: Path) -> None:
    folder = MediaFolder(str(tmp_path))
    folder_of(tmp_path, "a.mp4")
    assert folder.files("a").video_path is None
    assert MediaFolder(str(tmp_path)).files("a").video_path is not None


def test_object_storage() -> None:
    with fsspec.open("memory://bucket/videos/a.mp4", "wb") as file:
        file.write(b"x")
    folder = MediaFolder("memory://bucket/videos/")
    assert folder.files("a").video_path == "memory://bucket/videos/a.mp4"


class TestTitles:
    def title(self, tmp_path: Path, content: bytes | str) -> str | None:
        path = tmp_path / "a.info.json"
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", errors="surrogatepass"))
        return read_info(str(path)).title

    @pytest.mark.parametrize(
        ("content", "title"),
        [
            ('{"title": "A  cat\\n\\tvideo"}', "A cat video"),
            ('{"title": "", "fulltitle": "Full"}', "Full"),
            ('{"title": null}', None),
            ('{"title": ["x"]}', None),
            ('{"title": 7}', None),
            ('{"title": "\\u0000\\u200b \\u202e"}', None),
            ('{"title": "a\\ud800b"}', "a?b"),
            ("{}", None),
            ('\ufeff{"title": "bom"}', "bom"),
            ('{"title": "caf\xe9"}'.encode("latin-1"), "caf�"),
            ('{"title": "' + "x" * 10_000 + '"}', "x" * 500),
            ('{"title": NaN, "fulltitle": "y"}', None),
        ],
    )
    def test_what_is_taken(self, tmp_path: Path, content: bytes | str, title: str | None) -> None:
        assert self.title(tmp_path, content) == title

    @pytest.mark.parametrize("content", ["", "no", "[1]", "null", '"x"', "{", "[" * 100_000, b"\xff\xfe\x00"])
    def test_what_is_refused(self, tmp_path: Path, content: bytes | str) -> None:
        with pytest.raises(MediaError, match=r"a\.info\.json: is no JSON"):
            self.title(tmp_path, content)

    @pytest.mark.parametrize("odd", ["null", "7", '"en"', "[1]", "{}"])
    def test_languages_that_are_no_table_are_none(self, tmp_path: Path, odd: str) -> None:
        path = tmp_path / "a.info.json"
        path.write_text(f'{{"subtitles": {odd}, "automatic_captions": {{"en": [], "en-orig": []}}}}')
        assert read_info(str(path)) == VideoInfo(None, frozenset(), frozenset({"en", "en-orig"}))

    def test_what_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(MediaError, match="can't be read"):
            read_info(str(tmp_path / "absent.info.json"))

    @given(st.text())
    def test_any_title_can_be_written_as_utf8(self, tmp_path_factory: pytest.TempPathFactory, title: str) -> None:
        path = tmp_path_factory.getbasetemp() / "any.info.json"
        path.write_text(json.dumps({"title": title}))
        read = read_info(str(path)).title
        assert read is None or read.encode().decode() == read == " ".join(read.split())
