"""What `mgn-ma doctor` looks at: machine, weights, data, database and champion; what is missing, and what to do."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mgn_ma import __version__
from mgn_ma.errors import message_for_people
from mgn_ma.machine import usable_cpus, usable_memory
from mgn_ma.redaction import redacted

if TYPE_CHECKING:
    from mgn_ma.extractors.base import ExtractorConfig

LIBRARIES = ("torch", "av", "kedro", "mlflow")
LEAST_FREE = 10 << 30
"""Bytes: tracks of EEV's size take more, and the estimate says how much."""


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        about: what was looked at.
        good: whether a run can do with what was found.
        said: what was found; where it isn't good, what to do.
    """

    about: str
    good: bool
    said: str

    def __str__(self) -> str:
        return f"{'ok' if self.good else 'no':<4}{self.about:<14}{self.said}"


def examine(project: Path | None, env: str | None = None) -> Iterator[Finding]:
    """Look at this machine and, in a project, at what runs of an environment need; nothing is changed.

    Args:
        project: root of a Kedro project of this package.
        env: its environment.
    """
    yield _tried("software", _software)
    yield _tried("device", _device)
    yield _disk(project / "data" if project else Path.cwd())
    if project is None:
        yield Finding("project", True, "none around this folder: weights, data and models are those of a project")
        return
    yield from _of_project(project, env)


def _tried(about: str, look: Callable[[], str]) -> Finding:
    """What a look says, or the reason of the error that it ends with."""
    try:
        return Finding(about, True, look())
    except Exception as error:  # whatever is wrong is what was asked for
        return Finding(about, False, message_for_people(error) or f"{type(error).__name__}: {error}")


def _software() -> str:
    versions = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    return f"mgn_ma {__version__}, Python {platform.python_version()}, {versions}"


def _device() -> str:
    import torch

    from mgn_ma.extractors.device import advised_precision, resolve_device

    device = resolve_device("auto")
    name = f" ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else ""
    machine = f"{usable_cpus()} processors and {usable_memory() / 2**30:.0f} GiB that may be used"
    return f"{device.type}{name}; {machine}; {advised_precision(device)}"


def _disk(folder: Path) -> Finding:
    free = shutil.disk_usage(next(place for place in (folder, *folder.parents) if place.exists())).free
    said = f"{free / 2**30:.0f} GiB free for {folder}"
    if free >= LEAST_FREE:
        return Finding("disk", True, said)
    return Finding("disk", False, f"{said}: `kedro run --pipelines extraction_estimate` says what tracks take")


def _of_project(project: Path, env: str | None) -> Iterator[Finding]:
    from kedro.framework.session import KedroSession
    from kedro.framework.startup import bootstrap_project

    bootstrap_project(project)
    session: Any
    with KedroSession.create(project, env=env) as session:
        context: Any = None

        def load() -> str:
            nonlocal context
            context = session.load_context()
            return f"{project}, environment {env or 'base'}"

        yield _tried("project", load)
        if context is None:
            return
        yield from _weights(context.params["modalities"].configs())
        yield _data(context)
        yield _tried("models", lambda: _models(os.environ["MLFLOW_TRACKING_URI"]))  # which a hook has settled


def _weights(configs: Mapping[str, ExtractorConfig]) -> Iterator[Finding]:
    from mgn_ma.extractors.pretrained import NetworkConfig
    from mgn_ma.extractors.weights import problems_of

    for modality, config in configs.items():
        if not isinstance(config, NetworkConfig):
            yield Finding("weights", True, f"{modality}: {config.name} needs none")
            continue
        problems = problems_of(config)
        yield Finding(
            "weights", not problems, f"{modality}: {'; '.join(problems.values()) or f'{config.name} is ready'}"
        )


def _data(context: Any) -> Finding:
    from mgn_ma.hooks.errors import SAMPLE, no_data_message

    names = ("annotations_train", "annotations_validation", "raw_videos_folder")
    absent = [name for name in names if not context.catalog.exists(name)]
    if not absent:
        return Finding("data", True, "annotations and videos are there")
    return Finding("data", False, no_data_message(", ".join(absent), [SAMPLE], renders=context.params["sample"].render))


def _models(uri: str) -> str:
    from mgn_ma.tracking.registry import ModelRegistry
    from mgn_ma.tracking.server import check, database_file
    from mgn_ma.tracking.versions import CHAMPION

    if uri.startswith("sqlite:") and not database_file(uri).exists():
        return f"{redacted(uri)} is made by the first run"
    check(uri)
    champion = ModelRegistry(uri).holder(CHAMPION)
    if champion is None:
        return f"MLflow at {redacted(uri)}, without a champion: `kedro run --pipelines promotion` makes one"
    return f"MLflow at {redacted(uri)}; the champion is version {champion.number}"
