"""Whisper of transformers, which recognises the speech."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from transformers import AutoProcessor, WhisperForConditionalGeneration, WhisperProcessor
from transformers.utils import logging as transformers_logging

from mgn_ma.extractors.device import dtype_of, is_out_of_memory, place, release_memory, resolve_device
from mgn_ma.extractors.hf.network import UNLOADABLE, in_a_line, require_known
from mgn_ma.extractors.pretrained import WeightsError
from mgn_ma.extractors.weights import read_state_dict, verified
from mgn_ma.media.audio import Samples
from mgn_ma.media.subtitles import Cue
from mgn_ma.transcription.config import TranscriptionConfig
from mgn_ma.transcription.speech import SAMPLE_RATE, Segment, transcribe

TEMPERATURES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
LOGPROB_THRESHOLD = -1.0
COMPRESSION_RATIO_THRESHOLD = 1.35
"""Sampling gets warmer where a window's words are unlikely or repeat themselves (the Whisper paper, section 4.5)."""


def make_transcribe(config: TranscriptionConfig) -> Callable[[str], list[Cue]]:
    """Load Whisper, and give the function of a video's path to its cues.

    Raises:
        WeightsError: a file is absent, is no Whisper, or doesn't know the language.
        DeviceError: the device isn't there, or too small.
    """
    return partial(transcribe, recognise=WhisperRecogniser(config))


class WhisperRecogniser:
    """Whisper with its processor, on its device."""

    def __init__(self, config: TranscriptionConfig) -> None:
        model: Any
        model, self._processor = load_whisper(config)
        self._device, self._dtype = resolve_device(config.device), dtype_of(config.precision)
        self._model = place(model, self._device, config.precision)
        self._first_after_words: int = model.generation_config.no_timestamps_token_id
        self._settings: dict[str, Any] = {
            "return_timestamps": True,
            "return_segments": True,
            "temperature": TEMPERATURES,
            "logprob_threshold": LOGPROB_THRESHOLD,
            "compression_ratio_threshold": COMPRESSION_RATIO_THRESHOLD,
            "no_speech_threshold": config.no_speech_threshold,
            # What was misheard once would be repeated.
            "condition_on_prev_tokens": False,
        }
        if _is_multilingual(model):
            self._settings |= {"language": config.language, "task": "transcribe"}

    def __call__(self, samples: Samples) -> list[Segment]:
        """What is said; the same for the same samples, also where sampling is warm.

        Raises:
            MemoryError: the device's memory doesn't suffice.
        """
        features = self._processor.feature_extractor(
            samples, sampling_rate=SAMPLE_RATE, truncation=False, padding="longest", return_tensors="pt"
        ).input_features
        devices = [self._device] if self._device.type == "cuda" else []
        try:
            with torch.random.fork_rng(devices=devices), torch.inference_mode():
                torch.manual_seed(0)
                found = self._model.generate(features.to(self._device, self._dtype), **self._settings)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            release_memory(self._device)
            raise MemoryError(f"{self._device} has too little memory for {type(self._model).__name__}") from error
        return [
            Segment(float(segment["start"]), float(segment["end"]), self._text(segment["tokens"].tolist()))
            for segment in found["segments"][0]
        ]

    def _text(self, tokens: list[int]) -> str:
        words = [token for token in tokens if token < self._first_after_words]
        return str(self._processor.tokenizer.decode(words, skip_special_tokens=True))


def load_whisper(config: TranscriptionConfig) -> tuple[WhisperForConditionalGeneration, WhisperProcessor]:
    """Whisper on the CPU in float32, from local files only and without code of theirs, and what prepares its input.

    Raises:
        WeightsError: a file is absent, is no Whisper, or doesn't know the language.
    """
    weights = verified(config.weights_needed()[0])
    if weights.suffix == ".bin":
        # Only for its refusal of pickled code, in our words.
        read_state_dict(weights)
    directory = weights.parent
    require_known(directory)
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    # Its own way of calling its own method is deprecated, and it says so.
    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    local: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    model_class: Any = WhisperForConditionalGeneration
    processor_class: Any = AutoProcessor
    try:
        model, report = model_class.from_pretrained(directory, dtype=torch.float32, output_loading_info=True, **local)
        processor = processor_class.from_pretrained(directory, **local)
    except UNLOADABLE as error:
        raise WeightsError(f"{directory} can't be loaded as Whisper: {in_a_line(error)}") from error
    unfit = sorted({*report["missing_keys"], *report["unexpected_keys"], *map(str, report["mismatched_keys"])})
    if model.config.model_type != "whisper" or not isinstance(processor, WhisperProcessor) or unfit:
        raise WeightsError(f"{directory} is no Whisper: {', '.join(unfit[:5]) or model.config.model_type}")
    _require_language(model, config.language, str(directory))
    return model.eval(), processor


def _require_language(model: WhisperForConditionalGeneration, language: str, place: str) -> None:
    settings: Any = model.generation_config
    if not hasattr(settings, "no_timestamps_token_id"):
        raise WeightsError(f"{place} has no timestamps: its generation_config.json names no no_timestamps_token_id")
    known = getattr(settings, "lang_to_id", {}) if _is_multilingual(model) else {"<|en|>": 0}
    if f"<|{language}|>" not in known:
        names = ", ".join(sorted(name.strip("<|>") for name in known))
        raise WeightsError(f"{place} doesn't know transcription.language {language!r}, only {names}")


def _is_multilingual(model: WhisperForConditionalGeneration) -> bool:
    return bool(getattr(model.generation_config, "is_multilingual", True))
