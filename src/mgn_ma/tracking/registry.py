"""The ensembles in MLflow's model registry: what is there, what is in use, and how one is put there.

An ensemble is a version of one registered model. Two aliases name what matters: ``challenger``, the one registered
last, and ``champion``, the one in use. The alias is the only truth; tags and descriptions tell how it came about.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import mlflow
from mlflow.artifacts import download_artifacts
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import (
    INVALID_PARAMETER_VALUE,
    RESOURCE_ALREADY_EXISTS,
    RESOURCE_DOES_NOT_EXIST,
    ErrorCode,
)
from mlflow.tracking import MlflowClient

from mgn_ma.inference.bundle import DESCRIPTION, Bundle, load_bundle
from mgn_ma.tracking.logged_model import BUNDLE_PLACE, log_bundle
from mgn_ma.tracking.server import SQLITE, check, redacted
from mgn_ma.tracking.version_tags import DIGEST_TAG, describe, tags_of
from mgn_ma.training.files import Folder

logger = logging.getLogger(__name__)

MODEL = "mgn-ma"
CHAMPION = "champion"
CHALLENGER = "challenger"
_MODELS_URI = re.compile(r"models:/(?P<name>[^/@]+)(?:@(?P<alias>[^/]+)|/(?P<number>\d+))")
_RUNS_URI = re.compile(r"runs:/(?P<run>\w+)/(?P<name>[^/]+)/?")
_GIT_TAGS = ("git_commit", "git_dirty")


class RegistryError(Exception):
    """The registry does not have what is asked for; the message says how to put it there."""


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
    def of(cls, version: ModelVersion) -> RegisteredVersion:
        """As MLflow gives it."""
        return cls(version.name, int(version.version), version.run_id or None, dict(version.tags))

    @property
    def uri(self) -> str:
        """By which anybody loads it."""
        return f"models:/{self.name}/{self.number}"


class ModelRegistry:
    """The registered model ``name`` of one MLflow; it addresses MLflow by its URIs and never by what is active.

    Args:
        tracking_uri: where runs and artifacts are.
        registry_uri: where models are registered; the same place if not given.
        name: of the registered model.
        run_id: of the run that registers and decides, if there is one.
    """

    def __init__(
        self, tracking_uri: str, registry_uri: str | None = None, name: str = MODEL, run_id: str | None = None
    ) -> None:
        self.tracking_uri = tracking_uri
        self.registry_uri = registry_uri or tracking_uri
        self.name = name
        self.run_id = run_id

    @cached_property
    def client(self) -> MlflowClient:
        """MLflow's own; to make one makes the database, where there is none."""
        return MlflowClient(self.tracking_uri, self.registry_uri)

    def bundle(self, uri: str) -> Bundle:
        """Load an ensemble.

        Args:
            uri: ``models:/mgn-ma@champion``, ``models:/mgn-ma/3``, ``runs:/<run>/mgn-ma``, or the folder (a path or an
                fsspec URL) of a bundle or of a model that was downloaded from MLflow.

        Raises:
            RegistryError: there is no such model, version or alias.
            TrackingUnavailableError: nobody answers.
            BundleError: what is there is no ensemble, or one of another format.
        """
        if not uri.startswith(("models:", "runs:")):
            folder = Folder(uri)
            inside = f"{BUNDLE_PLACE}/{DESCRIPTION}"
            return load_bundle(Folder(f"{uri.rstrip('/')}/{BUNDLE_PLACE}") if folder.exists(inside) else folder)
        self._require_answer()
        location = self._location(uri)
        with TemporaryDirectory(prefix="mgn_ma-model-") as folder_name:
            try:
                downloaded = download_artifacts(
                    artifact_uri=f"{location}/{BUNDLE_PLACE}",
                    dst_path=folder_name,
                    tracking_uri=self.tracking_uri,
                    registry_uri=self.registry_uri,
                )
            except (MlflowException, OSError) as error:
                raise RegistryError(f"{uri} can't be had from {redacted(location)}: {error}") from error
            described = next(Path(downloaded).rglob(DESCRIPTION), None)
            return load_bundle(Folder(described.parent if described else downloaded))

    def version(self, number: int) -> RegisteredVersion:
        """One version by its number.

        Raises:
            RegistryError: there is none; the message lists those that there are.
        """
        return self._version(self.name, number)

    def holder(self, alias: str) -> RegisteredVersion | None:
        """The version that an alias names; ``None`` where none does."""
        self._require_answer()
        return self._holder(self.name, alias)

    def register(self, bundle: Bundle) -> RegisteredVersion:
        """Make the ensemble the challenger: as a new version, or the one as which it is registered already.

        Raises:
            RegistryError: there is no run to register it in.
            TrackingUnavailableError: nobody answers.
        """
        check(self.registry_uri)
        known = self._same(bundle)
        version = known or self._add(bundle)
        self.client.set_registered_model_alias(self.name, CHALLENGER, str(version.number))
        logger.info(
            "%s %s as version %d, alias '%s'",
            self.name,
            "was registered before" if known else "is registered",
            version.number,
            CHALLENGER,
        )
        return version

    def _same(self, bundle: Bundle) -> RegisteredVersion | None:
        found = self.client.search_model_versions(f"name = '{self.name}' and tag.{DIGEST_TAG} = '{bundle.digest()}'")
        return max(map(RegisteredVersion.of, found), key=lambda version: version.number, default=None)

    def _add(self, bundle: Bundle) -> RegisteredVersion:
        if self.run_id is None:
            raise RegistryError("a model is registered in a run, and tracking is switched off: switch it on")
        run = self.client.get_run(self.run_id)
        code = bundle.description.code_version | {tag: run.data.tags[tag] for tag in _GIT_TAGS if tag in run.data.tags}
        bundle = Bundle(
            bundle.description.model_copy(update={"code_version": code}), bundle.members, bundle.video_network
        )
        model = log_bundle(self.client, run, self.name, bundle)
        self._require_model()
        created = self.client.create_model_version(
            self.name,
            source=model.artifact_location,
            run_id=self.run_id,
            model_id=model.model_id,
            tags=tags_of(bundle),
            description=describe(bundle),
        )
        return RegisteredVersion.of(created)

    def _require_model(self) -> None:
        try:
            self.client.create_registered_model(
                self.name, description="Evoked expressions of a video's viewers: an MGN-MA ensemble a version."
            )
        except MlflowException as error:
            if not _is(error, RESOURCE_ALREADY_EXISTS):
                raise

    def _require_answer(self) -> None:
        """Ask before MLflow does, which would wait for minutes, or create the database that it doesn't find."""
        if self.registry_uri.startswith(SQLITE) and not Path(self.registry_uri.removeprefix(SQLITE)).exists():
            raise RegistryError(f"there is no MLflow at {self.registry_uri} yet: {_how_to_register()}")
        check(self.registry_uri)

    def _location(self, uri: str) -> str:
        """Where the artifacts of a model are."""
        of_run = _RUNS_URI.fullmatch(uri)
        if of_run is not None:
            return self._location_of_run(of_run["run"], of_run["name"])
        named = _MODELS_URI.fullmatch(uri)
        if named is None:
            raise RegistryError(
                f"{uri!r} names no model: write models:/{self.name}@{CHAMPION}, models:/{self.name}/3, "
                f"runs:/<run>/{self.name}, or the path of a bundle's folder"
            )
        name, alias, number = named["name"], named["alias"], named["number"]
        version = self._version(name, int(number)) if number else self._holder(name, alias)
        if version is None:
            raise RegistryError(
                f"no version of {name} is the {alias} at {redacted(self.registry_uri)}: " + _how_to_name(alias)
            )
        return str(self.client.get_model_version_download_uri(name, str(version.number)))

    def _location_of_run(self, run_id: str, name: str) -> str:
        try:
            logged = self.client.get_run(run_id).outputs
        except MlflowException as error:
            raise RegistryError(f"there is no run {run_id} at {redacted(self.tracking_uri)}") from error
        outputs = logged.model_outputs if logged else []
        models = [self.client.get_logged_model(output.model_id) for output in outputs]
        for model in models:
            if model.name == name:
                return str(model.artifact_location)
        has = ", ".join(model.name for model in models) or "none"
        raise RegistryError(f"run {run_id} has logged no model {name}; its models: {has}")

    def _version(self, name: str, number: int) -> RegisteredVersion:
        try:
            return RegisteredVersion.of(self.client.get_model_version(name, str(number)))
        except MlflowException as error:
            if not _is(error, RESOURCE_DOES_NOT_EXIST):
                raise
        numbers = sorted(int(found.version) for found in self.client.search_model_versions(f"name = '{name}'"))
        if not numbers:
            raise RegistryError(f"there is no model {name} at {redacted(self.registry_uri)}: {_how_to_register()}")
        raise RegistryError(f"{name} has no version {number}, it has {', '.join(map(str, numbers))}")

    def _holder(self, name: str, alias: str) -> RegisteredVersion | None:
        try:
            return RegisteredVersion.of(self.client.get_model_version_by_alias(name, alias))
        except MlflowException as error:
            # MLflow calls a missing alias an invalid parameter.
            if _is(error, RESOURCE_DOES_NOT_EXIST) or _is(error, INVALID_PARAMETER_VALUE):
                return None
            raise


def current_registry(name: str = MODEL) -> ModelRegistry:
    """The registry of the MLflow that is set, with the active run if there is one."""
    active = mlflow.active_run()
    run_id = active.info.run_id if active else None
    return ModelRegistry(mlflow.get_tracking_uri(), mlflow.get_registry_uri(), name, run_id)


def _is(error: MlflowException, code: Any) -> bool:
    return bool(error.error_code == ErrorCode.Name(code))


def _how_to_register() -> str:
    return "train and register one with `kedro run`, or what is trained with `kedro run --pipelines registration`"


def _how_to_name(alias: str) -> str:
    if alias == CHAMPION:
        return "register what is trained and promote it with `kedro run --pipelines registration,promotion`"
    return "`kedro run --pipelines registration` registers what is trained as the challenger"
