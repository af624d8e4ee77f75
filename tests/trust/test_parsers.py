"""Each parser that is ours, in a loop that looks for what breaks it: by Hypothesis here, by Atheris in `fuzz_parsers`.

What is drawn is made of the words of each format: what a parser has never heard of, it refuses at once.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import unquote

from counts import EXAMPLES
from hypothesis import given, settings
from hypothesis import strategies as st

from mgn_ma.inference.finding import NoVideosError, find_videos
from mgn_ma.media.encryption import is_encrypted
from mgn_ma.media.errors import MediaError
from mgn_ma.media.fetch import is_within
from mgn_ma.media.folder import read_info
from mgn_ma.media.subtitles import decode_text, parse_captions

often = settings(max_examples=EXAMPLES, deadline=2_000, database=None)


@contextmanager
def file_of(content: bytes, name: str) -> Iterator[str]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        yield str(path)


def texts(*words: str) -> st.SearchStrategy[str]:
    """Texts of a format's own words, with any text between them."""
    return st.lists(st.sampled_from(words) | st.text(max_size=6), max_size=60).map("".join)


CAPTIONS = texts(
    "WEBVTT", "\n", "\n\n", "\r\n", "\r\r\n", "1\n", "00:00:01.000", "00:01", "9999:59:59,999999", "-00:00:01", " --> ",
    "-->", "NOTE", "STYLE", "<c>", "</c>", "<00:00:01.000>", "{\\an8}", "&amp;", "[Music]", "((", "♪", "\ufeff", "\0",
    "align:start",
)  # fmt: skip


@often
@given(CAPTIONS)
def test_captions_are_cues_in_order_or_none(text: str) -> None:
    try:
        captions = parse_captions(text)
    except ValueError:
        assert not text.startswith("WEBVTT")
        return
    starts = [cue.start_us for cue in captions]
    assert starts == sorted(starts)
    assert all(0 <= cue.start_us < cue.end_us and cue.text.strip() and "\n" not in cue.text for cue in captions)
    assert len(captions) + captions.merged + captions.dropped <= text.count("-->")


ODD = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.just([]) | st.just({})
PIECES = st.fixed_dictionaries({}, optional={"utf8": st.text(max_size=5) | ODD, "tOffsetMs": st.integers() | ODD})
EVENTS = st.fixed_dictionaries(
    {},
    optional={
        "tStartMs": st.integers(0, 50_000) | ODD,
        "dDurationMs": st.integers(-500, 5_000) | ODD,
        "segs": st.lists(PIECES | ODD, max_size=3) | ODD,
        "wWinId": st.integers(0, 2) | ODD,
        "aAppend": st.just(1),
    },
)


@often
@given(st.lists(EVENTS | ODD, max_size=12))
def test_events_of_json3_are_cues_in_order(events: list[Any]) -> None:
    captions = parse_captions(json.dumps({"events": events}))
    starts = [cue.start_us for cue in captions]
    assert starts == sorted(starts)
    assert all(0 <= cue.start_us < cue.end_us and cue.text == " ".join(cue.text.split()) != "" for cue in captions)
    assert all(cue.text.encode() for cue in captions)
    assert len(captions) + captions.dropped <= len(events)


@often
@given(st.binary(max_size=400) | CAPTIONS.map(lambda text: text.encode("utf-16", errors="replace")))
def test_any_bytes_are_some_text(data: bytes) -> None:
    assert isinstance(decode_text(data), str)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["title", "fulltitle", "id"]) | st.text(max_size=3), inner, max_size=4)
    ),
)


@often
@given(data=JSON.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=100))
def test_a_title_is_a_line_that_can_be_printed(data: bytes) -> None:
    try:
        with file_of(data, "v.info.json") as path:
            title = read_info(path).title
    except MediaError:
        return
    assert title is None or (title == title.strip() and title.isprintable() and title.encode())


LISTS = texts(
    "video", "video_id", "captions", "title", ",", "\n", '"', '""', "a.mp4", "http://h/a.mp4", "\r", "\0", ";", "../"
)  # fmt: skip


@often
@given(text=LISTS)
def test_a_list_names_videos_with_distinct_ids(text: str) -> None:
    try:
        with file_of(text.encode(errors="replace"), "list.csv") as path:
            found = find_videos(path)
    except NoVideosError:
        return
    assert found and len({video.video_id for video in found}) == len(found)


BOXES = st.recursive(
    st.binary(max_size=12),
    lambda inner: st.builds(
        lambda size, kind, content: (len(content) + 8 if size is None else size).to_bytes(4, "big") + kind + content,
        st.none() | st.integers(0, 40) | st.sampled_from([0, 1, 7, 2**31, 2**32 - 1]),
        st.sampled_from([b"ftyp", b"moov", b"sinf", b"encv", b"free", b"mdat"]),
        st.lists(inner, max_size=3).map(b"".join) | st.just((2**64 - 1).to_bytes(8, "big")),
    ),
)


@often
@given(data=st.lists(BOXES, max_size=4).map(b"".join))
def test_boxes_whose_sizes_lie_say_encrypted_or_not(data: bytes) -> None:
    with file_of(data, "v.mp4") as path:
        assert is_encrypted(path) in (True, False)


PARTS = st.lists(
    st.sampled_from(["ok", "private", "/", "..", ".", "%2e%2e", "%2E.", "%2f", "%252e", "\\", ";", "?", "#", "//"]),
    max_size=8,
).map("".join)


@often
@given(PARTS, st.sampled_from(["http://host:8000/ok/", "/data/ok"]))
def test_nothing_outside_of_a_place_is_within_it(rest: str, place: str) -> None:
    address = f"{place.rstrip('/')}/{rest}"
    if is_within(address, place):
        path = unquote(address.partition("://")[2] or address) if "://" in place else address
        path = path.partition("?")[0].partition("#")[0] if "://" in place else path
        inside = place.partition("://")[2] or place
        assert posixpath.normpath(path).startswith(inside.rstrip("/"))
