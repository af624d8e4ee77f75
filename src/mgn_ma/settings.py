"""Kedro's project settings: configuration environments, how they merge, and the hooks that every run has."""

from __future__ import annotations

from mgn_ma.privacy import stay_silent

stay_silent()  # before Kedro loads its plugins, which read the switches on import

from kedro.config import OmegaConfigLoader  # noqa: E402

CONFIG_LOADER_CLASS = OmegaConfigLoader
CONFIG_LOADER_ARGS = {
    "base_env": "base",
    "default_run_env": "local",
    # An environment states only what differs from base; parameters merge key by key.
    "merge_strategy": {"parameters": "soft", "globals": "soft"},
}
DISABLE_HOOKS_FOR_PLUGINS = ("kedro-telemetry",)
