"""The examples of docs/encoders.md, run as they stand there on repositories in the hub's local cache."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import huggingface_hub.constants
import pytest
import timm
import torch
import transformers
import yaml
from safetensors.torch import save_file
from tiny_encoders import MODELS, SHAPE, save_with_tokenizer

from mgn_ma.extractors.registry import build
from mgn_ma.extractors.weights import randomise, require_weights
from mgn_ma.features.settings import Modalities
from mgn_ma.media.source import VideoSource

PAGE = Path(__file__).parents[2] / "docs/encoders.md"
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
EXAMPLES = [yaml.safe_load(block)["modalities"] for block in BLOCKS]
KINDS = ["timm_image", "hf_image", "hf_audio", "hf_text", "hf_video"]
SIGLIP = "vit_base_patch16_siglip_224.v2_webli"


def save_siglip(folder: Path) -> None:
    network = timm.create_model(SIGLIP)
    randomise(network, 0)
    save_file(network.state_dict(), folder / "model.safetensors")


def save_bert(folder: Path) -> None:
    save_with_tokenizer(transformers.BertModel(transformers.BertConfig(vocab_size=30522, **SHAPE)), folder)


REPOSITORIES: dict[str, Callable[[Path], object]] = {
    f"timm/{SIGLIP}": save_siglip,
    "facebook/dinov2-small": MODELS["vit"],
    "laion/clap-htsat-unfused": MODELS["clap"],
    "intfloat/multilingual-e5-small": save_bert,
    "MCG-NJU/videomae-base": MODELS["videomae"],
}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts a repository into a cache of its own, as the pipeline `weights` leaves it there."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))

    def fetch(repository: str) -> None:
        at = tmp_path / f"models--{repository.replace('/', '--')}"
        (at / "snapshots/0123").mkdir(parents=True)
        (at / "refs").mkdir()
        (at / "refs/main").write_text("0123")
        torch.manual_seed(0)
        REPOSITORIES[repository](at / "snapshots/0123")

    return fetch


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES, ids=KINDS)
def test_an_example_runs_as_it_stands(
    example: dict[str, dict[str, object]], hub: Callable[[str], None], short_video: VideoSource
) -> None:
    configs = Modalities.model_validate(example).configs()
    assert set(configs) == set(example)
    for repository in {config.pretrained.hub for config in configs.values()}:
        hub(repository)
    require_weights(configs)
    for config in configs.values():
        extractor = build(config)
        rows = extractor.extract(short_video)
        assert len(rows)
        assert rows.vectors.shape[1] == extractor.width


def test_every_kind_has_an_example() -> None:
    assert [{entry["extractor"] for entry in example.values()} for example in EXAMPLES] == [{kind} for kind in KINDS]
