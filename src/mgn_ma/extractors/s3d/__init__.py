"""Action features: S3D (MIL-NCE, HowTo100M) over windows of 32 frames, what overlapping windows share computed once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mgn_ma.extractors.s3d.config import S3DConfig

if TYPE_CHECKING:
    from mgn_ma.extractors.s3d.extractor import S3DExtractor

__all__ = ["S3DConfig", "S3DExtractor"]


def __getattr__(name: str) -> Any:
    # The extractor imports torch; who only wants the configuration must not wait for that.
    if name == "S3DExtractor":
        from mgn_ma.extractors.s3d.extractor import S3DExtractor

        return S3DExtractor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
