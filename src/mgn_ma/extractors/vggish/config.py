"""Settings of the VGGish extractor, and where its weights are published."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import PositiveInt, model_validator

from mgn_ma.extractors.pretrained import NetworkConfig, Pretrained, PublicWeights, WeightsNeed, need_of

if TYPE_CHECKING:
    from torch import nn

_RELEASE = "https://github.com/harritaylor/torchvggish/releases/download/v0.1"

PUBLIC = PublicWeights(
    title="VGGish trained on a preliminary YouTube-8M, converted to torch",
    source="harritaylor/torchvggish, release v0.1",
    licence="Apache-2.0 (of the code)",
    size_bytes=288_000_000,
    files=("vggish-10086976.pth",),
    url=f"{_RELEASE}/vggish-10086976.pth",
    note="By the naming rule of torch.hub, its SHA-256 begins with 10086976.",
)
PUBLIC_PCA = PublicWeights(
    title="PCA parameters of the released AudioSet embeddings",
    source="harritaylor/torchvggish, release v0.1",
    licence="Apache-2.0 (of the code)",
    size_bytes=70_000,
    files=("vggish_pca_params-970ea276.pth",),
    url=f"{_RELEASE}/vggish_pca_params-970ea276.pth",
    note="By the naming rule of torch.hub, its SHA-256 begins with 970ea276.",
)


class VGGishConfig(NetworkConfig):
    """Settings of :class:`~mgn_ma.extractors.vggish.extractor.VGGishExtractor`.

    Attributes:
        final_relu: whether a ReLU follows the 128-D layer, as it did for the released AudioSet embeddings and does in
            the conversion to torch; the current reference calls the vector before it the embedding.
        postprocess: whether the embedding is whitened and quantised to 0..255, as the released ones are.
        pca: parameters of that; none are needed if the network's own checkpoint holds them (``pproc.*``).
    """

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

    def weights_needed(self) -> tuple[WeightsNeed, ...]:
        """The network's file, and that of the PCA if one is configured."""
        needs = [need_of(self.name, "network", self.pretrained, PUBLIC)]
        if self.pca is not None:
            needs.append(need_of(self.name, "pca", self.pca, PUBLIC_PCA))
        return tuple(needs)

    def load(self) -> nn.Module:
        """The network on the CPU with its weights; see :meth:`NetworkConfig.load`."""
        from mgn_ma.extractors.vggish.network import load_network

        return load_network(self)[0]
