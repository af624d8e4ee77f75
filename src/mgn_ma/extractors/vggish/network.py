"""VGGish (Hershey et al., ICASSP 2017): log-mel patches of 96 x 64 to 128-D, in the layout of its torch checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from mgn_ma.extractors.pretrained import WeightsError, WeightsNeed
from mgn_ma.extractors.weights import load_strictly, randomise, read_state_dict, verified

WIDTH = 128

_PCA_PREFIX = "pproc."
_CLIP = 2.0
_LEVELS = 255.0


class VGGish(nn.Module):
    """Six convolutions and three linear layers.

    Args:
        final_relu: whether a ReLU follows the last linear layer.
    """

    def __init__(self, *, final_relu: bool) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *_convolution(1, 64),
            nn.MaxPool2d(2),
            *_convolution(64, 128),
            nn.MaxPool2d(2),
            *_convolution(128, 256),
            *_convolution(256, 256),
            nn.MaxPool2d(2),
            *_convolution(256, 512),
            *_convolution(512, 512),
            nn.MaxPool2d(2),
        )
        self.embeddings = nn.Sequential(
            nn.Linear(6 * 4 * 512, 4096),
            nn.ReLU(inplace=True),
            nn.Linear(4096, 4096),
            nn.ReLU(inplace=True),
            nn.Linear(4096, WIDTH),
            nn.ReLU(inplace=True) if final_relu else nn.Identity(),
        )

    def forward(self, patches: Tensor) -> Tensor:
        """(B, 1, 96, 64) log-mel energies to (B, 128)."""
        maps = self.features(patches)  # (B, 512, 6, 4)
        # The linear layer was trained on height, width, channel order.
        flat = maps.permute(0, 2, 3, 1).flatten(1)  # (B, 12288)
        embedding: Tensor = self.embeddings(flat)  # (B, 128)
        return embedding


class Postprocessor(nn.Module):
    """Whitening PCA and 8-bit quantisation of the released AudioSet embeddings: ``P (e - mean)``, clipped to [-2, 2].

    Always in float32, or the rounding would jump; new, it is the identity but for clipping and quantisation.
    """

    pca_eigen_vectors: Tensor
    pca_means: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("pca_eigen_vectors", torch.eye(WIDTH))
        self.register_buffer("pca_means", torch.zeros(WIDTH, 1))

    def forward(self, embedding: Tensor) -> Tensor:
        """(B, 128) to (B, 128) float32, whole numbers from 0 to 255."""
        whitened = (embedding.float() - self.pca_means.squeeze(1)) @ self.pca_eigen_vectors.T
        return torch.round((whitened.clamp(-_CLIP, _CLIP) + _CLIP) * (_LEVELS / (2 * _CLIP)))


def _convolution(inputs: int, outputs: int) -> tuple[nn.Module, nn.Module]:
    return nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(inplace=True)


def load_network(
    need: WeightsNeed, need_of_pca: WeightsNeed | None = None, *, final_relu: bool, postprocess: bool
) -> tuple[VGGish, Postprocessor | None]:
    """The network and, if wanted, what follows it, with their weights, loaded strictly.

    A checkpoint holds the network alone, or also the parameters of the PCA (``pproc.*``); nothing else, nothing less.
    A file that is configured for the PCA goes before those of the checkpoint.

    Raises:
        WeightsError: if weights are absent or don't fit, or if the PCA is asked for and nobody has its parameters.
    """
    network, postprocessor = VGGish(final_relu=final_relu).eval(), Postprocessor()
    if need.pretrained.random is not None:
        randomise(network, need.pretrained.random)
        has_pca = True
    else:
        path = verified(need)
        has_pca = fill(network, postprocessor, read_state_dict(path), path)
    if need_of_pca is not None and need_of_pca.pretrained.random is None:
        path = verified(need_of_pca)
        load_strictly(postprocessor, _as_column(read_state_dict(path)), path)
    elif postprocess and not has_pca:
        raise WeightsError(f"postprocess needs PCA parameters: {need.place} has none, and pca names no file")
    return network, postprocessor if postprocess else None


def fill(network: VGGish, postprocessor: Postprocessor, state: Mapping[str, Tensor], origin: str | Path) -> bool:
    """Load a checkpoint strictly, in place; returns whether it had the parameters of the PCA too.

    Raises:
        WeightsError: naming every key that is missing, unexpected or of the wrong shape in the part that doesn't fit.
    """
    pca = {key.removeprefix(_PCA_PREFIX): tensor for key, tensor in state.items() if key.startswith(_PCA_PREFIX)}
    load_strictly(network, {key: state[key] for key in state if not key.startswith(_PCA_PREFIX)}, origin)
    if pca:
        load_strictly(postprocessor, pca, origin)
    return bool(pca)


def _as_column(pca: Mapping[str, Tensor]) -> dict[str, Tensor]:
    # The published file has the means as a vector, the checkpoint of the whole network as a column.
    return {key: value.reshape(-1, 1) if key == "pca_means" else value for key, value in pca.items()}
