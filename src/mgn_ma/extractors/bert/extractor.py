"""One text vector for each caption (paper, section 2.1.2), or one for a video's title (section 2.1.3)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np
import numpy.typing as npt
import torch

from mgn_ma.extractors.base import Clock, ExtractionError, Extractor, TrackRows
from mgn_ma.extractors.batching import Batches, vectors_of
from mgn_ma.extractors.bert.config import BertConfig
from mgn_ma.extractors.bert.network import load_network, load_tokenizer, pool, width_of
from mgn_ma.extractors.device import place, resolve_device
from mgn_ma.extractors.texts import CLOCKS, timed_texts
from mgn_ma.media.source import VideoSource

_LENGTHS = (16, 32, 64, 128, 256, 512)


class BertExtractor(Extractor):
    """Frozen BERT-like encoder.

    Captions: a row holds from a merged cue's start to its end. Title: one row holds for all time.
    """

    clock: Clock  # type: ignore[misc]

    def __init__(self, config: BertConfig) -> None:
        self._source = config.source
        self.clock = CLOCKS[config.source]
        self._device = resolve_device(config.device)
        self._pooling = config.pooling
        need = config.weights_needed()[0]
        self._tokenize = load_tokenizer(need, config.max_tokens)
        self._network = place(load_network(need), self._device, config.precision)
        self.width = width_of(self._network)
        self._batches = Batches(config.batch_size, self._device, "text")

    def extract(self, video: VideoSource) -> TrackRows:
        """One row for each merged cue of speech, or for the title; each distinct text goes through the network once."""
        starts_us, ends_us, texts = timed_texts(video, self._source)
        if not texts:
            raise ExtractionError("its captions hold no speech")
        vectors: dict[str, npt.NDArray[np.float32]] = {}
        # Texts share a batch with those of their padded length, so that no padding is wasted.
        for _, alike in groupby(sorted(dict.fromkeys(texts), key=self._padded_length), self._padded_length):
            of_length = list(alike)
            found = vectors_of(of_length, self.forward, self._batches, lacking="there is no text")
            vectors |= zip(of_length, found, strict=True)
        return TrackRows(starts_us, ends_us, np.stack([vectors[text] for text in texts]))

    def forward(self, texts: Sequence[str]) -> torch.Tensor:
        """B texts to (B, D) float32."""
        length = max(map(self._padded_length, texts))
        tokens = {name: numbers.to(self._device) for name, numbers in self._tokenize(texts, length).items()}
        with torch.inference_mode():
            hidden = self._network(**tokens).last_hidden_state
            return pool(hidden, tokens["attention_mask"], self._pooling)

    def _padded_length(self, text: str) -> int:
        """The least of a few lengths, in tokens, that holds a text."""
        needed = self._tokenize([text], 0)["input_ids"].shape[1]
        return next((length for length in _LENGTHS if length >= needed), needed)
