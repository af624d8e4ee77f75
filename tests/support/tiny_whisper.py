"""A tiny untrained Whisper with a tokenizer of single bytes, saved to a folder as a repository has it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import AddedToken
from tokenizers.pre_tokenizers import ByteLevel

LANGUAGES = ("<|en|>", "<|de|>")
SPECIAL = ("<|endoftext|>", "<|startoftranscript|>", *LANGUAGES, "<|translate|>", "<|transcribe|>", "<|startoflm|>",
           "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>")  # fmt: skip
N_TIMESTAMPS = 1501
LONGEST = 16


def save_tiny_whisper(folder: Path, *, multilingual: bool = True) -> Path:
    """The same weights each time."""
    letters = sorted(ByteLevel.alphabet())
    tokenizer = transformers.WhisperTokenizer(vocab={letter: k for k, letter in enumerate(letters)}, merges=[])
    times = [AddedToken(f"<|{k * 0.02:.2f}|>", special=False) for k in range(N_TIMESTAMPS)]
    tokenizer.add_tokens([AddedToken(name, special=True) for name in SPECIAL] + times)
    ids = {name: tokenizer.convert_tokens_to_ids(name) for name in SPECIAL}
    end, start = ids["<|endoftext|>"], ids["<|startoftranscript|>"]
    common: dict[str, Any] = {"eos_token_id": end, "bos_token_id": end, "pad_token_id": end}
    common |= {"decoder_start_token_id": start}
    config = transformers.WhisperConfig(
        vocab_size=len(tokenizer), d_model=16, encoder_layers=1, encoder_attention_heads=2, encoder_ffn_dim=32,
        decoder_layers=1, decoder_attention_heads=2, decoder_ffn_dim=32, max_target_positions=LONGEST, init_std=0.5,
        suppress_tokens=None, begin_suppress_tokens=None, **common,
    )  # fmt: skip
    several = {"lang_to_id": {name: ids[name] for name in LANGUAGES}}
    several |= {"task_to_id": {task: ids[f"<|{task}|>"] for task in ("transcribe", "translate")}}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = transformers.WhisperForConditionalGeneration(config)
    model.generation_config = transformers.GenerationConfig(
        max_length=LONGEST,
        is_multilingual=multilingual,
        no_timestamps_token_id=ids["<|notimestamps|>"],
        prev_sot_token_id=ids["<|startofprev|>"],
        max_initial_timestamp_index=50,
        **common | (several if multilingual else {}),
    )
    for part in (model, tokenizer, transformers.WhisperFeatureExtractor()):
        part.save_pretrained(folder)
    return folder
