"""Loading others' checkpoints strictly and without running what is in them, and checking all of them before a run.

safetensors hold nothing but tensors. A ``.pth`` is a pickle, which could hold code: it is read by torch's restricted
unpickler (``weights_only``), which refuses all that is not a tensor or a plain container.
"""

from __future__ import annotations

import logging
import pickle
import re
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mgn_ma.extractors.base import ExtractorConfig
from mgn_ma.extractors.pretrained import (
    NetworkConfig,
    Pretrained,
    PublicWeights,
    WeightsError,
    WeightsNeed,
    file_sha256,
    locate,
    record_of,
    recorded_sha256,
)

if TYPE_CHECKING:
    from torch import Tensor, nn

log = logging.getLogger(__name__)

_NAMED_KEYS = 5
_CODE = re.compile(r"(?i)unsupported global|unrecognized function|can only create new object|can only build tensor")
"""What torch's restricted unpickler says of a pickle that asks for more than tensors; all else is damage."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why the weights of one extractor can't be used, and what to do about it."""

    name: str
    """What the caller calls the extractor: the modality."""
    network: str
    reason: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.name} ({self.network}): {self.reason}\n    {self.remedy}"


def read_weights(need: WeightsNeed) -> dict[str, Tensor]:
    """The state dict of a network of one file, its digest checked if one is configured.

    Raises:
        WeightsError: if the file is absent, has another digest, or holds anything but tensors.
    """
    return read_state_dict(verified(need))


def verified(need: WeightsNeed) -> Path:
    """The weights file proper (of a directory: the first), after its digest is found to be what it should be.

    That is the configured digest, and without one that which was recorded when the file was fetched, if it was.

    Raises:
        WeightsError: if a file is absent or the digest differs.
    """
    path = locate(need)[0]
    expected, said_by = need.pretrained.sha256, "is configured"
    if expected is None:
        expected, said_by = recorded_sha256(path), f"was recorded in {record_of(path)}"
    if expected is not None and not (actual := file_sha256(path)).startswith(expected):
        raise WeightsError(f"{path} has SHA-256 {actual}, but {expected} {said_by}: not the same file")
    return path


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Read named tensors from a ``.safetensors`` or a ``.pth`` file, on the CPU. NumPy arrays count as tensors.

    Raises:
        WeightsError: if the file is damaged, holds code, or holds anything but named tensors.
    """
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(path)
        except SafetensorError as error:
            raise WeightsError(f"{path} is not a whole safetensors file: {error}") from error
    return _only_tensors(_unpickle_safely(path), path)


def _unpickle_safely(path: Path) -> Any:
    import torch

    # mmap leaves the tensors on disk until they are copied, but only the zip format of torch >= 1.6 has it.
    mmap = zipfile.is_zipfile(path)
    try:
        with torch.serialization.safe_globals(_numpy_globals()):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except pickle.UnpicklingError as error:
        if not _CODE.search(str(error)):
            raise WeightsError(f"{path} is damaged or no torch checkpoint") from error
        raise WeightsError(
            f"{path} holds pickled code beside tensors, which was refused and not run; "
            "save its state dict as .safetensors, on a machine where you trust the file"
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError) as error:
        raise WeightsError(f"{path} is damaged or no torch checkpoint: {error}") from error


def _numpy_globals() -> list[Any]:
    """What the unpickler needs to rebuild a plain NumPy array, under the names of NumPy 1 and 2."""
    import numpy as np

    reconstruct = np.empty(0).__reduce__()[0]
    dtypes = [type(np.dtype(kind)) for kind in (np.float16, np.float32, np.float64, np.int64)]
    return [np.ndarray, np.dtype, *dtypes, reconstruct, (reconstruct, "numpy.core.multiarray._reconstruct")]


def _only_tensors(checkpoint: Any, path: Path) -> dict[str, Tensor]:
    import numpy as np
    import torch

    if not isinstance(checkpoint, Mapping):
        raise WeightsError(f"{path} holds a {type(checkpoint).__name__}, not named tensors")
    state: dict[str, Tensor] = {}
    for key, value in checkpoint.items():
        tensor = torch.from_numpy(value) if isinstance(value, np.ndarray) and value.dtype.kind in "fi" else value
        if not isinstance(key, str) or not isinstance(tensor, torch.Tensor):
            kind = type(value).__name__
            raise WeightsError(f"{path}: {key!r} is a {kind}, not a tensor; is the state dict inside of it?")
        state[key] = tensor
    return state


def load_strictly(network: nn.Module, state: Mapping[str, Tensor], origin: str | Path) -> None:
    """Copy a state dict into a network if, and only if, every key and every shape is exactly the network's.

    Args:
        network: what is loaded into, in place.
        state: named tensors.
        origin: where they come from, for the message.

    Raises:
        WeightsError: naming missing keys, extra keys and wrong shapes.
    """
    wanted = network.state_dict()
    complaints = []
    if missing := sorted(wanted.keys() - state.keys()):
        complaints.append(f"missing {_some(missing)}")
    if extra := sorted(state.keys() - wanted.keys()):
        complaints.append(f"unexpected {_some(extra)}")
    shapes = [
        f"{key} {list(state[key].shape)} instead of {list(wanted[key].shape)}"
        for key in sorted(wanted.keys() & state.keys())
        if state[key].shape != wanted[key].shape
    ]
    if shapes:
        complaints.append(f"wrong shape of {_some(shapes)}")
    if complaints:
        raise WeightsError(f"{origin} does not fit {type(network).__name__}: {'; '.join(complaints)}")
    network.load_state_dict(dict(state), strict=True)


def randomise(network: nn.Module, seed: int) -> None:
    """Fill a network with random weights that keep a signal alive through many layers (He's, biases zero).

    What frameworks initialise with by default lets the signal of a deep network fade to a constant: every input would
    get the same vector. The global random state is neither used nor changed.
    """
    import torch
    from torch import nn

    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def _some(names: Iterable[str]) -> str:
    names = list(names)
    more = f" and {len(names) - _NAMED_KEYS} more" if len(names) > _NAMED_KEYS else ""
    return ", ".join(names[:_NAMED_KEYS]) + more


def check_weights(configs: Mapping[str, ExtractorConfig]) -> list[Problem]:
    """Find out, before any video is decoded, whether every network's weights are there and are what it needs.

    Each network with files is loaded once, one after the other, and let go: seconds, against hours of extraction.

    Args:
        configs: extractor configurations by the name that the message gives them (the modality).

    Returns:
        One problem for each extractor whose weights are absent or wrong; descriptors and random networks have none.
    """
    problems = []
    for name, config in configs.items():
        if not isinstance(config, NetworkConfig):
            continue
        absent = [problem for need in config.weights_needed() if (problem := _presence(name, need)) is not None]
        problems.extend(absent or _fit(name, config))
    return problems


def require_weights(configs: Mapping[str, ExtractorConfig]) -> None:
    """Stop with one message that names everything that is absent or wrong, and how to get it.

    Raises:
        WeightsError: if :func:`check_weights` finds a problem.
    """
    if problems := check_weights(configs):
        listed = "\n  ".join(str(problem) for problem in problems)
        raise WeightsError(
            f"{len(problems)} of the pretrained networks can't be used; nothing was decoded.\n  {listed}\n"
            "`kedro run --pipelines weights` lists what is needed, and fetches it with `--params weights.fetch=true`. "
            "`kedro run --env sample` needs no weights at all."
        )


def _presence(name: str, need: WeightsNeed) -> Problem | None:
    try:
        if need.pretrained.random is None:
            verified(need)
    except WeightsError as error:
        return Problem(name, need.network, str(error), how_to_get(need))
    return None


def _fit(name: str, config: NetworkConfig) -> list[Problem]:
    if all(need.pretrained.random is not None for need in config.weights_needed()):
        return []
    try:
        config.load()
    except WeightsError as error:
        return [Problem(name, config.name, str(error), how_to_get(config.weights_needed()[0]))]
    return []


def how_to_get(need: WeightsNeed) -> str:
    """One sentence on where these weights come from and where they have to be."""
    public, pretrained = need.public, need.pretrained
    size = f", {public.size_bytes / 1e6:.0f} MB" if public.size_bytes else ""
    what = f"{public.title} ({public.source}; {public.licence}{size})"
    fetching = "`kedro run --pipelines weights --params weights.fetch=true`"
    if pretrained.hub is not None:
        return f"Get {what}: {fetching}, or name a local copy: `extractors.{need.network}.pretrained: <path>`."
    if fetch_address(pretrained, public) is not None:
        return f"Get {what}: {fetching}, or put it at {pretrained.path}."
    return f"Get {what} and put it at {pretrained.path}. {public.note}".rstrip()


def fetch_address(pretrained: Pretrained, public: PublicWeights) -> str | None:
    """Where the pipeline ``weights`` fetches from: an address, or ``hub:<repository>``; ``None`` if nowhere."""
    if pretrained.hub is not None:
        return f"hub:{pretrained.hub}"
    if pretrained.path is None:
        return None
    if pretrained.url is not None:
        return pretrained.url
    if public.url is not None:
        return public.url
    return f"hub:{public.hub}" if public.hub is not None else None
