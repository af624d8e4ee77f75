"""The store on object storage: a local server that speaks S3."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from object_store import object_store

from mgn_ma.datasets.tracks import TracksDataset
from mgn_ma.extractors.base import TrackRows
from mgn_ma.features.store import TrackStore
from mgn_ma.features.track import Selection, Track, TrackFailure, TrackHeader

FINGERPRINT = "f" * 64


@pytest.fixture(scope="module")
def options() -> Iterator[dict[str, object]]:
    """Storage options of a bucket ``tracks`` on a server of its own."""
    fsspec = pytest.importorskip("fsspec")
    pytest.importorskip("s3fs")
    with object_store() as address:
        options = {"key": "k", "secret": "s", "client_kwargs": {"endpoint_url": address}}
        fsspec.filesystem("s3", **options).mkdir("tracks")
        yield options


def make_track(video_id: str) -> Track:
    starts = np.arange(50, dtype=np.int64) * 1000
    vectors = np.random.default_rng(len(video_id)).normal(size=(50, 8)).astype(np.float16)
    return Track(TrackHeader(video_id, "image", "grid", FINGERPRINT, "d"), TrackRows(starts, starts + 1000, vectors))


def test_tracks_live_in_a_bucket(options: dict[str, object]) -> None:
    store = TrackStore("s3://tracks/04_feature", storage_options=options)
    assert store.headers("image", FINGERPRINT) == {}
    assert store.selection("image") is None
    ids = [f"v{'x' * k}" for k in range(20)]
    for video_id in ids:
        store.write(make_track(video_id))
    store.write_failure(TrackFailure("bad", "image", FINGERPRINT, "d", "no video stream"))
    assert sorted(store.headers("image", FINGERPRINT, verify=True)) == sorted(ids)
    assert store.failures("image", FINGERPRINT)["bad"].reason == "no video stream"
    back = store.read("image", FINGERPRINT, ids[3])
    np.testing.assert_array_equal(back.rows.vectors, make_track(ids[3]).rows.vectors)
    store._fs.pipe_file(store.path("image", FINGERPRINT, ids[0]), b"half of it")
    assert ids[0] not in store.headers("image", FINGERPRINT)
    with pytest.raises(FileNotFoundError):
        store.read("image", FINGERPRINT, "nobody")


def test_the_catalog_takes_a_bucket_with_credentials(options: dict[str, object], tmp_path: Path) -> None:
    dataset = TracksDataset(path="s3://tracks/other", modality="image", credentials=options)
    selection = Selection("image", FINGERPRINT, {"one": "d", "two": "d"})
    for item in (selection, make_track("one"), make_track("two")):
        dataset.save(item)
    view = dataset.load()
    assert list(view) == ["one", "two"]
    assert view.width == 8
    assert "secret" not in str(dataset)
    assert not list(tmp_path.iterdir())
