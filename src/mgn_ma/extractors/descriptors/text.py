"""A text vector without a network: hashed words and character n-grams of a caption or a title (section 2.1.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from mgn_ma.extractors.base import Clock, Extractor, ExtractorConfig, TrackRows
from mgn_ma.extractors.texts import CLOCKS, timed_texts
from mgn_ma.media.source import VideoSource

WORD = r"(?u)[^\W_]+(?:['\u2019][^\W_]+)?"


class TextDescriptorConfig(ExtractorConfig):
    """Settings of :class:`TextDescriptorExtractor`.

    Attributes:
        source: what is read: the captions that are speech, a row each, or the title, one row for the whole video.
        words: buckets for words.
        ngrams: buckets for character n-grams of 3 to 5 within words.
    """

    ISOLATED: ClassVar[bool] = False
    """Nothing is decoded: our own parser reads text, and thousands of titles take less time than a process to start."""
    VERSION: ClassVar[int] = 2

    name: Literal["text_descriptor"] = "text_descriptor"
    source: Literal["captions", "title"] = "captions"  # type: ignore[misc]
    words: int = Field(default=128, ge=8)
    ngrams: int = Field(default=128, ge=8)


class TextDescriptorExtractor(Extractor):
    """Signed hash counts of words and of character n-grams, each half of length sqrt(1/2), (N, words + ngrams)."""

    clock: Clock  # type: ignore[misc]

    def __init__(self, config: TextDescriptorConfig) -> None:
        self._source = config.source
        self.clock = CLOCKS[config.source]
        self.width = config.words + config.ngrams
        # Imported here, since it takes a second and configurations don't need it.
        from sklearn.feature_extraction.text import HashingVectorizer

        self._parts = (
            HashingVectorizer(n_features=config.words, token_pattern=WORD, dtype=np.float32),
            HashingVectorizer(n_features=config.ngrams, analyzer="char_wb", ngram_range=(3, 5), dtype=np.float32),
        )

    def extract(self, video: VideoSource) -> TrackRows:
        """One row for each merged cue of speech, or one for the title."""
        starts_us, ends_us, texts = timed_texts(video, self._source)
        return TrackRows(starts_us, ends_us, self.describe(texts))

    def describe(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Texts to (N, words + ngrams); each distinct text is hashed once."""
        distinct = list(dict.fromkeys(texts))
        if not distinct:
            return np.zeros((0, self.width), dtype=np.float32)
        halves = [part.transform(distinct).toarray() for part in self._parts]
        vectors = np.concatenate(halves, axis=1) * np.float32(np.sqrt(0.5))
        place = {text: row for row, text in enumerate(distinct)}
        described: npt.NDArray[np.float32] = vectors[[place[text] for text in texts]]
        return described
