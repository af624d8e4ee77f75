"""What is written beside a video, as it is read again."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgn_ma.media.subtitles import Cue, parse_captions
from mgn_ma.transcription.captions import Record, is_as_written, read_record, webvtt, write_record

SPOKEN = st.text(
    st.characters(exclude_categories=("C", "Z"), exclude_characters="\u200b\u2060\ufeff"), min_size=1, max_size=8
)
TEXTS = st.lists(SPOKEN, min_size=1, max_size=5).map(" ".join)


@given(st.lists(TEXTS, max_size=8))
def test_captions_are_read_as_they_were_heard(texts: list[str]) -> None:
    cues = [Cue(k * 2_000_000, k * 2_000_000 + 1_500_000, text) for k, text in enumerate(texts)]
    written = webvtt(cues, "en", {"model": "a --> b\nWEBVTT", "settings": "{}"}).decode()
    assert written.startswith("WEBVTT\nKind: captions\nLanguage: en\n\nNOTE\nTranscribed by mgn_ma ")
    read = parse_captions(written)
    assert [(cue.start_us, cue.end_us, cue.text) for cue in read] == [(c.start_us, c.end_us, c.text) for c in cues]
    assert (read.dropped, read.merged, read.made_by) == (0, 0, "transcribed")


def test_nobody_else_is_taken_for_it() -> None:
    assert parse_captions("WEBVTT\n\n00:00.000 --> 00:01.000\nTranscribed by mgn_ma\n").made_by is None


def test_a_file_is_as_written_until_it_is_touched(tmp_path: Path) -> None:
    path = tmp_path / "v.en.vtt"
    record = Record("transcribed", "", "d", "f", "185f8db32271fe25f561a6fc938b2e264306ec304eda518007d1764826381969")
    assert not is_as_written(path, record)
    path.write_bytes(b"Hello")
    assert is_as_written(path, record)
    assert not is_as_written(path, None)
    path.write_bytes(b"Hello!")
    assert not is_as_written(path, record)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"status": "failed", "odd": 1}', "\xff"])
def test_a_damaged_record_is_none(tmp_path: Path, content: str) -> None:
    record = Record("failed", "why", None, "f", "", 1.5)
    write_record(tmp_path / "-v.w.en.vtt", record)
    assert read_record(tmp_path / "-v.w.en.vtt") == record
    assert read_record(tmp_path / "-v.w.de.vtt") is None
    (tmp_path / ".transcription/-v.w.en.json").write_bytes(content.encode("latin-1"))
    assert read_record(tmp_path / "-v.w.en.vtt") is None
