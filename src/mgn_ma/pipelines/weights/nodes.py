"""List and fetch the pretrained weights of the configured extractors, and of transcription where it names any.

Weights live where an extractor's configuration says, which may be the cache of a model hub that is shared with other
projects; that is why these nodes, alone of all, write beside the catalog.
"""

import logging
from typing import Any

import pandas as pd

from mgn_ma.configuration import Configuration
from mgn_ma.extractors.pretrained import FrozenNetwork, WeightsError, WeightsNeed, file_sha256, locate
from mgn_ma.extractors.weights import problems_of
from mgn_ma.features.settings import Modalities
from mgn_ma.transcription.config import TranscriptionConfig

log = logging.getLogger(__name__)

COLUMNS = ["network", "part", "modalities", "what", "licence", "megabytes", "place", "sha256", "state"]
USABLE = ("ready", "needs no file")


class WeightsSettings(Configuration):
    """What the pipeline does beside listing.

    Attributes:
        fetch: download what is absent, from the addresses that are known.
    """

    fetch: bool = False


def obtain_weights(
    modalities: Modalities, settings: WeightsSettings, transcription: TranscriptionConfig
) -> pd.DataFrame:
    """Fetch what is absent, if asked to, and say how it stands with each set of weights.

    Returns:
        One row for each set of weights. ``sha256`` is that of a file that can be used, and ``state`` is one of
        ``USABLE``, or why it can't be used and what to do about it.
    """
    rows: dict[WeightsNeed, dict[str, Any]] = {}
    for modality, config in (*modalities.configs().items(), ("transcription", transcription)):
        if not isinstance(config, FrozenNetwork):
            continue
        for need in config.weights_needed():
            if need not in rows:
                problems = problems_of(config, fetch_absent=settings.fetch)
                rows[need] = _row(need, problems.get(need))
            rows[need]["modalities"] = f"{rows[need]['modalities']} {modality}".strip()
    for row in rows.values():
        log.info("%(network)s (%(modalities)s): %(state)s", row)
    if not rows:
        log.info("no pretrained weights are needed: the configured extractors are descriptors")
    return pd.DataFrame(rows.values(), columns=COLUMNS)


def confirm_weights(account: pd.DataFrame, settings: WeightsSettings) -> None:
    """Fail, after the account was saved, if weights were to be fetched and can still not be used.

    Raises:
        WeightsError: naming each.
    """
    left = account[~account["state"].isin(USABLE)]
    if settings.fetch and len(left):
        lines = [f"{row.network} ({row.part}): {row.state}" for row in left.itertuples()]
        raise WeightsError("these weights can't be used yet:\n  " + "\n  ".join(lines))


def _row(need: WeightsNeed, problem: str | None) -> dict[str, Any]:
    row = {"network": need.network, "part": need.part, "modalities": "", "place": need.place}
    if need.pretrained.random is not None:
        return row | {"what": "untrained, for trying the chain", "licence": "", "sha256": "", "state": "needs no file"}
    return row | {
        "what": need.public.title,
        "licence": need.public.licence,
        "megabytes": need.public.megabytes,
        "sha256": "" if problem else file_sha256(locate(need)[0]),
        "state": problem or "ready",
    }
