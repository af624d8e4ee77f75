"""timm's image networks without their classifiers, and the pictures that they want, by timm's data configuration."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import timm
import torch
from timm.data.config import resolve_model_data_config
from timm.layers.conv2d_same import Conv2dSame
from timm.layers.conv_bn_act import ConvNormAct
from timm.layers.norm_act import BatchNormAct2d
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from mgn_ma.extractors.pretrained import WeightsError, WeightsNeed
from mgn_ma.extractors.weights import load_strictly, randomise, read_state_dict, verified
from mgn_ma.media.geometry import FrameGeometry


def require_known(name: str) -> None:
    """Refuse the name of a network that this version of timm doesn't have.

    Raises:
        WeightsError: with the names that are nearest.
    """
    known = [*timm.list_models(), *timm.list_models(pretrained=True)]
    if name in known:
        return
    near = get_close_matches(name, known)
    raise WeightsError(
        f"timm {timm.__version__} has no network {name!r}: "
        + (f"is one of {', '.join(near)} meant?" if near else "`timm.list_models()` names those that there are")
    )


def load_network(name: str, need: WeightsNeed) -> nn.Module:
    """The network with its weights; (B, 3, H, W), as :class:`Pictures` has them, to (B, D).

    Raises:
        WeightsError: if timm has no such network, or the weights are absent or don't fit.
    """
    require_known(name)
    if need.pretrained.random is None:
        path = verified(need)
        return from_state(name, read_state_dict(path), path)
    network = _create(name, 0)
    randomise(network, need.pretrained.random)
    return network


def from_state(name: str, state: Mapping[str, Tensor], origin: str | Path) -> nn.Module:
    """The network of a checkpoint, loaded strictly.

    A checkpoint has the classifier that it was trained with, or none; its size is read from the checkpoint, and the
    classifier is taken off after it was loaded like everything else.

    Raises:
        WeightsError: naming every key that is missing, unexpected or of the wrong shape.
    """
    classifiers = getattr(timm.get_pretrained_cfg(name), "classifier", None) or ()
    classifier = classifiers if isinstance(classifiers, str) else next(iter(classifiers), "")
    weight = state.get(f"{classifier}.weight")
    network = _create(name, len(weight) if weight is not None and weight.ndim else 0)
    load_strictly(network, state, origin)
    if weight is not None:
        network.reset_classifier(0)  # type: ignore[operator]
    return network


def _create(name: str, classes: int) -> nn.Module:
    return timm.create_model(name, pretrained=False, num_classes=classes).eval()


@dataclass(frozen=True)
class Pictures:
    """The pictures that a network of timm wants.

    Attributes:
        geometry: how a frame is scaled and cropped.
        mean: (3,) of the colours in [0, 1].
        std: (3,) of the same.
    """

    geometry: FrameGeometry
    mean: Tensor
    std: Tensor

    @classmethod
    def of(cls, network: nn.Module) -> Pictures:
        """As timm evaluates the network.

        Raises:
            WeightsError: it wants pictures that are not square, not in colour, or padded to a square.
        """
        wanted = resolve_model_data_config(network)  # type: ignore[no-untyped-call]
        channels, height, width = wanted["input_size"]
        if channels != 3 or height != width or wanted["crop_mode"] not in ("center", "squash"):
            raise WeightsError(
                f"{type(network).__name__} wants pictures of {channels} x {height} x {width}, cropped by "
                f"{wanted['crop_mode']!r}: only squares in colour, by 'center' or 'squash', are made here"
            )
        geometry = FrameGeometry(
            kind="shorter_side_centre_crop" if wanted["crop_mode"] == "center" else "squash_centre_crop",
            size=height,
            resize=math.floor(height / wanted["crop_pct"]),
            interpolation=wanted["interpolation"],
        )
        return cls(geometry, torch.tensor(wanted["mean"]), torch.tensor(wanted["std"]))

    def normalised(self, frames: Tensor, dtype: torch.dtype) -> Tensor:
        """(B, H, W, 3) uint8 RGB to (B, 3, H, W), less the mean and over std, channels last in memory."""
        mean, std = self.mean.to(frames.device), self.std.to(frames.device)
        scaled = frames.to(torch.float32).div_(255 * std).sub_(mean / std)
        return scaled.to(dtype).permute(0, 3, 1, 2)

    def width_of(self, network: nn.Module) -> int:
        """Length D of the network's vectors.

        Raises:
            WeightsError: what it makes of a picture is no vector.
        """
        with torch.inference_mode():
            made = network(torch.zeros(1, 3, self.geometry.size, self.geometry.size))
        if not isinstance(made, Tensor) or made.ndim != 2:
            shape = tuple(made.shape[1:]) if isinstance(made, Tensor) else type(made).__name__
            raise WeightsError(
                f"{type(network).__name__} makes {shape} of a picture, not a vector: take another network"
            )
        return made.shape[1]


def fold_batch_norms(network: nn.Module) -> None:
    """Fold batch norms into the convolutions before them, in place: the same function with fewer passes over memory.

    It is exact but for rounding (relative L2 about 3e-7 in float32). Only for a network that is not trained any more,
    and only where timm keeps the two in one block; elsewhere nothing says that one follows the other.
    """
    for block in network.modules():
        # A subclass of a convolution may change its weights in every pass.
        if isinstance(block, ConvNormAct) and type(block.conv) in (nn.Conv2d, Conv2dSame):
            norm = block.bn
            if not isinstance(norm, BatchNormAct2d) or norm.running_mean is None or norm.running_var is None:
                continue
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
