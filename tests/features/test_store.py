from __future__ import annotations

import json
import logging
import os
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mgn_ma.extractors.base import TrackRows
from mgn_ma.features import arrow
from mgn_ma.features.store import TrackStore
from mgn_ma.features.track import Selection, Track, TrackError, TrackFailure, TrackHeader
from mgn_ma.features.view import TrackView

FINGERPRINT = "0123456789abcdef0123"


def make_track(video_id: str = "-a_B9", n_rows: int = 7, width: int = 5, seed: int = 0, digest: str = "d1") -> Track:
    starts = np.arange(n_rows, dtype=np.int64) * 166_667
    vectors = np.random.default_rng(seed).normal(size=(n_rows, width)).astype(np.float32)
    header = TrackHeader(video_id, "image", "grid", FINGERPRINT, digest, seconds=0.25)
    return Track(header, TrackRows(starts, starts + 166_667, vectors))


def make_failure(video_id: str = "bad", digest: str = "d1", *, transient: bool = False) -> TrackFailure:
    return TrackFailure(video_id, "image", FINGERPRINT, digest, "no video stream: “x”", transient)


@pytest.fixture(params=["local", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> TrackStore:
    return TrackStore(tmp_path / "04" if request.param == "local" else f"memory://{tmp_path.name}/04")


@settings(max_examples=40, deadline=None)
@given(n_rows=st.integers(0, 40), width=st.integers(1, 9), dtype=st.sampled_from(["float16", "float32"]))
def test_encoding_keeps_rows_and_header(n_rows: int, width: int, dtype: str) -> None:
    track = make_track(n_rows=n_rows, width=width)
    back = arrow.decode(arrow.encode(track, dtype))
    assert back.header == track.header
    assert back.header.seconds == 0.25
    assert back.width == width
    np.testing.assert_array_equal(back.rows.timestamps_us, track.rows.timestamps_us)
    np.testing.assert_array_equal(back.rows.ends_us, track.rows.ends_us)
    np.testing.assert_array_equal(back.rows.vectors, track.rows.vectors.astype(dtype))


def test_what_a_track_was_made_from_is_kept_and_part_of_its_digest() -> None:
    made_from = {"image": make_track().header.digest(), "title": "", "labels": "l"}
    track = make_track()
    learned = Track(replace(track.header, made_from=made_from), track.rows)
    assert arrow.decode(arrow.encode(learned)).header.made_from == made_from
    header, _ = arrow.decode_header(arrow.encode(learned))
    assert header.digest() == learned.header.digest()
    others = [
        track.header,
        replace(learned.header, made_from={**made_from, "title": "t"}),
        replace(learned.header, fingerprint="f"),
        replace(learned.header, source_digest="d2"),
    ]
    assert learned.header.digest() not in {other.digest() for other in others}
    assert replace(learned.header, seconds=9.0).digest() == learned.header.digest()


def test_a_track_of_before_there_was_that_field_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def without(header: TrackHeader) -> dict[str, object]:
        return {name: value for name, value in asdict(header).items() if name != "made_from"}

    monkeypatch.setattr(arrow, "asdict", without)
    assert arrow.decode(arrow.encode(make_track())).header == make_track().header


@pytest.mark.parametrize("value", [np.nan, np.inf, 70_000.0])
def test_values_that_float16_cannot_hold_are_refused(value: float) -> None:
    track = make_track()
    track.rows.vectors[3, 1] = value
    with pytest.raises(TrackError, match=r"not finite|too large"):
        arrow.encode(track)


def test_a_track_comes_back_and_its_arrays_outlive_the_file(store: TrackStore) -> None:
    track = make_track(n_rows=3000, width=64)
    store.write(track)
    back = store.read("image", FINGERPRINT, "-a_B9")
    expected = track.rows.vectors.astype(np.float16)
    store._fs.rm(store.path("image", FINGERPRINT, "-a_B9"))
    np.testing.assert_array_equal(back.rows.vectors, expected)
    assert store.headers("image", FINGERPRINT) == {}


def test_headers_are_those_of_one_extractor(store: TrackStore) -> None:
    store.write(make_track("one"))
    store.write(make_track("two", digest="d2"))
    assert {v: h.source_digest for v, h in store.headers("image", FINGERPRINT).items()} == {"one": "d1", "two": "d2"}
    assert store.headers("image", "another fingerprint") == {}
    assert store.headers("audio", FINGERPRINT) == {}
    with pytest.raises(FileNotFoundError):
        store.read("image", FINGERPRINT, "three")


def test_same_first_twelve_letters_are_not_the_same_fingerprint(store: TrackStore) -> None:
    store.write(make_track("one"))
    assert store.headers("image", FINGERPRINT[:12] + "zzzz") == {}


def test_failures_come_back_and_a_later_track_replaces_them(store: TrackStore) -> None:
    store.write_failure(make_failure("one", transient=True))
    assert store.failures("image", FINGERPRINT) == {"one": make_failure("one", transient=True)}
    store.write(make_track("one"))
    assert store.failures("image", FINGERPRINT) == {}


@pytest.mark.parametrize("video_id", ["../x", "a/b", "a\\b", ".hidden", ""])
def test_an_id_that_leaves_its_folder_is_refused(store: TrackStore, video_id: str) -> None:
    with pytest.raises(TrackError, match="name of a file"):
        store.path("image", FINGERPRINT, video_id)


@pytest.mark.parametrize("keep", [0, 5, 700, -1])
def test_a_truncated_track_counts_as_missing_and_the_log_names_it(
    tmp_path: Path, keep: int, caplog: pytest.LogCaptureFixture
) -> None:
    store = TrackStore(tmp_path)
    store.write(make_track("whole"))
    store.write(make_track("cut"))
    path = Path(store.path("image", FINGERPRINT, "cut"))
    path.write_bytes(path.read_bytes()[:keep])
    with caplog.at_level(logging.WARNING):
        assert list(store.headers("image", FINGERPRINT)) == ["whole"]
    assert "cut.arrow" in caplog.text
    with pytest.raises(TrackError, match=r"cut\.arrow"):
        store.read("image", FINGERPRINT, "cut")


@pytest.mark.parametrize("flip", [0x40, 0xFF])
def test_whatever_byte_is_wrong_a_track_is_as_it_was_or_refused(flip: int) -> None:
    track = make_track()
    whole = bytes(arrow.encode(track))
    n_refused = 0
    for place in range(len(whole)):
        damaged = pa.BufferReader(whole[:place] + bytes([whole[place] ^ flip]) + whole[place + 1 :])
        try:
            arrow.decode_header(damaged)
            rows = arrow.decode(damaged).rows
        except TrackError:
            n_refused += 1
        else:
            np.testing.assert_array_equal(rows.vectors, track.rows.vectors.astype(np.float16))
            np.testing.assert_array_equal(rows.timestamps_us, track.rows.timestamps_us)
    assert n_refused > 500


@pytest.mark.parametrize("name", [b"vector", b"timestamp_us", b"crc32", b"made_from", b"grid"])
def test_a_header_with_a_wrong_name_counts_as_missing_and_the_log_names_the_file(
    store: TrackStore, caplog: pytest.LogCaptureFixture, name: bytes
) -> None:
    store.write(make_track("good"))
    content = bytes(arrow.encode(make_track("bad")))
    assert name in content
    path = store.path("image", FINGERPRINT, "bad")
    store._fs.pipe_file(path, content.replace(name, b"X" + name[1:]))
    assert set(store.headers("image", FINGERPRINT)) == {"good"}
    assert f"{path} is no usable track and counts as missing" in caplog.text


def test_a_damaged_body_is_found_on_reading_and_by_verifying(store: TrackStore) -> None:
    store.write(make_track("one", n_rows=400))
    path = store.path("image", FINGERPRINT, "one")
    content = bytearray(store._fs.cat_file(path))
    content[len(content) // 2] ^= 0xFF
    store._fs.pipe_file(path, bytes(content))
    assert list(store.headers("image", FINGERPRINT)) == ["one"]
    assert store.headers("image", FINGERPRINT, verify=True) == {}
    with pytest.raises(TrackError, match="checksum"):
        store.read("image", FINGERPRINT, "one")


def test_a_track_under_another_videos_name_is_not_taken_for_it(store: TrackStore) -> None:
    store.write(make_track("one"))
    store._fs.copy(store.path("image", FINGERPRINT, "one"), store.path("image", FINGERPRINT, "two"))
    assert list(store.headers("image", FINGERPRINT)) == ["one"]


def test_another_dtype_counts_as_missing(tmp_path: Path) -> None:
    TrackStore(tmp_path, "float16").write(make_track("one"))
    assert TrackStore(tmp_path, "float32").headers("image", FINGERPRINT) == {}


def test_a_write_that_fails_leaves_the_old_track_and_no_litter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = TrackStore(tmp_path)
    store.write(make_track("one", seed=1))

    def full(_: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        store.write(make_track("one", seed=2))
    monkeypatch.undo()
    kept = store.read("image", FINGERPRINT, "one").rows.vectors
    np.testing.assert_array_equal(kept, make_track("one", seed=1).rows.vectors.astype(np.float16))
    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == ["one.arrow"]


def test_what_a_killed_writer_left_is_removed_with_the_next_selection(tmp_path: Path) -> None:
    store = TrackStore(tmp_path)
    store.write(make_track("one"))
    left = Path(store.path("image", FINGERPRINT, "one")).with_name(f".x.arrow.{'0' * 32}.tmp")
    left.write_bytes(b"half")
    assert list(store.headers("image", FINGERPRINT)) == ["one"]
    store.select(Selection("image", FINGERPRINT, {"one": "d1"}))
    assert not left.exists()


def test_a_broken_failure_record_is_ignored(store: TrackStore) -> None:
    store.write_failure(make_failure("one"))
    store._fs.pipe_file(store.path("image", FINGERPRINT, "two").replace(".arrow", ".failed.json"), b"{")
    assert list(store.failures("image", FINGERPRINT)) == ["one"]


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"modality": "image"}', b'{"modality": "image", "fingerprint": 1, "wanted": []}']
)
def test_a_damaged_selection_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "image").mkdir()
    (tmp_path / "image/selection.json").write_bytes(content)
    with pytest.raises(TrackError, match=r"image/selection\.json: says not which tracks are wanted .* Delete it"):
        TrackStore(tmp_path).selection("image")


def test_a_view_holds_what_is_wanted_and_nothing_else(store: TrackStore) -> None:
    for video_id, digest in [("b", "d1"), ("a", "d1"), ("changed", "old"), ("left", "d1")]:
        store.write(make_track(video_id, digest=digest))
    store.write_failure(make_failure("bad"))
    store.write_failure(make_failure("replaced", digest="old"))
    wanted = {"b": "d1", "changed": "new", "bad": "d1", "a": "d1", "replaced": "new"}
    store.select(Selection("image", FINGERPRINT, wanted))
    selection = store.selection("image")
    assert selection is not None
    view = TrackView(store, selection)
    assert list(view) == ["b", "a"]
    assert list(view.failures) == ["bad"]
    assert view.missing == ["changed", "replaced"]
    assert "left" not in view
    assert (view.modality, view.fingerprint, view.width, view.clock) == ("image", FINGERPRINT, 5, "grid")
    with pytest.raises(TrackError, match="2 of 5 videos have neither"):
        view.require_complete()
    with pytest.raises(KeyError):
        view.read("changed")


def test_a_view_notices_a_track_that_was_exchanged_under_it(store: TrackStore) -> None:
    store.write(make_track("a"))
    view = TrackView(store, Selection("image", FINGERPRINT, {"a": "d1"}))
    store.write(make_track("a", digest="d2"))
    with pytest.raises(TrackError, match="changed while it was in use"):
        view.read("a")


def test_an_empty_view_says_what_to_do(store: TrackStore) -> None:
    assert store.selection("image") is None
    view = TrackView(store, Selection("image", FINGERPRINT, {}))
    view.require_complete()
    assert list(view) == []
    with pytest.raises(TrackError, match="modalities"):
        _ = view.width


def test_the_selection_is_readable_by_people(tmp_path: Path) -> None:
    TrackStore(tmp_path).select(Selection("image", FINGERPRINT, {"a": "d1"}))
    assert json.loads((tmp_path / "image" / "selection.json").read_text()) == {
        "modality": "image",
        "fingerprint": FINGERPRINT,
        "wanted": {"a": "d1"},
    }
