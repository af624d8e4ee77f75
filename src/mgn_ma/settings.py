"""Kedro's project settings: configuration environments, how they merge, and the hooks that every run has."""

from __future__ import annotations

from kedro.config import OmegaConfigLoader

CONFIG_LOADER_CLASS = OmegaConfigLoader
CONFIG_LOADER_ARGS = {
    "base_env": "base",
    "default_run_env": "local",
    # An environment states only what differs from base; parameters merge key by key.
    "merge_strategy": {"parameters": "soft", "globals": "soft"},
}
