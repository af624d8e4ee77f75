"""One text vector for each caption (paper, section 2.1.2), or one for a video's title (section 2.1.3)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import torch

from mgn_ma.extractors.base import (
    END_OF_TIME_US,
    START_OF_TIME_US,
    Clock,
    ExtractionError,
    Extractor,
    TrackRows,
)
from mgn_ma.extractors.batching import Batches, Memo, extract_in_batches
from mgn_ma.extractors.bert.config import BertConfig
from mgn_ma.extractors.bert.network import load_network, load_tokenizer, pool, width_of
from mgn_ma.extractors.device import place, resolve_device
from mgn_ma.extractors.reading import Unit
from mgn_ma.media.source import VideoSource
from mgn_ma.media.subtitles import read_captions

_REMEMBERED_TEXTS = 20_000
"""60 MB of 768-D vectors; `[Music]` and its like come again in most videos."""
_LENGTHS = (16, 32, 64, 128, 256, 512)


class BertExtractor(Extractor):
    """Frozen BERT-like encoder; each distinct text goes through it once, whichever videos it comes in.

    Captions: a row holds from a merged cue's start to its end, and cues of sounds such as ``[Music]`` are texts like
    others. Title: one row holds for all time.

    Args:
        config: its settings; the weights are loaded here.

    Raises:
        WeightsError: if the weights are absent or don't fit.
        ValueError: if the device isn't there.
    """

    clock: Clock  # type: ignore[misc]

    def __init__(self, config: BertConfig) -> None:
        self._source = config.source
        self.clock = "cues" if config.source == "captions" else "whole"
        self._device = resolve_device(config.device)
        self._pooling = config.pooling
        self._readers = config.readers
        need = config.weights_needed()[0]
        self._tokenize = load_tokenizer(need, config.max_tokens)
        self._network = place(load_network(need), self._device, config.precision)
        self.width = width_of(self._network)
        self._batches = Batches(self.forward, config.batch_size, self._device)
        self._memo = Memo(_REMEMBERED_TEXTS)

    def extract(self, videos: Iterable[VideoSource]) -> Iterator[tuple[VideoSource, TrackRows | ExtractionError]]:
        """See :meth:`Extractor.extract`."""
        read = _read_captions if self._source == "captions" else _read_title
        return extract_in_batches(
            videos, read, self._batches, readers=self._readers, group=self._padded_length, memo=self._memo
        )

    def forward(self, texts: Sequence[str]) -> torch.Tensor:
        """B texts to (B, D) float32."""
        length = max(map(self._padded_length, texts))
        tokens = {name: numbers.to(self._device) for name, numbers in self._tokenize(texts, length).items()}
        with torch.inference_mode():
            hidden = self._network(**tokens).last_hidden_state
            return pool(hidden, tokens["attention_mask"], self._pooling)

    def _padded_length(self, text: str) -> int:
        """The least of a few lengths that holds a text: texts of one length share a batch, and no padding is wasted."""
        needed = self._tokenize([text], 0)["input_ids"].shape[1]
        return next((length for length in _LENGTHS if length >= needed), needed)


def _read_captions(video: VideoSource) -> Iterator[Unit]:
    if video.captions_path is None:
        raise ExtractionError("there are no captions")
    cues = read_captions(video.captions_path).cues
    if not cues:
        raise ExtractionError("its captions hold no text")
    for cue in cues:
        yield Unit(cue.start_us, cue.end_us, cue.text)


def _read_title(video: VideoSource) -> Iterator[Unit]:
    title = " ".join((video.title or "").split())
    if not title:
        raise ExtractionError("there is no title")
    yield Unit(START_OF_TIME_US, END_OF_TIME_US, title)
