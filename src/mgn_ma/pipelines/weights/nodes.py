"""List and fetch the pretrained weights of the configured extractors.

Weights live where an extractor's configuration says, which may be the cache of a model hub that is shared with other
projects; that is why these nodes, alone of all, write beside the catalog.
"""

import logging
from collections.abc import Iterable
from typing import Any

import pandas as pd
from pydantic import BaseModel, ConfigDict

from mgn_ma.extractors.pretrained import NetworkConfig, WeightsError, WeightsNeed, file_sha256, locate
from mgn_ma.extractors.weights import fetch, problems_of
from mgn_ma.features.modality import Extractors, Modalities

log = logging.getLogger(__name__)

COLUMNS = ["network", "part", "modalities", "what", "licence", "megabytes", "place", "sha256", "state"]
USABLE = ("ready", "needs no file")


class WeightsSettings(BaseModel):
    """What the pipeline does beside listing.

    Attributes:
        fetch: download what is absent, from the addresses that are known.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    fetch: bool = False


def obtain_weights(modalities: Modalities, extractors: Extractors, settings: WeightsSettings) -> pd.DataFrame:
    """Fetch what is absent, if asked to, and say how it stands with each set of weights.

    Returns:
        One row for each set of weights. ``sha256`` is that of the file that is there, and ``state`` is one of
        ``USABLE``, or why it can't be used and what to do about it.
    """
    configs = extractors.configs(modalities)
    networks = {name: config for name, config in configs.items() if isinstance(config, NetworkConfig)}
    failures = _fetch_all(networks.values()) if settings.fetch else {}
    rows: dict[WeightsNeed, dict[str, Any]] = {}
    for modality, config in networks.items():
        problems = problems_of(config) | failures
        for need in config.weights_needed():
            row = rows.setdefault(need, _row(need, problems.get(need)))
            row["modalities"] = f"{row['modalities']} {modality}".strip()
    for row in rows.values():
        log.info("%(network)s (%(modalities)s): %(what)s [%(licence)s], %(place)s: %(state)s", row)
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


def _fetch_all(configs: Iterable[NetworkConfig]) -> dict[WeightsNeed, str]:
    failures = {}
    for need in dict.fromkeys(need for config in configs for need in config.weights_needed()):
        try:
            fetch(need)
        except WeightsError as error:
            failures[need] = str(error)
    return failures


def _row(need: WeightsNeed, problem: str | None) -> dict[str, Any]:
    is_random = need.pretrained.random is not None
    try:
        files = locate(need)
    except WeightsError:
        files = []
    return {
        "network": need.network,
        "part": need.part,
        "modalities": "",
        "what": "untrained, for trying the chain" if is_random else need.public.title,
        "licence": "" if is_random else need.public.licence,
        "megabytes": None if is_random else need.public.megabytes,
        "place": need.place,
        "sha256": file_sha256(files[0]) if files else "",
        "state": problem or ("needs no file" if is_random else "ready"),
    }
