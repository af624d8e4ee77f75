"""Image features of the paper: Inception-ResNet-v2 on the 6 Hz grid, 1536-D (section 2.1.1).

The configuration is light; the extractor, and with it torch and timm, is imported when it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mgn_ma.extractors.inception_resnet_v2.config import InceptionResnetV2Config

if TYPE_CHECKING:
    from mgn_ma.extractors.inception_resnet_v2.extractor import InceptionResnetV2Extractor

__all__ = ["InceptionResnetV2Config", "InceptionResnetV2Extractor"]


def __getattr__(name: str) -> Any:
    if name == "InceptionResnetV2Extractor":
        from mgn_ma.extractors.inception_resnet_v2.extractor import InceptionResnetV2Extractor

        return InceptionResnetV2Extractor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
