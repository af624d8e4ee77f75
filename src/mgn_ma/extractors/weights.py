"""Fetching others' checkpoints, and loading them strictly and without running what is in them.

safetensors hold nothing but tensors. A ``.pth`` is a pickle, which could hold code: it is read by torch's restricted
unpickler (``weights_only``), which refuses all that is not a tensor or a plain container.
"""

from __future__ import annotations

import pickle
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mgn_ma.extractors.base import ExtractorConfig
from mgn_ma.extractors.pretrained import FrozenNetwork, NetworkConfig, WeightsError, WeightsNeed, file_sha256, locate

if TYPE_CHECKING:
    from torch import Tensor, nn

_NAMED_KEYS = 5
_CODE = re.compile(r"(?i)unsupported global|unrecognized function|can only create new object|can only build tensor")
"""What torch's restricted unpickler says of a pickle that asks for more than tensors; all else is damage."""


def fetch(need: WeightsNeed) -> None:
    """Fetch what is absent of these weights into the local hub cache, or to the path that the configuration names.

    Raises:
        WeightsError: if no address is known, the client is told to stay offline (``HF_HUB_OFFLINE``), the server
            refuses, or what came is not what is configured.
    """
    from huggingface_hub.constants import is_offline_mode

    try:
        locate(need)
        return
    except WeightsError:
        if need.address is None:
            raise
    if is_offline_mode():
        raise WeightsError(f"{need.address} can't be fetched: HF_HUB_OFFLINE says to stay offline")
    try:
        _fetch_from_hub(need) if need.pretrained.hub else _fetch_to_path(need, need.address)
    except WeightsError:
        raise
    except Exception as error:
        # The two clients and their transports raise errors without a base class in common.
        raise WeightsError(f"{need.address} can't be fetched: {error}") from error


def _fetch_from_hub(need: WeightsNeed) -> None:
    from huggingface_hub import HfApi, hf_hub_download

    repository, revision = need.pretrained.hub or "", need.pretrained.revision
    # Unlike listing or downloading, this fails at once where the hub can't be reached, instead of five tries later.
    there = {file.rfilename for file in HfApi().model_info(repository, revision=revision).siblings or ()}
    for names in (*need.public.files, *need.public.optional_files):
        name = next((name for name in names.split("|") if name in there), None)
        if name is not None:
            hf_hub_download(repository, name, revision=revision)
        elif names in need.public.files:
            raise WeightsError(f"{repository} has no {names.replace('|', ' or ')}")


def _fetch_to_path(need: WeightsNeed, url: str) -> None:
    from torch.hub import download_url_to_file

    path = Path(need.pretrained.path or "").expanduser()
    path.parent.mkdir(parents=True, exist_ok=True)
    download_url_to_file(url, str(path), hash_prefix=need.pretrained.sha256)
    try:
        # A connection that broke off ends the download without an error.
        read_state_dict(path)
    except WeightsError:
        path.unlink()
        raise


def verified(need: WeightsNeed) -> Path:
    """The weights file proper (of a directory: the first), after its digest is found to be the configured one.

    Raises:
        WeightsError: if a file is absent or the digest differs.
    """
    path, expected = locate(need)[0], need.pretrained.sha256
    if expected is not None and not (actual := file_sha256(path)).startswith(expected):
        raise WeightsError(f"{path} has SHA-256 {actual}, but {expected} is configured: not the same file")
    return path


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Read named tensors from a ``.safetensors`` or a ``.pth`` file, on the CPU. NumPy arrays count as tensors.

    Raises:
        WeightsError: if the file is damaged, holds code, or holds anything but named tensors.
    """
    import numpy as np
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        checkpoint: Any = load_file(path) if path.suffix == ".safetensors" else _unpickle_safely(path)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError) as error:
        if not _CODE.search(str(error)):
            raise WeightsError(f"{path} is damaged or no checkpoint") from error
        raise WeightsError(
            f"{path} holds pickled code beside tensors, which was refused and not run; "
            "save its state dict as .safetensors, on a machine where you trust the file"
        ) from error
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


def _unpickle_safely(path: Path) -> Any:
    import numpy as np
    import torch

    # What rebuilds a plain NumPy array, under the names of NumPy 1 and 2.
    reconstruct = np.empty(0).__reduce__()[0]
    dtypes = [type(np.dtype(kind)) for kind in (np.float16, np.float32, np.float64, np.int64)]
    arrays: list[Any] = [
        np.ndarray,
        np.dtype,
        *dtypes,
        reconstruct,
        (reconstruct, "numpy.core.multiarray._reconstruct"),
    ]
    # mmap leaves the tensors on disk until they are copied, but only the zip format of torch >= 1.6 has it.
    with torch.serialization.safe_globals(arrays):
        mapped = zipfile.is_zipfile(path)
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)  # noqa: TID251 - weights_only


def load_strictly(network: nn.Module, state: Mapping[str, Tensor], origin: str | Path) -> None:
    """Copy named tensors into a network if, and only if, every key and every shape is exactly the network's.

    Raises:
        WeightsError: naming ``origin``, missing keys, extra keys and wrong shapes; nothing was copied then.
    """
    wanted = {key: list(tensor.shape) for key, tensor in network.state_dict().items()}
    given = {key: list(tensor.shape) for key, tensor in state.items()}
    differing = sorted(key for key in wanted.keys() & given.keys() if wanted[key] != given[key])
    complaints = {
        "missing": sorted(wanted.keys() - given.keys()),
        "unexpected": sorted(given.keys() - wanted.keys()),
        "wrong shape of": [f"{key} {given[key]} instead of {wanted[key]}" for key in differing],
    }
    if any(complaints.values()):
        listed = "; ".join(f"{what} {_some(keys)}" for what, keys in complaints.items() if keys)
        raise WeightsError(f"{origin} does not fit {type(network).__name__}: {listed}")
    network.load_state_dict(dict(state), strict=True)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED_KEYS} more" if len(names) > _NAMED_KEYS else ""
    return ", ".join(names[:_NAMED_KEYS]) + more


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


def problems_of(config: FrozenNetwork, *, fetch_absent: bool = False) -> dict[WeightsNeed, str]:
    """Why a network's weights can't be used; empty if they can.

    Files are found (or fetched) and hashed; if all are there, the network is loaded once and let go.
    """
    problems = {}
    with_files = [need for need in config.weights_needed() if need.pretrained.random is None]
    try:
        config.check()
    except WeightsError as error:
        return {config.weights_needed()[0]: str(error)}
    for need in with_files:
        try:
            if fetch_absent:
                fetch(need)
            verified(need)
        except WeightsError as error:
            problems[need] = str(error)
    if with_files and not problems:
        try:
            config.load()
        except WeightsError as error:
            problems[with_files[0]] = str(error)
    return problems


def require_weights(configs: Mapping[str, ExtractorConfig]) -> None:
    """Stop, before any video is decoded, with one message that names all weights that are absent or wrong.

    Seconds, against hours of extraction. Descriptors and random networks need no weights.

    Args:
        configs: extractor configurations by modality.

    Raises:
        WeightsError: naming each file, what was expected, and how to get it.
    """
    problems = [
        f"{modality} ({config.name}): {problem}"
        for modality, config in configs.items()
        if isinstance(config, NetworkConfig)
        for problem in problems_of(config).values()
    ]
    if problems:
        raise WeightsError(
            "pretrained weights can't be used; nothing was decoded:\n  " + "\n  ".join(problems) + "\n"
            "`kedro run --pipelines weights` lists what is needed, `--params weights.fetch=true` fetches it, and "
            "`kedro run --env sample` needs no weights at all."
        )
