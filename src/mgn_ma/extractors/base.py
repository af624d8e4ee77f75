"""The interface of every extractor: a video in, rows of vectors on the modality's own clock out.

An extractor is described by a configuration class (Pydantic, unknown keys refused) whose ``name`` selects it, and built
from it once per worker, because building may load a network.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from mgn_ma.configuration import Configuration
from mgn_ma.errors import MGNMAError
from mgn_ma.media.source import VideoSource
from mgn_ma.modality import Source as Source

Clock = Literal["grid", "patches", "windows", "cues", "whole"]
"""``grid``: the 6 Hz annotation grid; ``patches``: consecutive audio; ``windows``: rows at a hop, of windows that
may overlap; ``cues``: captions; ``whole``: one row."""

START_OF_TIME_US = int(np.iinfo(np.int64).min // 4)
END_OF_TIME_US = int(np.iinfo(np.int64).max // 4)


@dataclass(frozen=True, slots=True)
class TrackRows:
    """Vectors of one modality of one video, each valid for an interval of presentation time.

    One rule serves all clocks: a row holds for ``timestamps_us <= t < ends_us``.

    Attributes:
        timestamps_us: (N,) int64, ascending, the first microsecond that a row holds for.
        ends_us: (N,) int64, the microsecond after the last one.
        vectors: (N, D) float16 or float32.
    """

    timestamps_us: npt.NDArray[np.int64]
    ends_us: npt.NDArray[np.int64]
    vectors: npt.NDArray[np.floating[Any]]

    def __post_init__(self) -> None:
        n_rows = len(self.timestamps_us)
        if self.vectors.ndim != 2 or len(self.vectors) != n_rows or len(self.ends_us) != n_rows:
            raise ValueError(
                f"{n_rows} timestamps, {len(self.ends_us)} ends and vectors of shape {self.vectors.shape} "
                "do not belong together"
            )
        if np.any(np.diff(self.timestamps_us) < 0) or np.any(self.ends_us <= self.timestamps_us):
            raise ValueError("timestamps must ascend, and every row must end after it starts")

    def __len__(self) -> int:
        return len(self.timestamps_us)

    @classmethod
    def from_vector(cls, vector: npt.NDArray[np.floating[Any]]) -> TrackRows:
        """One vector (D,) that holds for all time."""
        return cls(np.array([START_OF_TIME_US]), np.array([END_OF_TIME_US]), vector[None])


class ExtractionError(MGNMAError):
    """A video's source can't be turned into a track; the message is the reason that the account gives.

    Attributes:
        transient: whether the same file may succeed on another try (a dead worker, memory), so that it is tried again.
    """

    def __init__(self, reason: str, *, transient: bool = False) -> None:
        super().__init__(reason)
        self.transient = transient


class ExtractorConfig(Configuration):
    """What every extractor's configuration has. Subclasses narrow ``name`` to a ``Literal``."""

    source: ClassVar[Source]
    """What the extractor reads of a video; one that can read several has it as a setting."""

    name: str

    NOT_IN_FINGERPRINT: ClassVar[frozenset[str]] = frozenset({"device", "batch_size"})
    """Settings that change how fast a vector comes, not what it is."""

    ISOLATED: ClassVar[bool] = True
    """Whether it has to run in a process that may crash: it decodes files that we did not make, or is worth one."""

    VERSION: ClassVar[int] = 1
    """Raised by hand when the code of an extractor changes what it computes."""

    def fingerprint(self) -> str:
        """Hex digest of name, version, settings and weights: two extractors that agree in it make the same track."""
        settings = self.model_dump(mode="json", exclude=set(self.NOT_IN_FINGERPRINT))
        canonical = json.dumps({"version": self.VERSION, **settings}, sort_keys=True)
        return hashlib.sha256(canonical.encode()).hexdigest()


class WithoutSettings(ExtractorConfig):
    """The configuration of an extractor that has no settings of its own; it reads what its modality is made from."""

    source: Source  # type: ignore[misc]


class Extractor(ABC):
    """A frozen function from media to rows of vectors; it is made by a call with its configuration.

    Attributes:
        Config: of an extractor that is named ``module:Class``.
        width: length D of a vector.
        clock: what the timestamps of the rows are.
    """

    Config: ClassVar[type[ExtractorConfig]] = WithoutSettings
    width: int
    clock: ClassVar[Clock]

    @abstractmethod
    def extract(self, video: VideoSource) -> TrackRows:
        """Turn one video into rows; it is never held whole in memory.

        Raises:
            ExtractionError: its source holds nothing to make rows from, or memory doesn't suffice.
            MediaError: its source can't be read.
        """
