"""Settings of the Inception-ResNet-v2 extractor, and where its weights are published."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import PositiveInt

from mgn_ma.extractors.pretrained import NetworkConfig, Pretrained, PublicWeights, WeightsNeed, need_of

if TYPE_CHECKING:
    from torch import nn

PUBLIC = PublicWeights(
    title="Inception-ResNet-v2 trained on ImageNet-1k (inception_resnet_v2.tf_in1k)",
    source="timm, on the Hugging Face hub",
    licence="Apache-2.0",
    size_bytes=224_000_000,
    files=("model.safetensors",),
    hub="timm/inception_resnet_v2.tf_in1k",
)


class InceptionResnetV2Config(NetworkConfig):
    """Settings of :class:`~mgn_ma.extractors.inception_resnet_v2.extractor.InceptionResnetV2Extractor`."""

    name: Literal["inception_resnet_v2"] = "inception_resnet_v2"
    batch_size: PositiveInt = 16
    pretrained: Pretrained = Pretrained(hub="timm/inception_resnet_v2.tf_in1k")

    def weights_needed(self) -> tuple[WeightsNeed, ...]:
        """Its one file."""
        return (need_of(self.name, "network", self.pretrained, PUBLIC),)

    def load(self) -> nn.Module:
        """The network on the CPU with its weights; see :meth:`NetworkConfig.load`."""
        from mgn_ma.extractors.inception_resnet_v2.network import load_network

        return load_network(self.weights_needed()[0])
