"""Encoders of transformers and what prepares their input, loaded from local files only and without code of theirs."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
import transformers
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import AutoFeatureExtractor, AutoImageProcessor, AutoModel, AutoTokenizer, AutoVideoProcessor
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.utils import logging as transformers_logging

from mgn_ma.extractors.hf.config import Kind, Pooling
from mgn_ma.extractors.hf.words import HashedWords
from mgn_ma.extractors.pretrained import WeightsError, WeightsNeed
from mgn_ma.extractors.weights import read_state_dict, verified

Inputs = dict[str, Tensor]
"""What a processor makes of B values, by the names of the encoder's arguments."""
Tokenize = Callable[[Sequence[str], int], Inputs]
"""B texts and a least length to ``input_ids`` and ``attention_mask``, each (B, L) int64."""

_PROCESSORS: dict[Kind, Any] = {
    "picture": AutoImageProcessor,
    "sound": AutoFeatureExtractor,
    "clip": AutoVideoProcessor,
}
_FEATURES: dict[Kind, tuple[str, ...]] = {
    "picture": ("get_image_features",),
    "sound": ("get_audio_features", "get_audio_embeds"),
    "text": ("get_text_features",),
    "clip": ("get_video_features",),
}
"""Methods of models of several kinds of input, by whichever name."""
UNLOADABLE = (OSError, ValueError, RuntimeError, KeyError, AttributeError, TypeError, ImportError, SafetensorError)
"""What transformers raises for files that don't fit, in no particular order."""

_MASKS = ("attention_mask", "padding_mask")
"""Ends of names of what tells padding: 1 where there is none."""
_POOLER = re.compile(r"^(\w+\.)?pooler\.")
_UNUSED = re.compile(r"(^|\.)(position_ids|masked_spec_embed|mask_token)$")
"""Tensors of training, or that libraries wrote once and make by themselves now."""


class Encoder(nn.Module):
    """A model of transformers as a function of one kind of input to vectors.

    Args:
        model: as ``AutoModel`` makes it.
        kind: of input.
        pooling: of the last layer.
    """

    def __init__(self, model: nn.Module, kind: Kind, pooling: Pooling) -> None:
        super().__init__()
        # Of a model of several kinds of input: the tower, and a projection into the space that they share.
        self._method = next((name for name in _FEATURES[kind] if hasattr(model, name)), "forward")
        has_decoder = self._method == "forward" and getattr(model.config, "is_encoder_decoder", False)
        self.model: nn.Module = model.get_encoder() if has_decoder else model  # type: ignore[operator]
        self._pooling = pooling
        # A set, and not the mapping: a network has to be one that can be copied.
        self._takes = frozenset(inspect.signature(getattr(self.model, self._method)).parameters)

    @property
    def main_input(self) -> str:
        """The name of the argument that holds what is seen, heard or read."""
        return str(self.model.main_input_name)

    def forward(self, **inputs: Tensor) -> Tensor:
        """What the processor makes of B values, to (B, D) float32."""
        arguments: dict[str, Any] = {name: value for name, value in inputs.items() if name in self._takes}
        if "skip_predictor" in self._takes:
            # V-JEPA 2 would go on to predict what is masked, and nothing is.
            arguments["skip_predictor"] = True
        output = getattr(self.model, self._method)(**arguments)
        if self._pooling == "pooled":
            return cast(Tensor, output if isinstance(output, Tensor) else output.pooler_output).flatten(1).float()
        mask = next((value for name, value in inputs.items() if name.endswith(_MASKS)), None)
        return pool(output.last_hidden_state, mask, self._pooling)


def pool(hidden: Tensor, mask: Tensor | None, pooling: Pooling) -> Tensor:
    """(B, L, D) of the last layer to (B, D) float32: the mean over tokens, the first, or the last one.

    Args:
        hidden: of the last layer.
        mask: (B, M), what of the input is no padding; if M is not L, the same share of the tokens counts. Without one,
            all do.
        pooling: which.
    """
    batch, length, _ = hidden.shape
    kept = torch.ones(batch, length, device=hidden.device) if mask is None else mask.float()
    if kept.shape[1] != length:
        n_kept = torch.ceil(kept.sum(1, keepdim=True) * length / kept.shape[1])
        kept = (torch.arange(length, device=hidden.device) < n_kept).float()
    if pooling == "mean":
        weights = kept.unsqueeze(2)
        return (hidden.float() * weights).sum(1) / weights.sum(1)
    # Padding may be on either side.
    position = kept.argmax(1) if pooling == "cls" else length - 1 - kept.flip(1).argmax(1)
    return hidden[torch.arange(batch, device=hidden.device), position].float()


def load_encoder(need: WeightsNeed, kind: Kind, pooling: Pooling) -> Encoder:
    """The encoder with its weights, of which all that it computes with must be in the checkpoint.

    Raises:
        WeightsError: if files are absent or don't fit, transformers doesn't know the architecture, or it needs code.
    """
    if need.pretrained.random is not None:
        # From the library's own initialisation: that of a transformer keeps the signal alive by itself.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(need.pretrained.random)
            model: nn.Module = transformers.BertModel(transformers.BertConfig(), add_pooling_layer=False)
        return Encoder(model.eval(), kind, pooling)
    weights = verified(need)
    if weights.suffix == ".bin":
        # Only for its refusal of pickled code, in our words.
        read_state_dict(weights)
    require_known(weights.parent)
    model, report = _from_directory(weights.parent)
    unfit = {
        "missing": [key for key in report["missing_keys"] if pooling == "pooled" or not _POOLER.search(key)],
        "unexpected": [key for key in report["unexpected_keys"] if _is_inside(key, model)],
    }
    complaints = [
        f"{what} {', '.join(left[:5])}"
        for what, keys in unfit.items()
        if (left := sorted(key for key in keys if not _UNUSED.search(key)))
    ]
    if complaints:
        raise WeightsError(f"{weights} does not fit {type(model).__name__}: {'; '.join(complaints)}")
    return Encoder(model.eval(), kind, pooling)


def _is_inside(key: str, model: nn.Module) -> bool:
    """Whether a key is of a part that the encoder has; what stands beside the encoder is a head for its training."""
    parts = {name for name, _ in model.named_children()} - {"pooler"}
    return key.partition(".")[0] in {*parts, model.base_model_prefix}


def require_known(directory: Path) -> None:
    """Refuse an architecture that transformers doesn't have, or that needs code of its own.

    Raises:
        WeightsError: with what is near to it.
    """
    try:
        settings = json.loads((directory / "config.json").read_text(encoding="utf-8"))
        kind = str(settings.get("model_type"))
    except (ValueError, AttributeError) as error:
        raise WeightsError(f"{directory / 'config.json'} is no configuration of transformers: {error}") from error
    if kind in CONFIG_MAPPING:
        return
    if "auto_map" in settings:
        raise WeightsError(f"{directory} needs code of its own ({kind}), which is refused and not run: take another")
    near = get_close_matches(kind, list(CONFIG_MAPPING))
    raise WeightsError(
        f"{directory}: transformers {transformers.__version__} has no model type {kind!r}"
        + (f": is one of {', '.join(near)} meant?" if near else "; a later version may have it")
    )


def _from_directory(directory: Path) -> tuple[nn.Module, dict[str, Any]]:
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        network, report = AutoModel.from_pretrained(
            directory,
            local_files_only=True,
            trust_remote_code=False,
            dtype=torch.float32,
            output_loading_info=True,
        )
    except UNLOADABLE as error:
        raise WeightsError(f"{directory} can't be loaded as an encoder: {in_a_line(error)}") from error
    return network, report


def in_a_line(error: Exception) -> str:
    """The first sentence: what follows lists everything that transformers knows, or advises to run code."""
    return " ".join(str(error).split()).partition(". ")[0][:300]


def load_processor(need: WeightsNeed, kind: Kind) -> Any:
    """What transformers prepares images, sound or clips of frames with for this encoder.

    Raises:
        WeightsError: if there is none for that kind of input.
    """
    directory = verified(need).parent
    try:
        processor = _PROCESSORS[kind].from_pretrained(directory, local_files_only=True, trust_remote_code=False)
    except UNLOADABLE as error:
        raise WeightsError(f"{directory} prepares no {kind}: {in_a_line(error)}") from error
    if kind == "sound" and not hasattr(processor, "sampling_rate"):
        raise WeightsError(f"{directory} prepares no sound: {type(processor).__name__} has no sampling rate")
    return processor


def prepare_image(processor: Any, frame: npt.NDArray[np.uint8]) -> Inputs:
    """(H, W, 3) uint8 RGB to the inputs of one image."""
    return dict(processor(images=frame, return_tensors="pt"))


def prepare_audio(processor: Any, samples: npt.NDArray[np.float32]) -> Inputs:
    """(N,) samples at the processor's rate to the inputs of one window."""
    settings = {"sampling_rate": processor.sampling_rate, "return_tensors": "pt"}
    if "return_attention_mask" in inspect.signature(processor.__call__).parameters:
        settings["return_attention_mask"] = True
    return dict(processor(samples, **settings))


def prepare_frame(processor: Any, frame: npt.NDArray[np.uint8]) -> Tensor:
    """(H, W, 3) uint8 RGB to (1, 1, 3, H', W'): a clip of one frame, of which longer ones are made."""
    made = processor(videos=[frame[None]], return_tensors="pt", do_sample_frames=False)
    return cast(Tensor, next(iter(made.values())))


def frames_of_clip(encoder: Encoder) -> int:
    """How many frames the encoder takes.

    Raises:
        WeightsError: if its configuration doesn't tell.
    """
    settings = encoder.model.config
    for name in ("num_frames", "frames_per_clip"):
        if isinstance(count := getattr(settings, name, None), int):
            return count
    raise WeightsError(f"{type(encoder.model).__name__} tells no number of frames: that is no encoder of clips")


def width_of(encoder: Encoder, inputs: Mapping[str, Tensor], kind: Kind) -> int:
    """Length of the encoder's vectors, by trying it on something blank.

    Raises:
        WeightsError: if it makes no vector of that kind of input.
    """
    try:
        with torch.inference_mode():
            return int(encoder(**inputs).shape[1])
    except (*UNLOADABLE, IndexError) as error:
        name = type(encoder.model).__name__
        raise WeightsError(
            f"{name} makes no vector of {kind} by this pooling: {in_a_line(error)}; set another `pooling` or encoder"
        ) from error


def load_tokenizer(need: WeightsNeed, max_tokens: int) -> Tokenize:
    """The tokenizer that belongs to the encoder, or, for random weights, one that needs no vocabulary.

    Raises:
        WeightsError: if its files are absent or damaged.
    """
    if need.pretrained.random is not None:
        return HashedWords(transformers.BertConfig().vocab_size, max_tokens)
    directory = verified(need).parent
    try:
        tokenizer = AutoTokenizer.from_pretrained(directory, local_files_only=True, trust_remote_code=False)
    except UNLOADABLE as error:
        raise WeightsError(f"{directory} has no tokenizer that can be loaded: {in_a_line(error)}") from error
    if tokenizer.pad_token is None:
        raise WeightsError(f"the tokenizer in {directory} has no padding token: that is no BERT-like encoder")
    limit = min(max_tokens, tokenizer.model_max_length)
    names = [name for name in ("input_ids", "attention_mask") if name in tokenizer.model_input_names]
    # Without a mask an encoder was trained to read the padding, as SigLIP was: always to its full length.
    least = 0 if "attention_mask" in names else limit

    def tokenize(texts: Sequence[str], length: int) -> Inputs:
        encoded = tokenizer(list(texts), truncation=True, max_length=limit)
        longest = max(min(length, limit), least, *map(len, encoded["input_ids"]))
        # max_length is of the padding here: the texts were cut already.
        padded = tokenizer.pad(encoded, padding="max_length", max_length=longest, return_tensors="pt")
        return {name: padded[name] for name in names}

    return tokenize
