"""The versions of registered models: by number, by alias, and where the artifacts of one are.

A message says what is missing and how it gets there; MLflow's own name the database's row.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mgn_ma.errors import MGNMAError

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

MODEL = "mgn-ma"
CHAMPION = "champion"
CHALLENGER = "challenger"
HOW_TO_REGISTER = (
    "train and register one with `kedro run`, or what is trained with `kedro run --pipelines registration`"
)
_MODELS_URI = re.compile(r"models:/(?P<name>[^/@]+)(?:@(?P<alias>[^/]+)|/(?P<number>\d+))")
_RUNS_URI = re.compile(r"runs:/(?P<run>\w+)/(?P<name>[^/]+)/?")


class RegistryError(MGNMAError):
    """The registry does not have what is asked for; the message says how to put it there."""


class ChampionChangedError(RegistryError):
    """Another version became the champion while two were compared."""


@dataclass(frozen=True)
class RegisteredVersion:
    """One version of the registered model.

    Attributes:
        number: counted by the registry, from 1.
        run_id: of the run that registered it.
        tags: what is known of it, and what became of it.
    """

    name: str
    number: int
    run_id: str | None
    tags: Mapping[str, str]

    @classmethod
    def from_mlflow(cls, version: ModelVersion) -> RegisteredVersion:
        """As MLflow gives it."""
        return cls(version.name, int(version.version), version.run_id or None, dict(version.tags))

    @property
    def uri(self) -> str:
        """By which anybody loads it."""
        return f"models:/{self.name}/{self.number}"


def find_version(client: MlflowClient, name: str, number: int) -> RegisteredVersion:
    """A version by its number.

    Raises:
        RegistryError: there is none; the message lists those that there are.
    """
    from mlflow.exceptions import MlflowException

    try:
        return RegisteredVersion.from_mlflow(client.get_model_version(name, str(number)))
    except MlflowException as error:
        if not is_error(error, "RESOURCE_DOES_NOT_EXIST"):
            raise
    numbers = sorted(int(found.version) for found in client.search_model_versions(f"name = '{name}'"))
    if not numbers:
        raise RegistryError(f"there is no registered model {name}: {HOW_TO_REGISTER}")
    raise RegistryError(f"{name} has no version {number}, it has {', '.join(map(str, numbers))}")


def find_holder(client: MlflowClient, name: str, alias: str) -> RegisteredVersion | None:
    """The version that an alias names; ``None`` where none does."""
    from mlflow.exceptions import MlflowException

    try:
        return RegisteredVersion.from_mlflow(client.get_model_version_by_alias(name, alias))
    except MlflowException as error:
        # MLflow calls a missing alias an invalid parameter.
        if is_error(error, "RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise


def find_location(client: MlflowClient, uri: str) -> str:
    """Where the artifacts of ``models:/name@alias``, ``models:/name/3`` or ``runs:/run/name`` are.

    Raises:
        RegistryError: there is no such model, version, alias or run, or this is none of these forms.
    """
    of_run, named = _RUNS_URI.fullmatch(uri), _MODELS_URI.fullmatch(uri)
    if of_run is not None:
        return _location_of_run(client, of_run["run"], of_run["name"])
    if named is None:
        raise RegistryError(
            f"{uri!r} names no model: write models:/{MODEL}@{CHAMPION}, models:/{MODEL}/3, runs:/<run>/{MODEL}, or the "
            "path of a bundle's folder"
        )
    name, alias, number = named["name"], named["alias"], named["number"]
    version = find_version(client, name, int(number)) if number else find_holder(client, name, alias)
    if version is None:
        raise RegistryError(f"no version of {name} is the {alias}: {_how_to_name(alias)}")
    return str(client.get_model_version_download_uri(name, str(version.number)))


def is_error(error: MlflowException, *codes: str) -> bool:
    """Whether MLflow means one of these by its error, names of codes of its protocol."""
    return error.error_code in codes


def _location_of_run(client: MlflowClient, run_id: str, name: str) -> str:
    from mlflow.exceptions import MlflowException

    try:
        logged = client.get_run(run_id).outputs
    except MlflowException as error:
        raise RegistryError(f"there is no run {run_id} that can be read: {error.message}") from error
    models = [client.get_logged_model(output.model_id) for output in (logged.model_outputs if logged else [])]
    named = [model for model in models if model.name == name]
    if named:
        return str(max(named, key=lambda model: model.creation_timestamp).artifact_location)
    has = ", ".join(model.name for model in models) or "none"
    raise RegistryError(f"run {run_id} has logged no model {name}; its models: {has}")


def _how_to_name(alias: str) -> str:
    if alias == CHAMPION:
        return "register what is trained and promote it with `kedro run --pipelines registration,promotion`"
    return "`kedro run --pipelines registration` registers what is trained as the challenger"
