"""timm's Inception-ResNet-v2 without its classifier: 299 x 299 RGB to the 1536-D vector before it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast

import timm
import torch
from timm.layers.conv_bn_act import ConvNormAct
from timm.models.inception_resnet_v2 import InceptionResnetV2
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from mgn_ma.extractors.pretrained import WeightsNeed
from mgn_ma.extractors.weights import load_strictly, randomise, read_state_dict, verified

WIDTH = 1536
INPUT_SIZE = 299
RESIZE_SHORTER = 333
"""299 / 0.8975, rounded down, as in the evaluation of the pretrained network."""

_CLASSIFIER = "classif.weight"


def load_network(need: WeightsNeed) -> nn.Module:
    """The network with its weights; (B, 3, 299, 299) in [-1, 1] to (B, 1536).

    Raises:
        WeightsError: if the weights are absent or don't fit.
    """
    if need.pretrained.random is None:
        path = verified(need)
        return from_state(read_state_dict(path), path)
    network = _create(0)
    randomise(network, need.pretrained.random)
    return network


def from_state(state: Mapping[str, Tensor], origin: str | Path) -> nn.Module:
    """The network of a checkpoint, loaded strictly.

    A checkpoint has the classifier that it was trained with, or none; its size is read from the checkpoint, and the
    classifier is taken off after it was loaded like everything else.

    Raises:
        WeightsError: naming every key that is missing, unexpected or of the wrong shape.
    """
    classes = len(state[_CLASSIFIER]) if _CLASSIFIER in state and state[_CLASSIFIER].ndim else 0
    network = _create(classes)
    load_strictly(network, state, origin)
    network.reset_classifier(0)
    return network


def _create(classes: int) -> InceptionResnetV2:
    network = timm.create_model("inception_resnet_v2", pretrained=False, num_classes=classes).eval()
    return cast(InceptionResnetV2, network)


def fold_batch_norms(network: nn.Module) -> None:
    """Fold every batch norm into the convolution before it, in place: the same function with fewer passes over memory.

    It is exact but for rounding (relative L2 about 3e-7 in float32). Only for a network that is not trained any more.
    """
    for block in network.modules():
        if isinstance(block, ConvNormAct):
            norm = block.bn
            weight, bias = fuse_conv_bn_weights(
                block.conv.weight,
                block.conv.bias,
                norm.running_mean,
                norm.running_var,
                norm.eps,
                norm.weight,
                norm.bias,
            )
            block.conv.weight, block.conv.bias = weight, bias
            # timm's norm holds the activation that follows it.
            block.bn = norm.act


def preprocess(frames: Tensor, dtype: torch.dtype) -> Tensor:
    """(B, 299, 299, 3) uint8 RGB to (B, 3, 299, 299) in [-1, 1] (mean and std 0.5), channels last in memory."""
    scaled = frames.to(torch.float32).div_(127.5).sub_(1.0)
    return scaled.to(dtype).permute(0, 3, 1, 2)
