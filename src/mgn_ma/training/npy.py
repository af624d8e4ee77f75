"""Writes a ``.npy`` file row by row, so that its length need not be known, nor its content held."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt


class NpyWriter:
    """An array of shape (rows so far, *row_shape) on disk, which `numpy.load` can map once it is closed.

    Args:
        path: of the new file.
        row_shape: shape of one row; ``()`` for a vector of numbers.
        dtype: what rows are converted to.
    """

    def __init__(self, path: Path, row_shape: tuple[int, ...], dtype: npt.DTypeLike) -> None:
        self.n_rows = 0
        self._row_shape = row_shape
        self._dtype = np.dtype(dtype)
        self._file = path.open("wb")
        self._file.write(self._header())

    def append(self, rows: npt.NDArray[Any]) -> None:
        """Write (n, *row_shape) further rows.

        Raises:
            ValueError: rows of another shape.
        """
        if rows.shape[1:] != self._row_shape:
            raise ValueError(f"rows of shape {rows.shape[1:]} among rows of shape {self._row_shape}")
        self._file.write(np.ascontiguousarray(rows, dtype=self._dtype).data)
        self.n_rows += len(rows)

    def close(self) -> None:
        """Write the length down and close the file."""
        self._file.seek(0)
        # NumPy pads every header so that the number of rows may grow in place.
        self._file.write(self._header())
        self._file.close()

    def _header(self) -> bytes:
        description = {
            "descr": np.lib.format.dtype_to_descr(self._dtype),
            "fortran_order": False,
            "shape": (self.n_rows, *self._row_shape),
        }
        buffer = io.BytesIO()
        np.lib.format.write_array_header_1_0(buffer, description)
        return buffer.getvalue()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
