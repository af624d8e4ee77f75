"""Settings of the extractors by timm's image networks, and where their weights are published."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import PositiveInt, model_validator

from mgn_ma.extractors.base import Source
from mgn_ma.extractors.pretrained import FrameNetworkConfig, Pretrained, PublicWeights

if TYPE_CHECKING:
    from torch import nn

WEIGHTS = PublicWeights(
    title="a checkpoint of the network in timm's names",
    licence="see its page",
    megabytes=None,
    files=("model.safetensors|pytorch_model.bin",),
    note="leave `pretrained` out, and timm's own can be fetched",
)
INCEPTION_RESNET_V2 = PublicWeights(
    title="Inception-ResNet-v2 trained on ImageNet-1k by timm, on the Hugging Face hub",
    licence="Apache-2.0",
    megabytes=224,
    files=("model.safetensors",),
    hub="timm/inception_resnet_v2.tf_in1k",
)


class TimmConfig(FrameNetworkConfig):
    """What the settings of every network of timm have in common.

    Attributes:
        network: its name in timm, which may end with what it was trained on, ``tf_efficientnet_lite0.in1k``.
    """

    source: ClassVar[Source] = "video"
    network: ClassVar[str]

    batch_size: PositiveInt = 16

    def check(self) -> None:
        """See :meth:`NetworkConfig.check`."""
        from mgn_ma.extractors.timm_image.network import require_known

        require_known(self.network)

    def load(self) -> nn.Module:
        """The network on the CPU with its weights; see :meth:`NetworkConfig.load`."""
        from mgn_ma.extractors.timm_image.network import load_network

        return load_network(self.network, self.weights_needed()[0])


class TimmImageConfig(TimmConfig):
    """Any network of timm that makes a vector of a picture.

    Attributes:
        pretrained: its checkpoint; if nothing is said, the hub repository that timm has for its name.
    """

    PUBLIC: ClassVar = {"pretrained": WEIGHTS}

    name: Literal["timm_image"] = "timm_image"
    network: str  # type: ignore[misc]

    @model_validator(mode="before")
    @classmethod
    def _timms_own(cls, settings: Any) -> Any:
        if not isinstance(settings, Mapping) or "network" not in settings or "pretrained" in settings:
            return settings
        return {**settings, "pretrained": {"hub": f"timm/{settings['network']}"}}


class InceptionResnetV2Config(TimmConfig):
    """The paper's network (section 2.1.1), 1536-D."""

    PUBLIC: ClassVar = {"pretrained": INCEPTION_RESNET_V2}
    network: ClassVar[str] = "inception_resnet_v2"

    name: Literal["inception_resnet_v2"] = "inception_resnet_v2"
    pretrained: Pretrained = Pretrained(hub="timm/inception_resnet_v2.tf_in1k")
