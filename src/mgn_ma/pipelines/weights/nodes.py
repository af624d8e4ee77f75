"""List, fetch and check the pretrained weights of the configured extractors.

Weights live where an extractor's configuration says, which may be the cache of a model hub that is shared with other
projects; that is why these nodes, alone of all, write beside the catalog.
"""

import logging
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from functools import partial
from pathlib import Path

import pandas as pd
from pydantic import BaseModel, ConfigDict

from mgn_ma.execution.progress import Progress
from mgn_ma.extractors.base import ExtractorConfig
from mgn_ma.extractors.fetching import accept, fetch
from mgn_ma.extractors.inventory import Stock, needs_by_modality, take_stock
from mgn_ma.extractors.pretrained import WeightsError, WeightsNeed
from mgn_ma.extractors.weights import check_weights
from mgn_ma.features.settings import Modalities

log = logging.getLogger(__name__)


class WeightsSettings(BaseModel):
    """What the pipeline does beside listing.

    Attributes:
        fetch: download what is absent, from the addresses that are known.
        accept: local files to take, by extractor (``s3d``) or by extractor and part (``vggish/pca``); each is checked
            and copied to where the configuration looks for it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    fetch: bool = False
    accept: dict[str, str] = {}


def obtain_weights(modalities: Modalities, settings: WeightsSettings) -> pd.DataFrame:
    """Take the local files that are offered, fetch what is absent if asked to, and say how it stands with each.

    Returns:
        One row for each set of weights, with the columns of :class:`~mgn_ma.extractors.inventory.Stock`.

    Raises:
        WeightsError: if a local file is offered for an extractor that is not configured.
    """
    configs = modalities.configs()
    needs = {_key(need): need for need in needs_by_modality(configs)}
    if unknown := settings.accept.keys() - needs.keys():
        raise WeightsError(f"weights.accept names {sorted(unknown)}, but what is needed is {sorted(needs)}")
    failures: dict[tuple[str, str], str] = {}
    for key, given in settings.accept.items():
        _note_failure(failures, needs[key], partial(accept, needs[key], Path(given).expanduser()))
    if settings.fetch:
        absent = {(stock.network, stock.part) for stock in take_stock(configs) if not stock.present and stock.problem}
        for need in needs.values():
            if (need.network, need.part) in absent - failures.keys():
                _note_failure(failures, need, partial(_fetch, need))
    stocks = _with_problems(take_stock(configs), failures, _misfits(configs))
    _say(stocks)
    rows = [asdict(stock) | {"modalities": " ".join(stock.modalities)} for stock in stocks]
    return pd.DataFrame(rows, columns=[field.name for field in fields(Stock)])


def confirm_weights(account: pd.DataFrame, settings: WeightsSettings) -> None:
    """Fail, after the account was saved, if weights were asked for and can still not be used.

    Raises:
        WeightsError: naming each.
    """
    left = account[account["problem"] != ""]
    if (settings.fetch or settings.accept) and len(left):
        lines = [f"{row.network} ({row.part}): {row.problem}\n    {row.remedy}" for row in left.itertuples()]
        raise WeightsError("these weights can't be used yet:\n  " + "\n  ".join(lines))


def _key(need: WeightsNeed) -> str:
    return need.network if need.part == "network" else f"{need.network}/{need.part}"


def _note_failure(failures: dict[tuple[str, str], str], need: WeightsNeed, get: partial[None]) -> None:
    try:
        get()
    except WeightsError as error:
        failures[need.network, need.part] = str(error)


def _fetch(need: WeightsNeed) -> None:
    megabyte = 1_000_000
    with Progress(None, f"fetching {need.public.title}", unit="MB") as meter:

        def on_bytes(n_bytes: int, total: int | None) -> None:
            if total is not None:
                meter.total = total // megabyte
            meter.update(n_bytes // megabyte - meter.done)

        fetch(need, on_bytes)


def _misfits(configs: Mapping[str, ExtractorConfig]) -> dict[str, str]:
    """Networks whose files are there and right by their digest, but hold something else than the network needs."""
    return {problem.network: problem.reason for problem in check_weights(configs)}


def _with_problems(
    stocks: list[Stock], failures: Mapping[tuple[str, str], str], misfits: Mapping[str, str]
) -> list[Stock]:
    complete = []
    for stock in stocks:
        problems = [stock.problem, failures.get((stock.network, stock.part), "")]
        if stock.present and not any(problems):
            problems.append(misfits.get(stock.network, ""))
        complete.append(replace(stock, problem="; ".join(filter(None, problems))))
    return complete


def _say(stocks: list[Stock]) -> None:
    if not stocks:
        log.info("no pretrained weights are needed: the configured extractors are descriptors")
    for stock in stocks:
        name = f"{stock.network} ({', '.join(stock.modalities)})"
        size = f", {stock.megabytes:.0f} MB" if stock.megabytes else ""
        state = stock.problem or ("ready" if stock.present else "needs no file")
        log.info("%s: %s [%s%s], %s: %s", name, stock.what, stock.licence or "no licence", size, stock.place, state)
        if stock.problem:
            log.info("    %s", stock.remedy)
