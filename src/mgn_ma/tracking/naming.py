"""A model by its address, and what people call it."""

from __future__ import annotations

from mgn_ma.inference.bundle import Bundle
from mgn_ma.tracking.registry import ModelRegistry


def load_named(registry: ModelRegistry, uri: str) -> tuple[Bundle, str]:
    """Load a model, and say which version it is, also where the address only names an alias.

    Args:
        registry: where it is registered.
        uri: see `ModelRegistry.bundle`.

    Raises:
        RegistryError: there is no such model, version or alias.
    """
    name, _, alias = uri.removeprefix("models:/").partition("@")
    if name == registry.name and alias:
        version = registry.holder(alias)
        if version is not None:
            # By its number: the alias may name another version in the next moment.
            return registry.bundle(version.uri), f"{name} version {version.number} ({alias})"
    bundle = registry.bundle(uri)
    if uri.startswith("models:/"):
        return bundle, uri.removeprefix("models:/").replace("/", " version ")
    return bundle, f"{uri.rstrip('/').rpartition('/')[2]} ({bundle.digest()[:12]})"
