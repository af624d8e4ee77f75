"""Settings of the Inception-ResNet-v2 extractor, and where its weights are published."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import PositiveInt

from mgn_ma.extractors.base import Source
from mgn_ma.extractors.pretrained import NetworkConfig, Pretrained, PublicWeights

if TYPE_CHECKING:
    from torch import nn

WEIGHTS = PublicWeights(
    title="Inception-ResNet-v2 trained on ImageNet-1k by timm, on the Hugging Face hub",
    licence="Apache-2.0",
    megabytes=224,
    files=("model.safetensors",),
    hub="timm/inception_resnet_v2.tf_in1k",
)


class InceptionResnetV2Config(NetworkConfig):
    """Settings of :class:`~mgn_ma.extractors.inception_resnet_v2.extractor.InceptionResnetV2Extractor`."""

    source: ClassVar[Source] = "video"
    PUBLIC: ClassVar = {"pretrained": WEIGHTS}

    name: Literal["inception_resnet_v2"] = "inception_resnet_v2"
    batch_size: PositiveInt = 16
    pretrained: Pretrained = Pretrained(hub="timm/inception_resnet_v2.tf_in1k")

    def load(self) -> nn.Module:
        """The network on the CPU with its weights; see :meth:`NetworkConfig.load`."""
        from mgn_ma.extractors.inception_resnet_v2.network import load_network

        return load_network(self.weights_needed()[0])
