"""Settings of the VGGish extractor, and where its weights are published."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import PositiveInt, model_validator

from mgn_ma.extractors.base import Source
from mgn_ma.extractors.pretrained import NetworkConfig, Pretrained, PublicWeights

if TYPE_CHECKING:
    from torch import nn

# By the naming rule of torch.hub, the SHA-256 of a file begins with the digits in its name.
_RELEASE = "https://github.com/harritaylor/torchvggish/releases/download/v0.1"

WEIGHTS = PublicWeights(
    title="VGGish trained on a preliminary YouTube-8M, converted to torch by harritaylor/torchvggish",
    licence="Apache-2.0 (of the code)",
    megabytes=288,
    files=("vggish-10086976.pth",),
    url=f"{_RELEASE}/vggish-10086976.pth",
)
PCA = PublicWeights(
    title="PCA parameters of the released AudioSet embeddings, by harritaylor/torchvggish",
    licence="Apache-2.0 (of the code)",
    megabytes=0.07,
    files=("vggish_pca_params-970ea276.pth",),
    url=f"{_RELEASE}/vggish_pca_params-970ea276.pth",
)


class VGGishConfig(NetworkConfig):
    """Settings of :class:`~mgn_ma.extractors.vggish.extractor.VGGishExtractor`.

    Attributes:
        final_relu: whether a ReLU follows the 128-D layer, as it did for the released AudioSet embeddings and does in
            the conversion to torch; the current reference calls the vector before it the embedding.
        postprocess: whether the embedding is whitened and quantised to 0..255, as the released ones are.
        pca: parameters of that; none are needed if the network's own checkpoint holds them (``pproc.*``).
    """

    source: ClassVar[Source] = "audio"
    PUBLIC: ClassVar = {"pretrained": WEIGHTS, "pca": PCA}

    name: Literal["vggish"] = "vggish"
    batch_size: PositiveInt = 16
    pretrained: Pretrained
    final_relu: bool = True
    postprocess: bool = False
    pca: Pretrained | None = None

    @model_validator(mode="after")
    def _pca_is_used(self) -> VGGishConfig:
        if self.pca is not None and not self.postprocess:
            raise ValueError("pca is given but postprocess is off, so that nothing would use it")
        return self

    def load(self) -> nn.Module:
        """The network on the CPU with its weights; see :meth:`NetworkConfig.load`."""
        from mgn_ma.extractors.vggish.network import load_network

        return load_network(*self.weights_needed(), final_relu=self.final_relu, postprocess=self.postprocess)[0]
