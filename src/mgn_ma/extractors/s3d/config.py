"""Settings of the S3D extractor, and what is known of its weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, PositiveInt

from mgn_ma.extractors.base import Source
from mgn_ma.extractors.pretrained import FrameNetworkConfig, PublicWeights

if TYPE_CHECKING:
    from mgn_ma.extractors.s3d.network import S3D

WEIGHTS = PublicWeights(
    title="S3D with self-gating, trained with MIL-NCE on HowTo100M, by github.com/antoine77340/S3D_HowTo100M",
    licence="its code is Apache-2.0, the weights come without a licence of their own",
    megabytes=125,
    files=("s3d_howto100m.pth|model.safetensors",),
    note=(
        "its old address at INRIA is reported dead since June 2024, so look for a copy and give its sha256 once you "
        "trust it; the S3D of torchvision is another network and no substitute"
    ),
)


class S3DConfig(FrameNetworkConfig):
    """Action features, 512-D: 32 frames at 10 fps around each timestamp of the 6 Hz grid (paper, section 2.1.2).

    Attributes:
        batch_size: windows that go through the network at a time; a large GPU takes 32 and more.
        edge: what stands in for frames before the first and after the last one: the nearest frame again, or black.
        stride: how many timestamps of the grid from one window to the next; rows between them lie on straight lines.
    """

    source: ClassVar[Source] = "video"
    PUBLIC: ClassVar = {"pretrained": WEIGHTS}

    name: Literal["s3d"] = "s3d"
    batch_size: PositiveInt = 4
    edge: Literal["repeat", "zeros"] = "repeat"
    # Left out of the fingerprint where it changes nothing: tracks of before it was there stay what they are.
    stride: PositiveInt = Field(default=1, exclude_if=lambda stride: stride == 1)

    def load(self) -> S3D:
        """The plain network on the CPU with its weights; see :meth:`NetworkConfig.load`."""
        from mgn_ma.extractors.s3d.network import load_network

        return load_network(self.weights_needed()[0])
