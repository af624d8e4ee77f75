"""A track as the bytes of an Arrow IPC file: vectors in a fixed-size list, the header in the schema's metadata."""

from __future__ import annotations

import json
import zlib
from dataclasses import asdict
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, ValidationError

from mgn_ma.extractors.base import Clock, TrackRows
from mgn_ma.features.track import Track, TrackError, TrackHeader

Dtype = Literal["float16", "float32"]
"""Of vectors on disk."""

METADATA_KEY = b"mgn_ma.track"
FORMAT: Final = 1

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
    schema = _schema(columns[2].type, json.dumps(described).encode())
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
    _, dtype = _layout(reader.schema)
    return described.header(), dtype


def decode(source: Any) -> Track:
    """Read a whole track and compare its checksum. The arrays share memory with ``source``.

    Raises:
        TrackError: this is not a whole track file, or its body is damaged.
    """
    reader = _open(source)
    described = _described(reader.schema)
    width, _ = _layout(reader.schema)
    try:
        batch = reader.get_batch(0)
        # Buffers that are shorter than their columns would be read beyond their ends.
        batch.validate()
        starts = batch.column(0).to_numpy()
        ends = batch.column(1).to_numpy()
        vectors = batch.column(2).flatten().to_numpy().reshape(len(starts), width)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise TrackError(f"damaged body: {error}") from error
    if _checksum(starts, ends, vectors) != described.crc32:
        raise TrackError("damaged body: its checksum does not match")
    return Track(described.header(), TrackRows(starts, ends, vectors))


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


class _Described(BaseModel):
    """A schema's metadata: a `TrackHeader`'s fields beside the checksum of the body."""

    model_config = ConfigDict(extra="forbid", strict=True)

    format: Literal[1]
    crc32: int
    video_id: str
    modality: str
    clock: Clock
    fingerprint: str
    source_digest: str
    seconds: float
    # Tracks of files, written before there was such a field, lack it.
    made_from: dict[str, str] = {}

    def header(self) -> TrackHeader:
        return TrackHeader(**self.model_dump(exclude={"format", "crc32"}))


def _described(schema: pa.Schema) -> _Described:
    try:
        return _Described.model_validate_json((schema.metadata or {})[METADATA_KEY])
    except KeyError as error:
        raise TrackError("an Arrow file without a track's header") from error
    except ValidationError as error:
        wrong = error.errors()[0]
        name = ".".join(map(str, wrong["loc"]))
        raise TrackError(
            f"no header of a track of format {FORMAT}, which this version reads: {name} {wrong['msg']}"
        ) from error


def _layout(schema: pa.Schema) -> tuple[int, str]:
    """Width and dtype of the vectors."""
    vector = schema.types[2] if len(schema) == 3 else pa.null()
    if (
        not pa.types.is_fixed_size_list(vector)
        or vector.value_type not in (pa.float16(), pa.float32())
        or not schema.equals(_schema(vector))
    ):
        raise TrackError("an Arrow file without a track's columns")
    return vector.list_size, str(np.dtype(vector.value_type.to_pandas_dtype()))


def _schema(vector: pa.DataType, described: bytes = b"") -> pa.Schema:
    columns = [("timestamp_us", pa.int64()), ("end_us", pa.int64()), ("vector", vector)]
    return pa.schema(columns, metadata={METADATA_KEY: described})
