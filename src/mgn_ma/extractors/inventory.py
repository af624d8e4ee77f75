"""Which weights the configured extractors need, from where, and whether they are here and are the right ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mgn_ma.extractors.base import ExtractorConfig
from mgn_ma.extractors.pretrained import NetworkConfig, WeightsError, WeightsNeed, file_sha256, locate, recorded_sha256
from mgn_ma.extractors.weights import fetch_address, how_to_get, verified


@dataclass(frozen=True, slots=True)
class Stock:
    """One set of weights: what it is, and how it stands with it.

    Attributes:
        network: name of the extractor.
        part: which of the network's files.
        modalities: who needs it.
        what: in words.
        source: who publishes it.
        licence: of it, or of the code that it came with.
        megabytes: about how much there is to download; ``None`` where unknown.
        address: where it can be fetched from; empty if nowhere.
        place: where the configuration looks for it; ``random`` if it asks for none.
        present: whether it is there.
        sha256: of the file that is there; empty if none is.
        matches: ``configured`` or ``recorded`` (the digest is the one in the settings, or that of the first fetch),
            ``unchecked`` (there is none to compare with), ``differs``, or empty.
        problem: why it can't be used, and empty if it can; ``present`` and an empty ``problem`` mean: ready.
        remedy: how to get it, if it can't be used.
    """

    network: str
    part: str
    modalities: tuple[str, ...]
    what: str
    source: str
    licence: str
    megabytes: float | None
    address: str
    place: str
    present: bool
    sha256: str
    matches: str
    problem: str
    remedy: str


def needs_by_modality(configs: Mapping[str, ExtractorConfig]) -> dict[WeightsNeed, list[str]]:
    """Every distinct set of weights with the modalities that need it; descriptors need none."""
    needs: dict[WeightsNeed, list[str]] = {}
    for modality, config in configs.items():
        if isinstance(config, NetworkConfig):
            for need in config.weights_needed():
                needs.setdefault(need, []).append(modality)
    return needs


def take_stock(configs: Mapping[str, ExtractorConfig]) -> list[Stock]:
    """How it stands with each set of weights. Files are found and hashed; nothing is loaded and nothing fetched.

    Args:
        configs: extractor configurations by modality.
    """
    return [_stock(need, tuple(modalities)) for need, modalities in needs_by_modality(configs).items()]


def _stock(need: WeightsNeed, modalities: tuple[str, ...]) -> Stock:
    pretrained, public = need.pretrained, need.public
    is_random = pretrained.random is not None
    present, sha256, matches, problem = False, "", "", ""
    if not is_random:
        try:
            path = locate(need)[0]
            present, sha256 = True, file_sha256(path)
            matches = "differs"
            verified(need)
            matches = "configured" if pretrained.sha256 else "recorded" if recorded_sha256(path) else "unchecked"
        except WeightsError as error:
            problem = str(error)
    return Stock(
        network=need.network,
        part=need.part,
        modalities=modalities,
        what="untrained, for trying the chain" if is_random else public.title,
        source="" if is_random else public.source,
        licence="" if is_random else public.licence,
        megabytes=public.size_bytes / 1e6 if public.size_bytes and not is_random else None,
        address=fetch_address(pretrained, public) or "",
        place=_place(need),
        present=present,
        sha256=sha256,
        matches=matches,
        problem=problem,
        remedy=how_to_get(need) if problem else "",
    )


def _place(need: WeightsNeed) -> str:
    pretrained = need.pretrained
    if pretrained.random is not None:
        return f"random (seed {pretrained.random})"
    return pretrained.path or f"hub cache: {pretrained.hub} @ {pretrained.revision}"
