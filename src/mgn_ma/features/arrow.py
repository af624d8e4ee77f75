"""A track as the bytes of an Arrow IPC file: vectors in a fixed-size list, the header in the schema's metadata."""

from __future__ import annotations

import json
import zlib
from dataclasses import asdict
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mgn_ma.extractors.base import TrackRows
from mgn_ma.features.track import Track, TrackError, TrackHeader

Dtype = Literal["float16", "float32"]
"""Of vectors on disk."""

METADATA_KEY = b"mgn_ma.track"
FORMAT = 1

Vectors = npt.NDArray[np.floating[Any]]


def encode(track: Track, dtype: Dtype = "float16") -> pa.Buffer:
    """Lay a track out as an Arrow IPC file with vectors of ``dtype``.

    Raises:
        TrackError: a value is not finite, or does not fit ``dtype``.
    """
    vectors = narrow(track.rows.vectors, dtype)
    starts = np.ascontiguousarray(track.rows.timestamps_us, dtype=np.int64)
    ends = np.ascontiguousarray(track.rows.ends_us, dtype=np.int64)
    described = {**asdict(track.header), "format": FORMAT, "crc32": _checksum(starts, ends, vectors)}
    columns = [pa.array(starts), pa.array(ends), _as_lists(vectors)]
    schema = pa.schema(
        [("timestamp_us", pa.int64()), ("end_us", pa.int64()), ("vector", columns[2].type)],
        metadata={METADATA_KEY: json.dumps(described).encode()},
    )
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, schema) as writer:
        writer.write_batch(pa.record_batch(columns, schema=schema))
    return sink.getvalue()


def decode_header(source: Any) -> tuple[TrackHeader, str]:
    """Read header and vector dtype of an Arrow IPC file (path, buffer or file), and nothing of its body.

    The footer stands at the end of the file, so a truncated file is found out.

    Raises:
        TrackError: this is not a whole track file.
    """
    reader = _open(source)
    described = _described(reader.schema)
    return _header(described), _numpy_dtype(reader.schema)


def decode(source: Any) -> Track:
    """Read a whole track and compare its checksum. The arrays share memory with ``source``.

    Raises:
        TrackError: this is not a whole track file, or its body is damaged.
    """
    reader = _open(source)
    described = _described(reader.schema)
    width = reader.schema.field("vector").type.list_size
    try:
        batch = reader.get_batch(0)
        starts = batch.column(0).to_numpy()
        ends = batch.column(1).to_numpy()
        vectors = batch.column(2).flatten().to_numpy().reshape(len(starts), width)
    except (pa.ArrowException, ValueError) as error:
        raise TrackError(f"damaged body: {error}") from error
    if _checksum(starts, ends, vectors) != described["crc32"]:
        raise TrackError("damaged body: its checksum does not match")
    return Track(_header(described), TrackRows(starts, ends, vectors))


def narrow(vectors: Vectors, dtype: Dtype) -> Vectors:
    """Convert vectors to ``dtype``.

    Raises:
        TrackError: a value is not finite, or too large for ``dtype``.
    """
    if not np.isfinite(vectors).all():
        raise TrackError("the extractor gave values that are not finite")
    with np.errstate(over="ignore"):
        narrowed = np.ascontiguousarray(vectors, dtype=dtype)
    if not np.isfinite(narrowed).all():
        largest = float(np.abs(vectors).max())
        raise TrackError(f"the extractor gave values up to {largest:.3g}, too large for {dtype}")
    return narrowed


def _as_lists(vectors: Vectors) -> pa.FixedSizeListArray:
    values = pa.array(vectors.reshape(-1), type=pa.from_numpy_dtype(vectors.dtype))
    return pa.FixedSizeListArray.from_arrays(values, vectors.shape[1])


def _checksum(starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64], vectors: Vectors) -> int:
    checksum = 0
    for array in (starts, ends, vectors):
        checksum = zlib.crc32(np.ascontiguousarray(array).tobytes(), checksum)
    return checksum


def _open(source: Any) -> pa.ipc.RecordBatchFileReader:
    try:
        return pa.ipc.open_file(source)
    except (pa.ArrowException, OSError) as error:
        raise TrackError(f"not a whole Arrow file: {error}") from error


def _described(schema: pa.Schema) -> dict[str, Any]:
    try:
        described = json.loads((schema.metadata or {})[METADATA_KEY])
        if described["format"] != FORMAT:
            raise TrackError(f"a track of format {described['format']}; this version reads {FORMAT}")
    except (KeyError, ValueError, TypeError) as error:
        raise TrackError("an Arrow file without a track's header") from error
    return dict(described)


def _header(described: dict[str, Any]) -> TrackHeader:
    fields = ("video_id", "modality", "clock", "fingerprint", "source_digest", "seconds")
    try:
        # Tracks of files, written before there was such a field, lack it.
        return TrackHeader(**{name: described[name] for name in fields}, made_from=described.get("made_from", {}))
    except KeyError as error:
        raise TrackError(f"a header without {error}") from error


def _numpy_dtype(schema: pa.Schema) -> str:
    return str(np.dtype(schema.field("vector").type.value_type.to_pandas_dtype()))
