from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mgn_ma.media.errors import CaptionsError
from mgn_ma.media.subtitles import LONGEST_OPEN_CUE_US, Cue, parse_captions, read_captions
from mgn_ma.sample.captions import automatic_captions
from mgn_ma.sample.speech import SpokenLine


def event(start_ms: Any, length_ms: Any, *pieces: Any, **more: Any) -> dict[str, Any]:
    segments = [piece if isinstance(piece, dict) else {"utf8": piece} for piece in pieces]
    return {"tStartMs": start_ms, "dDurationMs": length_ms, "segs": segments, **more}


def text_of(*events: Any) -> str:
    return json.dumps({"wireMagic": "pb3", "pens": [{}], "events": list(events)})


def rolling(lines: list[SpokenLine]) -> str:
    """As YouTube writes what it has recognised: a line stays until the next but one begins, and line feeds roll it."""
    starts = [line.starts_us[0] // 1000 for line in lines]
    events: list[dict[str, Any]] = [{"tStartMs": 0, "dDurationMs": 60_000, "id": 1, "wpWinPosId": 1}]
    for k, line in enumerate(lines):
        words = zip(line.words, line.starts_us, strict=True)
        pieces = [
            {"utf8": f"{' ' * (n > 0)}{word}", "acAsrConf": 0} | ({"tOffsetMs": at // 1000 - starts[k]} if n else {})
            for n, (word, at) in enumerate(words)
        ]
        until = starts[k + 2] if k + 2 < len(lines) else lines[-1].end_us // 1000
        if k:
            events.append(event(starts[k] - 10, until - starts[k] + 10, "\n", wWinId=1, aAppend=1))
        events.append(event(starts[k], until - starts[k], *pieces, wWinId=1))
    return text_of(*events)


def test_it_says_what_the_rolling_webvtt_of_the_same_lines_says() -> None:
    lines = [
        SpokenLine(("hello", "everybody"), (160_000, 900_000), 2_400_000),
        SpokenLine(("welcome", "back"), (2_400_000, 2_800_000), 4_500_000),
        SpokenLine(("so",), (4_500_000,), 5_300_000),
        SpokenLine(("it", "goes"), (5_300_000, 5_600_000), 7_000_000),
    ]
    events, cues = parse_captions(rolling(lines)), parse_captions(automatic_captions(lines))
    assert [cue.text for cue in events] == [cue.text for cue in cues] == [" ".join(line.words) for line in lines]
    assert [cue.start_us for cue in events] == [cue.start_us for cue in cues]
    assert all(abs(ours.end_us - theirs.end_us) <= 10_000 for ours, theirs in zip(events, cues, strict=True))
    assert events.made_by == cues.made_by == "automatic"


def test_uploaded_events_keep_their_lengths_and_what_is_said_twice() -> None:
    text = text_of(event(1_000, 3_000, "- Who?\n- Me."), event(2_000, 500, "Go!"), event(2_500, 500, "Go!"))
    captions = parse_captions(text)
    assert captions.cues == (
        Cue(1_000_000, 4_000_000, "- Who? - Me."),
        Cue(2_000_000, 2_500_000, "Go!"),
        Cue(2_500_000, 3_000_000, "Go!"),
    )
    assert captions.made_by is None


def test_what_is_appended_and_has_words_is_kept() -> None:
    text = text_of(event(0, 9_000, "one", wWinId=1), event(1_000, 9_000, "two", wWinId=1, aAppend=1))
    assert parse_captions(text).cues == (Cue(0, 1_000_000, "one"), Cue(1_000_000, 10_000_000, "two"))


def test_sounds_are_no_speech() -> None:
    captions = parse_captions(text_of(event(0, 500, "[Music]"), event(500, 500, "hello", " [Music]")))
    assert [cue.text for cue in captions] == ["[Music]", "hello [Music]"]
    assert [cue.text for cue in captions.speech] == ["hello [Music]"]


def test_events_out_of_order_and_without_a_length() -> None:
    captions = parse_captions(text_of(event(3_000, None, "b"), event(1_000, 0, "a"), event(90_000, -5, "c")))
    assert [(cue.start_us, cue.end_us, cue.text) for cue in captions] == [
        (1_000_000, 3_000_000, "a"),
        (3_000_000, 3_000_000 + LONGEST_OPEN_CUE_US, "b"),
        (90_000_000, 90_000_000 + LONGEST_OPEN_CUE_US, "c"),
    ]
    assert captions.repaired == 3


@pytest.mark.parametrize("start", [None, True, "0", -1, 1e300, float("nan"), float("inf"), 10**400, [], {}])
def test_an_event_without_a_readable_start_is_dropped_and_counted(start: Any) -> None:
    captions = parse_captions(text_of(event(start, 500, "lost"), event(1_000, 500, "kept")))
    assert ([cue.text for cue in captions], captions.dropped) == (["kept"], 1)


@pytest.mark.parametrize("odd", [None, 7, "text", [], {"segs": "x"}, {"segs": [7]}, {"segs": [{"utf8": 7}]}])
def test_what_is_no_event_is_dropped_and_counted(odd: Any) -> None:
    captions = parse_captions(text_of(odd, event(1_000, 500, "kept", {})))
    assert ([cue.text for cue in captions], captions.dropped) == (["kept"], 1)


def test_text_is_plain_and_can_be_written_as_utf8() -> None:
    captions = parse_captions(text_of(event(0, 500, "\ud800<i>a</i>\u200b &amp; b\x00")))
    assert [cue.text for cue in captions] == ["?a & b"]


@pytest.mark.parametrize("text", ["{}", "{", '{"events": 7}', '{"a": ' * 100_000, '{"events": [' + "9" * 5_000 + "]}"])
def test_other_json_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "v.en.json3"
    path.write_text(text)
    with pytest.raises(CaptionsError, match=r"v\.en\.json3: holds no captions"):
        read_captions(str(path))


def test_no_events_are_no_cues() -> None:
    assert parse_captions('\ufeff\n{"events": []}').cues == ()
