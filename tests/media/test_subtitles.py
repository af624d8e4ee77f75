from __future__ import annotations

import time
from pathlib import Path

import pysubs2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mgn_ma.media.errors import CaptionsError
from mgn_ma.media.subtitles import LONGEST_OPEN_CUE_US, Captions, Cue, parse_captions, read_captions

YOUTUBE = """WEBVTT
Kind: captions
Language: en

00:00:00.160 --> 00:00:02.389 align:start position:0%
\x20
hello<00:00:00.480><c> everybody</c><00:00:00.900><c> and</c>

00:00:02.389 --> 00:00:02.399 align:start position:0%
hello everybody and
\x20

00:00:02.399 --> 00:00:04.500 align:start position:0%
hello everybody and
welcome<00:00:02.800><c> back</c><c.colorE5E5E5> &amp; so on</c>

00:00:04.500 --> 00:00:04.510 align:start position:0%
welcome back &amp; so on
\x20

00:00:04.510 --> 00:00:06.000 align:start position:0%
welcome back &amp; so on
[Music]

00:00:06.000 --> 00:00:06.010 align:start position:0%
[Music]
\x20

00:00:20.000 --> 00:00:21.000 align:start position:0%
[Music]
welcome<00:00:20.500><c> again</c>
"""


def texts(captions: Captions) -> list[str]:
    return [cue.text for cue in captions]


def cue(start: str, end: str | None, *lines: str) -> str:
    return "\n".join([f"{start} -->{f' {end}' if end else ''}", *lines, "", ""])


class TestRollUp:
    def test_what_youtube_writes(self) -> None:
        captions = parse_captions(YOUTUBE)
        assert captions.cues == (
            Cue(160_000, 2_399_000, "hello everybody and"),
            Cue(2_399_000, 4_510_000, "welcome back & so on"),
            Cue(4_510_000, 6_010_000, "[Music]", sound=True),
            # The display rolls on after a pause, too.
            Cue(20_000_000, 21_000_000, "welcome again"),
        )
        assert (captions.dropped, captions.repaired, captions.merged) == (0, 0, 3)

    def test_three_lines_roll(self) -> None:
        text = cue("00:00", "00:01", "a") + cue("00:01", "00:02", "a", "b") + cue("00:02", "00:03", "a", "b", "c")
        text += cue("00:03", "00:04", "b", "c", "d") + cue("00:04", "00:05", "c", "d")
        assert texts(parse_captions("WEBVTT\n\n" + text)) == ["a", "b", "c", "d"]

    def test_a_line_said_twice_is_there_twice(self) -> None:
        text = cue("00:00", "00:01", "la la") + cue("00:01", "00:02", "la la", "la la")
        assert [(c.start_us, c.text) for c in parse_captions(text)] == [(0, "la la"), (1_000_000, "la la")]

    def test_a_repetition_after_a_pause_is_kept(self) -> None:
        text = cue("00:00", "00:01", "yes") + cue("00:05", "00:06", "yes")
        assert [c.start_us for c in parse_captions(text)] == [0, 5_000_000]

    def test_overlapping_cues_of_two_speakers_are_kept(self) -> None:
        text = cue("00:00", "00:04", "- Who?") + cue("00:02", "00:06", "- Me.")
        assert parse_captions(text).cues == (Cue(0, 4_000_000, "- Who?"), Cue(2_000_000, 6_000_000, "- Me."))

    def test_merging_never_shortens(self) -> None:
        text = cue("00:00", "00:09", "long") + cue("00:01", "00:02", "long")
        assert parse_captions(text).cues == (Cue(0, 9_000_000, "long"),)


class TestSounds:
    @pytest.mark.parametrize(
        "text", ["[Music]", "[Applause] [Laughter]", "(cheering)", "♪♪", "[Música]", "♪ [Music] ♪"]
    )
    def test_sounds(self, text: str) -> None:
        assert parse_captions(cue("00:00", "00:01", text)).cues[0].sound

    @pytest.mark.parametrize("text", ["hello", "[Music] hello", "♪ la la ♪", "(he) said", "[a] b [c]"])
    def test_speech(self, text: str) -> None:
        assert not parse_captions(cue("00:00", "00:01", text)).cues[0].sound


class TestFormats:
    def test_subrip(self) -> None:
        text = "1\r\n00:00:01,500 --> 00:00:02,000\r\n<i>First</i> line\r\nsecond\r\n\r\n"
        text += "2\r\n01:00:00,000 --> 01:00:01,000\r\n{\\an8}Top\r\n"
        assert parse_captions(text).cues == (
            Cue(1_500_000, 2_000_000, "First line second"),
            Cue(3_600_000_000, 3_601_000_000, "Top"),
        )

    def test_subrip_without_blank_lines(self) -> None:
        text = "1\n00:00:01,000 --> 00:00:02,000\none\n2\n00:00:02,000 --> 00:00:03,000\ntwo\n"
        assert texts(parse_captions(text)) == ["one", "two"]

    def test_notes_styles_and_names_are_no_text(self) -> None:
        text = "WEBVTT - a title\n\nNOTE\nnot this\n\nSTYLE\n::cue { color: red }\n\n"
        text += "intro\n00:01.000 --> 00:02.000 line:0\n<v Ann>Hi</v>\n"
        assert parse_captions(text).cues == (Cue(1_000_000, 2_000_000, "Hi"),)

    def test_entities_are_resolved_after_the_markup(self) -> None:
        text = cue("00:00", "00:01", "&lt;b&gt; x &lt; 3 &amp;&amp; y &gt; <b>2</b>&nbsp;&#39;s I <3 you")
        assert texts(parse_captions(text)) == ["<b> x < 3 && y > 2 's I <3 you"]

    def test_agrees_with_pysubs2_on_clean_files(self) -> None:
        subtitles = pysubs2.SSAFile()
        for k in range(50):
            subtitles.append(pysubs2.SSAEvent(start=k * 1500 + 7, end=k * 1500 + 1207, text=f"line {k}\\Nmore"))
        for form in ("vtt", "srt"):
            ours = parse_captions(subtitles.to_string(form))
            theirs = [(e.start * 1000, e.end * 1000, e.plaintext.replace("\n", " ")) for e in subtitles]
            assert [(c.start_us, c.end_us, c.text) for c in ours] == theirs

    def test_fractions_of_a_second(self) -> None:
        assert parse_captions(cue("00:00:01.5", "00:00:02.25", "x")).cues == (Cue(1_500_000, 2_250_000, "x"),)
        assert parse_captions(cue("100:00:01.000", "100:00:02.000", "x")).cues[0].start_us == 360_001_000_000


class TestEncodings:
    TEXT = cue("00:00", "00:01", "Où est “l'été” là — ?")

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
    def test_is_found_out(self, tmp_path: Path, encoding: str) -> None:
        path = tmp_path / "x.en.vtt"
        path.write_bytes(f"WEBVTT\n\n{self.TEXT}".encode(encoding))
        assert texts(read_captions(str(path))) == ["Où est “l'été” là — ?"]

    def test_bytes_that_are_no_text(self, tmp_path: Path) -> None:
        path = tmp_path / "x.en.vtt"
        path.write_bytes(b"WEBVTT\n\n00:00.000 --> 00:01.000\na\x81\xff b\n")
        assert texts(read_captions(str(path))) == ["a�ÿ b"]


class TestBroken:
    def test_missing_and_impossible_ends_last_until_the_next_cue(self) -> None:
        text = (
            cue("00:01", None, "a") + cue("00:03", "00:02", "b") + cue("00:04", "00:04", "c") + cue("00:30", None, "d")
        )
        captions = parse_captions("WEBVTT\n\n" + text)
        assert [(c.start_us, c.end_us) for c in captions] == [
            (1_000_000, 3_000_000),
            (3_000_000, 4_000_000),
            (4_000_000, 4_000_000 + LONGEST_OPEN_CUE_US),
            (30_000_000, 30_000_000 + LONGEST_OPEN_CUE_US),
        ]
        assert captions.repaired == 4

    def test_broken_cues_are_dropped_and_counted(self) -> None:
        text = "WEBVTT\n\n" + cue("00:01", "00:02", "good") + cue("soon", "later", "bad") + cue("00:0x", "00:09", "bad")
        text += cue("", "00:04", "bad") + cue("00:05", "00:06", "also good")
        captions = parse_captions(text)
        assert texts(captions) == ["good", "also good"]
        assert captions.dropped == 3

    def test_an_end_that_is_no_time_is_repaired(self) -> None:
        captions = parse_captions(cue("00:01", "whenever", "x"))
        assert captions.cues == (Cue(1_000_000, 1_000_000 + LONGEST_OPEN_CUE_US, "x"),)
        assert captions.repaired == 1

    def test_cues_out_of_order_are_sorted(self) -> None:
        text = cue("00:05", "00:06", "second") + cue("00:01", "00:02", "first")
        assert texts(parse_captions(text)) == ["first", "second"]

    def test_empty_cues_are_nothing(self) -> None:
        captions = parse_captions("WEBVTT\n\n" + cue("00:01", "00:02", " ", "<c></c>"))
        assert (captions.cues, captions.dropped) == ((), 0)

    def test_an_empty_file_has_no_cues(self) -> None:
        assert parse_captions("").cues == parse_captions("WEBVTT\n").cues == ()

    def test_other_files_are_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "page.en.vtt"
        path.write_text("<html><body>429 Too Many Requests</body></html>")
        with pytest.raises(CaptionsError, match=r"page\.en\.vtt: holds no captions"):
            read_captions(str(path))
        with pytest.raises(CaptionsError, match="can't be read"):
            read_captions(str(tmp_path / "absent.vtt"))
        with pytest.raises(CaptionsError, match="is no regular file"):
            read_captions(str(tmp_path))


def stamp(milliseconds: int) -> str:
    seconds, fraction = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{fraction:03}"


def test_twenty_thousand_cues_take_a_moment() -> None:
    def file(n: int) -> str:
        cues = []
        for k in range(n):
            cues.append(cue(stamp(k * 1000), stamp(k * 1000 + 990), f"line {k - 1}", f"line<00:00:00.100><c> {k}</c>"))
            cues.append(cue(stamp(k * 1000 + 990), stamp(k * 1000 + 1000), f"line {k}", " "))
        return "WEBVTT\n\n" + "".join(cues)

    seconds = []
    for n in (2_500, 10_000):
        text = file(n)
        start = time.process_time()
        captions = parse_captions(text)
        seconds.append(time.process_time() - start)
        assert len(captions) == n
    assert seconds[1] < 3
    assert seconds[1] < 12 * seconds[0]


def test_backtracking_has_no_foothold() -> None:
    start = time.process_time()
    for hostile in (
        "[" * 50_000,
        "<" * 50_000,
        "([" * 20_000,
        "♪" * 50_000 + "x",
        "[a] " * 20_000 + "x",
        "{\\" * 30_000,
    ):
        parse_captions(cue("00:00", "00:01", hostile))
    parse_captions("0" * 100_000 + ":00 --> 1")
    assert time.process_time() - start < 3


LINES = st.lists(st.sampled_from(["a", "b", "c", "a b", "[Music]", " ", "<c>", "&lt;", "1"]), max_size=3)
CUES = st.lists(st.tuples(st.integers(0, 20_000), st.integers(-500, 5_000), LINES), max_size=30)


@given(CUES)
def test_whatever_the_cues_the_result_is_in_order(cues: list[tuple[int, int, list[str]]]) -> None:
    text = "WEBVTT\n\n" + "".join(cue(stamp(s), stamp(max(0, s + length)), *lines) for s, length, lines in cues)
    captions = parse_captions(text)
    starts = [c.start_us for c in captions]
    assert starts == sorted(starts)
    assert all(c.end_us > c.start_us and c.text == " ".join(c.text.split()) != "" for c in captions)
    shown = [lines for _, _, lines in cues if any(line.strip() not in ("", "<c>") for line in lines)]
    assert len(captions) + captions.merged == len(shown)
    spoken = {word for c in captions for word in c.text.split()}
    written = {
        word.replace("&lt;", "<") for lines in shown for line in lines for word in line.replace("<c>", "").split()
    }
    assert spoken == written


@given(st.text(alphabet=st.sampled_from("0123456789:.,->< \nWEBVT[]&;{}\\a\x00\ufeff\r"), max_size=300))
@example("-->")
@example("00:00 --> 00:01\n-->\n")
@example("WEBVTT\n\n9999999999999999999:00:00.000 --> 0:0\nx")
def test_no_text_breaks_the_reader(text: str) -> None:
    try:
        captions = parse_captions(text)
    except ValueError as error:
        assert "holds no captions" in str(error)
    else:
        assert all(c.end_us > c.start_us for c in captions)


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.vtt"
    path.write_bytes(data)
    try:
        read_captions(str(path))
    except CaptionsError as error:
        assert "any.vtt" in str(error)
