"""Looks for settings of networks that score well on validation: trials by Optuna, resumable to the same ones.

The best score was chosen among many, and so says nothing of new videos: that takes videos that chose nothing.
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Mapping
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pandas as pd
from pydantic import Field, JsonValue, ValidationError, model_validator

from mgn_ma.configuration import Configuration
from mgn_ma.training.config import ModelConfig, TrainingConfig, changed
from mgn_ma.training.errors import TrainingError

if TYPE_CHECKING:
    import optuna

logger = logging.getLogger(__name__)

SETTINGS = ("model", "training")
"""The parameters in which a search may change something."""

Score = Callable[[ModelConfig, TrainingConfig, int], float]
"""Trains the networks of a trial, by its settings and number; their correlation on validation, NaN where undefined."""


class Range(Configuration):
    """Numbers from ``low`` to ``high``: whole ones where both are.

    Attributes:
        log: draw evenly from their logarithms.
    """

    low: int | float
    high: int | float
    log: bool = False

    @model_validator(mode="after")
    def _ascends(self) -> Self:
        if self.high <= self.low or (self.log and self.low <= 0):
            raise ValueError(f"a range goes up, and by logarithms from above 0: {self.low} to {self.high}")
        return self

    def suggest(self, trial: optuna.Trial, name: str) -> Any:
        """A value for a trial."""
        if isinstance(self.low, int) and isinstance(self.high, int):
            return trial.suggest_int(name, self.low, self.high, log=self.log)
        return trial.suggest_float(name, self.low, self.high, log=self.log)

    @property
    def examples(self) -> list[Any]:
        """Values by which the range can be tried on the settings."""
        return [self.low, self.high]


class Choice(Configuration):
    """One of some values, of any kind."""

    choices: tuple[JsonValue, ...] = Field(min_length=2)

    def suggest(self, trial: optuna.Trial, name: str) -> Any:
        """A value for a trial."""
        # Optuna keeps text, numbers and truth values alone.
        return json.loads(trial.suggest_categorical(name, [json.dumps(choice) for choice in self.choices]))

    @property
    def examples(self) -> list[Any]:
        """All of them."""
        return list(self.choices)


class SearchConfig(Configuration):
    """The parameter ``search``: what is tried, and how much of it.

    Attributes:
        trials: how many, those of earlier runs of the same search included.
        seconds: begin no trial after so many seconds of a run; ``None``: only ``trials`` counts.
        networks: trained for each trial, with seeds that count up; their mean is its score.
        seed: of what is tried, and of the first network of a trial.
        space: by the path of a setting, such as ``training.learning_rate`` or ``model.temporal.kind``.
    """

    trials: int = Field(default=40, ge=1)
    seconds: float | None = Field(default=None, gt=0.0)
    networks: int = Field(default=1, ge=1)
    seed: int = Field(default=0, ge=0)
    space: dict[str, Range | Choice] = Field(default_factory=dict)


def search(
    config: SearchConfig, model: ModelConfig, training: TrainingConfig, data: str, folder: str | Path, score: Score
) -> pd.DataFrame:
    """Go on with a search, or begin it.

    What a trial tries follows from the seed and the trials before it, so that an interrupted search goes on to the same
    ones; the trial that was interrupted is tried again.

    Args:
        config: what is tried.
        model: what it changes.
        training: the same.
        data: fingerprint of the data; a search on others is another one.
        folder: local, for the journal of all searches.
        score: of a trial; a `TrainingError` of it is the end of that trial alone.

    Returns:
        One row a trial, the best first: ``trial``, ``state``, ``score``, ``seconds``, and each setting of the space.

    Raises:
        TrainingError: nothing is to be tried, or a setting of the space is none; the message names it.
    """
    try:
        import optuna
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend
    except ImportError as error:
        raise TrainingError("a search needs Optuna: pip install 'mgn_ma[search]'") from error
    _require_settings(config, model, training)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    Path(folder).mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(Path(folder) / "journal.log"))),
        study_name=_fingerprint(config, model, training, data),
        direction="maximize",
        load_if_exists=True,
    )
    _try_interrupted_again(study)
    began = time.monotonic()
    for number in range(len(_ended(study)), config.trials):
        if config.seconds is not None and time.monotonic() - began >= config.seconds:
            break
        # A sampler that begins anew with each trial draws what one would that was not interrupted.
        study.sampler = optuna.samplers.TPESampler(seed=config.seed + number)
        _try(study, config, number, partial(_score, score, model, training, number))
    return _table(study, config)


def nested(settings: Mapping[str, Any]) -> dict[str, Any]:
    """``{"model.temporal.kind": "tcn"}`` as ``{"model": {"temporal": {"kind": "tcn"}}}``, as in a parameters file."""
    tree: dict[str, Any] = {}
    for path, value in settings.items():
        *above, last = path.split(".")
        place = tree
        for name in above:
            place = place.setdefault(name, {})
        place[last] = value
    return tree


def _try(study: optuna.Study, config: SearchConfig, number: int, score: Callable[[Mapping[str, Any]], float]) -> None:
    from optuna.trial import TrialState

    trial = study.ask()
    settings = {name: each.suggest(trial, name) for name, each in config.space.items()}
    began = time.perf_counter()
    try:
        value = score(settings)
        if math.isnan(value):
            raise TrainingError("its correlation on validation is undefined")
    except (TrainingError, ValidationError) as error:  # the latter: values that don't go together
        reason = str(error).partition("\n")[0]
        trial.set_user_attr("reason", reason)
        study.tell(trial, state=TrialState.FAIL)
        logger.warning("Trial %d failed: %s", number, reason)
        return
    trial.set_user_attr("seconds", time.perf_counter() - began)
    study.tell(trial, value)
    said = ", ".join(f"{name} {value}" for name, value in settings.items())
    logger.info("Trial %d: %.4f (best %.4f) with %s", number, value, study.best_value, said)


def _score(
    score: Score, model: ModelConfig, training: TrainingConfig, number: int, settings: Mapping[str, Any]
) -> float:
    return score(*_changed(settings, model, training), number)


def _changed(
    settings: Mapping[str, Any], model: ModelConfig, training: TrainingConfig
) -> tuple[ModelConfig, TrainingConfig]:
    tree = nested(settings)
    return changed(model, tree.get("model", {})), changed(training, tree.get("training", {}))


def _require_settings(config: SearchConfig, model: ModelConfig, training: TrainingConfig) -> None:
    if not config.space:
        raise TrainingError("search.space is empty: name settings to try, such as training.learning_rate")
    for name, each in config.space.items():
        if name.partition(".")[0] not in SETTINGS:
            raise TrainingError(f"search.space: {name!r} is not one of {' or '.join(f'{s}.…' for s in SETTINGS)}")
        for value in each.examples:
            try:
                _changed({name: value}, model, training)
            except ValidationError as error:
                of_this = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
                raise TrainingError(f"search.space: {name} can't be {value!r}: {'; '.join(of_this)}") from error


def _try_interrupted_again(study: optuna.Study) -> None:
    from optuna.trial import TrialState

    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
        study.set_user_attr(f"interrupted_{trial.number}", True)
        study.enqueue_trial(trial.params)


def _ended(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    """The trials that count: those that came to an end, well or not."""
    interrupted = study.user_attrs
    return [t for t in study.trials if t.state.is_finished() and f"interrupted_{t.number}" not in interrupted]


def _table(study: optuna.Study, config: SearchConfig) -> pd.DataFrame:
    rows = []
    for number, trial in enumerate(_ended(study)):
        settings = {name: _value(config.space[name], trial.params.get(name)) for name in config.space}
        state = "scored" if trial.value is not None else trial.user_attrs.get("reason", "failed")
        rows.append({"trial": number, "state": state, "score": trial.value, **settings})
        rows[-1]["seconds"] = trial.user_attrs.get("seconds")
    columns = ["trial", "state", "score", "seconds", *config.space]
    table = pd.DataFrame(rows, columns=columns).astype({"score": float, "seconds": float})
    return table.sort_values("score", ascending=False, kind="stable", ignore_index=True)


def _value(space: Range | Choice, kept: Any) -> Any:
    return json.loads(kept) if isinstance(space, Choice) and kept is not None else kept


def _fingerprint(config: SearchConfig, model: ModelConfig, training: TrainingConfig, data: str) -> str:
    """Of all that decides what trials try and score; more trials or more time are the same search."""
    decides = config.model_dump(mode="json", exclude={"trials", "seconds"})
    whole = json.dumps([decides, model.model_dump(mode="json"), training.model_dump(mode="json"), data], sort_keys=True)
    return sha256(whole.encode()).hexdigest()[:16]
