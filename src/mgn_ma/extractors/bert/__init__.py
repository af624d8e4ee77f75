"""Subtitle and title features of the paper: a BERT-like encoder, 768-D for BERT base (sections 2.1.2 and 2.1.3).

The configuration is light; the extractor, and with it torch and transformers, is imported when it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mgn_ma.extractors.bert.config import BertConfig

if TYPE_CHECKING:
    from mgn_ma.extractors.bert.extractor import BertExtractor

__all__ = ["BertConfig", "BertExtractor"]


def __getattr__(name: str) -> Any:
    if name == "BertExtractor":
        from mgn_ma.extractors.bert.extractor import BertExtractor

        return BertExtractor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
