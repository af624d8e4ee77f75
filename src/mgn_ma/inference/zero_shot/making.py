"""Makes a zero-shot model of prompts; the encoders' weights are fetched with the user's consent alone."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mgn_ma import __version__
from mgn_ma.extractors.pretrained import WeightsError, WeightsNeed, locate
from mgn_ma.extractors.registry import build
from mgn_ma.extractors.weights import fetch
from mgn_ma.inference.model import BundleError, ExtractorContract
from mgn_ma.inference.zero_shot.arithmetic import direction
from mgn_ma.inference.zero_shot.config import PromptedEncoder, ZeroShotConfig, ZeroShotSettings, read_config
from mgn_ma.inference.zero_shot.model import ZeroShot, ZeroShotDescription

logger = logging.getLogger(__name__)


def make_configured(settings: ZeroShotSettings) -> ZeroShot:
    """The model that the parameters describe; see `make_zero_shot`.

    Raises:
        PromptsError: the file of prompts can't be used.
    """
    return make_zero_shot(read_config(settings.prompts), may_fetch=settings.fetch_weights)


def make_zero_shot(config: ZeroShotConfig, *, may_fetch: bool = False) -> ZeroShot:
    """Turn the prompts into vectors.

    Args:
        may_fetch: the user agrees that what is absent of the encoders is fetched from the model hub.

    Raises:
        WeightsError: without consent, weights are absent: the message says which, how large, under which licence, and
            how to consent; with it, they can't be had. Or what is there is no encoder of texts too.
    """
    _obtain(config, may_fetch=may_fetch)
    directions = {name: _directions(name, encoder, config) for name, encoder in config.encoders.items()}
    description = ZeroShotDescription(
        targets=config.targets,
        extractors={name: ExtractorContract.of(encoder.of_moments) for name, encoder in config.encoders.items()},
        tolerances_us={name: encoder.tolerance_us for name, encoder in config.encoders.items()},
        scaling=config.scaling,
        neutral=config.neutral,
        prompts=config.prompts,
        code_version={"mgn_ma": __version__},
    )
    return ZeroShot(description, directions)


def _obtain(config: ZeroShotConfig, *, may_fetch: bool) -> None:
    absent = []
    for modality, encoder in config.encoders.items():
        needs = (*encoder.of_moments.weights_needed(), *encoder.of_texts.weights_needed())
        lacking = [need for need in needs if not _is_here(need)]
        if not lacking:
            continue
        where = encoder.of_moments.pretrained.hub or lacking[0].place
        if not may_fetch:
            absent.append(f"{modality}: {where}" + (f" ({encoder.about})" if encoder.about else ""))
            continue
        logger.info("fetching %s from the model hub", where)
        for need in lacking:
            fetch(need)
    if absent:
        raise WeightsError(
            "the model zero-shot needs encoders that are not on this machine:\n  " + "\n  ".join(absent) + "\n"
            "`mgn-ma predict --model zero-shot --fetch-weights …` (in a run `--params zero_shot.fetch_weights=true`) "
            "downloads them from the Hugging Face hub into its cache on this machine, once; the videos stay here. Or "
            "name others, or folders with copies, in a file of prompts"
        )


def _is_here(need: WeightsNeed) -> bool:
    try:
        locate(need)
    except WeightsError:
        return False
    return True


def _directions(modality: str, encoder: PromptedEncoder, config: ZeroShotConfig) -> npt.NDArray[np.float32]:
    """(C, D); zeros for an expression that has no prompt for this modality."""
    extractor = build(encoder.of_texts)

    def vectors(texts: Sequence[str]) -> npt.NDArray[np.float32]:
        return extractor.forward(texts).cpu().numpy()  # type: ignore[attr-defined,no-any-return]

    neutral = vectors(config.neutral[modality])
    found = np.zeros((len(config.prompts), neutral.shape[1]), dtype=np.float32)
    for row, prompts in enumerate(config.prompts.values()):
        if modality in prompts:
            found[row] = direction(vectors(prompts[modality]), neutral)
    if not np.isfinite(found).all():
        raise BundleError(f"{modality}: the encoder's vectors of the prompts are not finite")
    return found
