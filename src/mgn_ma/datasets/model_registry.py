"""MLflow's model registry as catalog entries, so that nodes know neither MLflow nor where it is."""

from __future__ import annotations

from typing import Any

from kedro.io import AbstractDataset

from mgn_ma.datasets.handle import HandleDataset
from mgn_ma.inference.model import Model
from mgn_ma.tracking.registry import ModelRegistry, current_registry
from mgn_ma.tracking.versions import CHALLENGER, MODEL, RegisteredVersion


class ModelRegistryDataset(HandleDataset[ModelRegistry]):
    """Loads the registry of the run that goes on.

    Args:
        model: name of the registered model.
        metadata: for Kedro-Viz and others; not used here.
    """

    def __init__(self, *, model: str = MODEL, metadata: dict[str, Any] | None = None) -> None:
        super().__init__({"model": model}, metadata)
        self._model = model

    def load(self) -> ModelRegistry:
        """Open the registry; nothing is asked yet."""
        return current_registry(self._model)


class ChallengerDataset(AbstractDataset[Model, "RegisteredVersion | None"]):
    """The challenger of a registered model: saving a bundle registers it, loading says which version it is.

    Args:
        model: name of the registered model.
        metadata: for Kedro-Viz and others; not used here.
    """

    def __init__(self, *, model: str = MODEL, metadata: dict[str, Any] | None = None) -> None:
        self._model = model
        self.metadata = metadata

    def load(self) -> RegisteredVersion | None:
        """The version that is the challenger; ``None`` where none is."""
        return current_registry(self._model).holder(CHALLENGER)

    def save(self, data: Model) -> None:
        """Register, once: an ensemble that is registered already becomes the challenger again."""
        current_registry(self._model).register(data)

    def _exists(self) -> bool:
        return self.load() is not None

    def _describe(self) -> dict[str, Any]:
        return {"model": self._model}
