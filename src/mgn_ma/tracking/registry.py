"""The ensembles in MLflow's model registry: what is there, what is in use, and how one is put there.

An ensemble is a version of one registered model. Two aliases name what matters: ``challenger``, the one registered
last, and ``champion``, the one in use. The alias is the only truth; tags and descriptions tell how it came about.
MLflow is imported when it is asked: it takes seconds.
"""

from __future__ import annotations

import logging
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from mgn_ma.evaluation.promotion import Decision
from mgn_ma.files import Folder
from mgn_ma.inference.model import DESCRIPTION, Model, load_model
from mgn_ma.redaction import redacted
from mgn_ma.temporary import temporary_folder
from mgn_ma.tracking.server import LOCK_WAIT_S, SQLITE, check, database_file
from mgn_ma.tracking.version_tags import (
    DECISION_PREFIX,
    DIGEST_TAG,
    REPLACED_TAG,
    describe,
    tags_of,
    tags_of_decision,
    with_decision,
)
from mgn_ma.tracking.versions import (
    CHALLENGER,
    CHAMPION,
    HOW_TO_REGISTER,
    MODEL,
    ChampionChangedError,
    RegisteredVersion,
    RegistryError,
    find_holder,
    find_location,
    find_version,
    is_error,
)

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

logger = logging.getLogger(__name__)

BUNDLE_PLACE = "artifacts/bundle"
"""Where the bundle stands in the folder of an MLflow model."""
_GIT_TAGS = ("git_commit", "git_dirty")


class ModelRegistry:
    """The registered model ``name`` of one MLflow; it addresses MLflow by its URIs and never by what is active.

    Args:
        tracking_uri: where runs and artifacts are.
        registry_uri: where models are registered; the same place if not given.
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
        from mlflow.tracking import MlflowClient

        return MlflowClient(self.tracking_uri, self.registry_uri)

    def bundle(self, uri: str) -> Model:
        """Load a model.

        Args:
            uri: ``models:/mgn-ma@champion``, ``models:/mgn-ma/3``, ``runs:/<run>/mgn-ma``, or the folder (a path or an
                fsspec URL) of a bundle or of a model that was downloaded from MLflow.

        Raises:
            RegistryError: there is no such model, version or alias.
            TrackingUnavailableError: nobody answers.
            BundleError: what is there is no model, or one of another format.
        """
        if not uri.startswith(("models:", "runs:")):
            folder = Folder(uri)
            inside = f"{BUNDLE_PLACE}/{DESCRIPTION}"
            return load_model(Folder(f"{uri.rstrip('/')}/{BUNDLE_PLACE}") if folder.exists(inside) else folder)
        from mlflow.artifacts import download_artifacts
        from mlflow.exceptions import MlflowException

        self._require_answer()
        location = find_location(self.client, uri)
        with temporary_folder("model") as temporary:
            try:
                downloaded = download_artifacts(
                    artifact_uri=f"{location}/{BUNDLE_PLACE}",
                    dst_path=str(temporary),
                    tracking_uri=self.tracking_uri,
                    registry_uri=self.registry_uri,
                )
            except (MlflowException, OSError) as error:
                raise RegistryError(f"{uri} can't be had from {redacted(location)}: {error}") from error
            described = next(Path(downloaded).rglob(DESCRIPTION), None)
            return load_model(Folder(described.parent if described else downloaded))

    def named_bundle(self, uri: str) -> tuple[Model, str]:
        """Load an ensemble as `bundle` does, and say which version it is, also where the address names an alias."""
        name, _, alias = uri.removeprefix("models:/").partition("@")
        if name == self.name and alias:
            version = self.holder(alias)
            if version is not None:
                # By its number: the alias may name another version in the next moment.
                return self.bundle(version.uri), f"{name} version {version.number} ({alias})"
        bundle = self.bundle(uri)
        if uri.startswith("models:/"):
            return bundle, uri.removeprefix("models:/").replace("/", " version ")
        return bundle, f"{redacted(uri).rstrip('/').rpartition('/')[2]} ({bundle.digest()[:12]})"

    def version(self, number: int) -> RegisteredVersion:
        """One version by its number.

        Raises:
            RegistryError: there is none; the message lists those that there are.
        """
        return find_version(self.client, self.name, number)

    def holder(self, alias: str) -> RegisteredVersion | None:
        """The version that an alias names; ``None`` where none does."""
        self._require_answer()
        return find_holder(self.client, self.name, alias)

    def register(self, bundle: Model) -> RegisteredVersion:
        """Make the ensemble the challenger: as a new version, or the one as which it is registered already.

        Raises:
            RegistryError: there is no run to register it in.
            TrackingUnavailableError: nobody answers.
        """
        check(self.registry_uri, LOCK_WAIT_S)
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

    def use_holdout(self, digest: str) -> int:
        """Count one more look at a hold-out in a tag of the model, whatever comes of it, and say how many there were.

        Args:
            digest: of the hold-out's labels.
        """
        from mgn_ma.tracking.promotion_lock import promotion_lock

        tag = f"holdout.{digest[:12]}.uses"
        with promotion_lock(self.client, self.name):
            uses = int(self.client.get_registered_model(self.name).tags.get(tag, 0)) + 1
            self.client.set_registered_model_tag(self.name, tag, str(uses))
        return uses

    def settle(
        self, version: RegisteredVersion, champion: RegisteredVersion | None, decision: Decision, at: datetime
    ) -> None:
        """Write a decision down, and move the alias if it says so; ``champion`` has to be the champion still.

        Raises:
            ChampionChangedError: the champion is another by now; nothing was changed.
        """
        from mgn_ma.tracking.promotion_lock import promotion_lock

        if not decision.changes_champion:
            self._write_down(version, decision, at)
            return
        with promotion_lock(self.client, self.name):
            self._require_champion(champion)
            self.client.set_registered_model_alias(self.name, CHAMPION, str(version.number))
            self._write_down(version, decision, at)
            if champion is not None:
                self.client.set_model_version_tag(
                    self.name, str(champion.number), REPLACED_TAG, f"version {version.number}"
                )
            self._require_champion(version)

    def _require_champion(self, expected: RegisteredVersion | None) -> None:
        found = find_holder(self.client, self.name, CHAMPION)
        if (found.number if found else None) != (expected.number if expected else None):
            now = f"version {found.number} is" if found else "no version is"
            raise ChampionChangedError(f"{now} the champion of {self.name} by now")

    def _write_down(self, version: RegisteredVersion, decision: Decision, at: datetime) -> None:
        """Tags tell the last decision, the description all of them."""
        number = str(version.number)
        found = self.client.get_model_version(self.name, number)
        tags = tags_of_decision(decision, at, self.run_id)
        for tag in [tag for tag in found.tags if tag.startswith(DECISION_PREFIX) and tag not in tags]:
            self.client.delete_model_version_tag(self.name, number, tag)
        for tag, value in tags.items():
            self.client.set_model_version_tag(self.name, number, tag, value)
        description = with_decision(found.description or "", decision, at)
        self.client.update_model_version(self.name, number, description)

    def _same(self, bundle: Model) -> RegisteredVersion | None:
        found = self.client.search_model_versions(f"name = '{self.name}' and tag.{DIGEST_TAG} = '{bundle.digest()}'")
        return max(map(RegisteredVersion.from_mlflow, found), key=lambda version: version.number, default=None)

    def _add(self, bundle: Model) -> RegisteredVersion:
        from mgn_ma.tracking.logged_model import log_bundle

        if self.run_id is None:
            raise RegistryError("a model is registered in a run, and tracking is switched off: switch it on")
        run = self.client.get_run(self.run_id)
        code = bundle.description.code_version | {tag: run.data.tags[tag] for tag in _GIT_TAGS if tag in run.data.tags}
        bundle = bundle.with_code_version(code)
        model = log_bundle(self.client, run, self.name, bundle)
        self._require_model(bundle)
        created = self.client.create_model_version(
            self.name,
            source=model.artifact_location,
            run_id=self.run_id,
            model_id=model.model_id,
            tags=tags_of(bundle),
            description=describe(bundle),
        )
        return RegisteredVersion.from_mlflow(created)

    def _require_model(self, bundle: Model) -> None:
        from mlflow.exceptions import MlflowException

        try:
            # A caution belongs where the model is chosen, too.
            said = bundle.caution or "an MGN-MA ensemble a version"
            self.client.create_registered_model(
                self.name, description=f"Evoked expressions of a video's viewers: {said}."
            )
        except MlflowException as error:
            if not is_error(error, "RESOURCE_ALREADY_EXISTS"):
                raise

    def _require_answer(self) -> None:
        """Ask before MLflow does, which would wait for minutes, or create the database that it doesn't find."""
        if self.registry_uri.startswith(SQLITE) and not database_file(self.registry_uri).exists():
            raise RegistryError(f"there is no MLflow at {self.registry_uri} yet: {HOW_TO_REGISTER}")
        check(self.registry_uri)


def current_registry(name: str = MODEL) -> ModelRegistry:
    """The registry of the MLflow that is set, with the active run if there is one."""
    import mlflow

    active = mlflow.active_run()
    run_id = active.info.run_id if active else None
    return ModelRegistry(mlflow.get_tracking_uri(), mlflow.get_registry_uri(), name, run_id)
