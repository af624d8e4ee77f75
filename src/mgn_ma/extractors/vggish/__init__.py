"""Audio features of the paper: VGGish on consecutive patches of 960 ms, 128-D (section 2.1.1).

The configuration is light; the extractor, and with it torch, is imported when it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mgn_ma.extractors.vggish.config import VGGishConfig

if TYPE_CHECKING:
    from mgn_ma.extractors.vggish.extractor import VGGishExtractor

__all__ = ["VGGishConfig", "VGGishExtractor"]


def __getattr__(name: str) -> Any:
    if name == "VGGishExtractor":
        from mgn_ma.extractors.vggish.extractor import VGGishExtractor

        return VGGishExtractor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
