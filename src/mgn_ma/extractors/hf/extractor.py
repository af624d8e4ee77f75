"""Rows of vectors by encoders of transformers: of frames, windows of sound, captions, a title, and clips."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from functools import partial
from itertools import count, groupby, takewhile
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
import numpy.typing as npt
import torch

from mgn_ma.extractors.base import Clock, ExtractionError, Extractor, TrackRows
from mgn_ma.extractors.batching import Batches, grid_vectors, vectors_of
from mgn_ma.extractors.device import dtype_of, place, resolve_device
from mgn_ma.extractors.hf.config import EncoderConfig, HFAudioConfig, HFImageConfig, HFVideoConfig, TextConfig
from mgn_ma.extractors.hf.network import (
    Inputs,
    frames_of_clip,
    load_encoder,
    load_processor,
    load_tokenizer,
    prepare_audio,
    prepare_frame,
    prepare_image,
    width_of,
)
from mgn_ma.extractors.reading import FramesOfVideo, path_and_duration
from mgn_ma.extractors.texts import CLOCKS, timed_texts
from mgn_ma.extractors.windows import centred_windows, clips, hop_rows
from mgn_ma.media.audio import iter_audio
from mgn_ma.media.geometry import FrameGeometry
from mgn_ma.media.source import VideoSource

_AS_DISPLAYED = FrameGeometry(kind="whole")
_BLANK = np.zeros((64, 64, 3), np.uint8)
_LENGTHS = (16, 32, 64, 128, 256, 512)

ConfigT = TypeVar("ConfigT", bound=EncoderConfig)


class _EncoderExtractor(Extractor, Generic[ConfigT]):
    """A frozen encoder of transformers; a value is what its processor makes of one unit of its input."""

    _unit: ClassVar[str]

    def __init__(self, config: ConfigT) -> None:
        self._config = config
        self._device = resolve_device(config.device)
        self._dtype = dtype_of(config.precision)
        self._need = config.weights_needed()[0]
        encoder = load_encoder(self._need, config.KIND, config.pooling)
        self._main_input = encoder.main_input
        self.width = width_of(encoder, self._blank(encoder), config.KIND)
        self._encoder = place(encoder, self._device, config.precision)
        self._batches = Batches(config.batch_size, self._device, self._unit)

    @abstractmethod
    def _blank(self, encoder: Any) -> Inputs:
        """What is read of something blank; whatever reads it is loaded here."""

    def forward(self, values: Sequence[Any]) -> torch.Tensor:
        """B values to (B, D) float32."""
        return self._encode({name: torch.cat([value[name] for value in values]) for name in values[0]})

    def _encode(self, inputs: Inputs) -> torch.Tensor:
        moved = {
            name: value.to(self._device, self._dtype if value.is_floating_point() else None)
            for name, value in inputs.items()
        }
        with torch.inference_mode():
            vectors: torch.Tensor = self._encoder(**moved)
        return vectors


class HFImageExtractor(_EncoderExtractor[HFImageConfig]):
    """A row holds until the next timestamp of the 6 Hz grid."""

    clock: ClassVar[Clock] = "grid"
    _unit = "frame"

    def _blank(self, encoder: Any) -> Inputs:
        self._prepare = partial(prepare_image, load_processor(self._need, "picture"))
        return self._prepare(_BLANK)

    def extract(self, video: VideoSource) -> TrackRows:
        """One row for each grid timestamp at which a frame is shown."""
        return grid_vectors(video, _AS_DISPLAYED, self.forward, self._batches, self._prepare)


class HFAudioExtractor(_EncoderExtractor[HFAudioConfig]):
    """Row i holds for ``i * hop <= t < (i + 1) * hop``."""

    clock: ClassVar[Clock] = "windows"
    _unit = "window"

    def _blank(self, encoder: Any) -> Inputs:
        processor = load_processor(self._need, "sound")
        self._rate: int = processor.sampling_rate
        self._prepare = partial(prepare_audio, processor)
        return self._prepare(np.zeros(self._config.window_us * self._rate // 1_000_000, np.float32))

    def extract(self, video: VideoSource) -> TrackRows:
        """One row for each hop that begins before the sound ends."""
        if video.video_path is None or not video.has_audio:
            raise ExtractionError("the video has no sound")
        blocks = iter_audio(video.video_path, self._rate)
        windows = centred_windows(blocks, self._rate, self._config.window_us, self._config.hop_us)
        values = (self._prepare(window) for window in windows)
        vectors = vectors_of(values, self.forward, self._batches, lacking="its sound is empty")
        return hop_rows(vectors, self._config.hop_us)


class HFVideoExtractor(_EncoderExtractor[HFVideoConfig]):
    """Row i holds for ``i * hop <= t < (i + 1) * hop``."""

    clock: ClassVar[Clock] = "windows"
    _unit = "clip"

    def _blank(self, encoder: Any) -> Inputs:
        self._prepare = partial(prepare_frame, load_processor(self._need, "clip"))
        self._n_frames = frames_of_clip(encoder)
        return self._clip([self._prepare(_BLANK)] * self._n_frames)

    def extract(self, video: VideoSource) -> TrackRows:
        """One row for each hop that begins before the video ends."""
        hop_us, step_us = self._config.hop_us, self._config.step_us
        _, duration_us = path_and_duration(video)
        half = self._n_frames // 2
        # The middle of the last row may lie after the end.
        edges = (half, half + hop_us // step_us + 1)
        frames = FramesOfVideo(video, _AS_DISPLAYED, step_us, edges, prepare=self._prepare)
        middles_us = takewhile(lambda middle_us: middle_us - hop_us // 2 < duration_us, count(hop_us // 2, hop_us))
        # Frames count from the first one that is repeated, half a clip before t = 0.
        starts = ((middle_us + step_us // 2) // step_us for middle_us in middles_us)
        values = clips(iter(frames), self._n_frames, starts)
        vectors = vectors_of(values, self._forward_clips, self._batches, lacking="its video shows no frame")
        n_rows = len(vectors) if frames.n_shown is None else -(-frames.n_shown * step_us // hop_us)
        return hop_rows(vectors[:n_rows], hop_us)

    def _forward_clips(self, values: Sequence[list[torch.Tensor]]) -> torch.Tensor:
        return self.forward([self._clip(frames) for frames in values])

    def _clip(self, frames: list[torch.Tensor]) -> Inputs:
        return {self._main_input: torch.cat(frames, dim=1)}


class HFTextExtractor(_EncoderExtractor[TextConfig]):
    """Captions: a row holds from a merged cue's start to its end. Title: one row holds for all time."""

    clock: Clock  # type: ignore[misc]
    _unit = "text"

    def __init__(self, config: TextConfig) -> None:
        super().__init__(config)
        self.clock = CLOCKS[config.source]

    def _blank(self, encoder: Any) -> Inputs:
        self._tokenize = load_tokenizer(self._need, self._config.max_tokens)
        return self._tokenize([self._config.prompt + "a"], 0)

    def extract(self, video: VideoSource) -> TrackRows:
        """One row for each merged cue of speech, or for the title; each distinct text goes through the network once."""
        starts_us, ends_us, texts = timed_texts(video, self._config.source)
        if not texts:
            raise ExtractionError("its captions hold no speech")
        vectors: dict[str, npt.NDArray[np.float32]] = {}
        # Texts share a batch with those of their padded length, so that no padding is wasted.
        for _, alike in groupby(sorted(dict.fromkeys(texts), key=self._padded_length), self._padded_length):
            of_length = list(alike)
            found = vectors_of(of_length, self.forward, self._batches, lacking="there is no text")
            vectors |= zip(of_length, found, strict=True)
        return TrackRows(starts_us, ends_us, np.stack([vectors[text] for text in texts]))

    def forward(self, values: Sequence[str]) -> torch.Tensor:
        """B texts to (B, D) float32."""
        length = max(map(self._padded_length, values))
        return self._encode(self._tokenize([self._config.prompt + text for text in values], length))

    def _padded_length(self, text: str) -> int:
        """The least of a few lengths, in tokens, that holds a text and its prompt."""
        needed = self._tokenize([self._config.prompt + text], 0)["input_ids"].shape[1]
        return next((length for length in _LENGTHS if length >= needed), needed)


BertExtractor = HFTextExtractor
