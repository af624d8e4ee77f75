"""Which device a frozen network runs on, in which precision and memory layout."""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import TypeVar

import torch
from torch import nn

from mgn_ma.errors import MGNMAError
from mgn_ma.extractors.pretrained import Precision

log = logging.getLogger(__name__)

_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "could not create a primitive")
"""What CUDA and MPS, torch on a CPU, and oneDNN (whose buffers don't fit) say."""

LESS_MEMORY = "set `precision: bfloat16`, `device: cpu` or fewer `execution.workers`, or take a smaller network"
"""What to change where a network does not fit."""

NetworkT = TypeVar("NetworkT", bound=nn.Module)


class DeviceError(MGNMAError):
    """The device that was asked for is not there, or too small for the network."""


def resolve_device(name: str) -> torch.device:
    """The torch device of a configured name; ``auto`` is CUDA where there is one, then MPS, then the CPU.

    Raises:
        DeviceError: if the device named is not there.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    usable = [kind for kind, is_there in there.items() if is_there]
    # CUDA without an index is the current one: a worker that was given a GPU of its own sees only that.
    device = torch.device(usable[0] if name == "auto" else name)
    if device.type not in usable:
        raise DeviceError(f"device {name!r} is not available here, only {', '.join(usable)}")
    if device.type == "cuda" and device.index is not None and device.index >= torch.cuda.device_count():
        raise DeviceError(f"device {name!r} does not exist: there are {torch.cuda.device_count()} CUDA devices")
    return device


def dtype_of(precision: Precision) -> torch.dtype:
    """What a network of this precision computes in, and takes as input."""
    return {"float32": torch.float32, "bfloat16": torch.bfloat16}[precision]


def place(
    network: NetworkT, device: torch.device, precision: Precision, layout: torch.memory_format | None = None
) -> NetworkT:
    """Freeze a loaded network and put it on a device, in a precision and a memory layout.

    bfloat16 is a cast of weights and input, not autocast: on these networks both are equally near to float32, and the
    cast is the faster by a quarter, since autocast converts the weights again in every pass.

    Args:
        network: what is moved, in place.
        device: where to.
        precision: see :func:`dtype_of`.
        layout: of convolutions' weights: ``torch.channels_last`` or, for video, ``torch.channels_last_3d``.

    Raises:
        DeviceError: the device's memory doesn't suffice for the network.
    """
    network.eval().requires_grad_(False)
    if precision == "bfloat16":
        _warn_where_slow(device)
    try:
        placed = network.to(device, dtype_of(precision))
        return placed if layout is None else placed.to(memory_format=layout)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise DeviceError(f"{device} has too little memory for {type(network).__name__}: {LESS_MEMORY}") from error


@lru_cache(maxsize=1)
def cpu_has_bfloat16() -> bool:
    """Whether this CPU multiplies in bfloat16 (AVX512-BF16 or AMX), so that it pays."""
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


@lru_cache(maxsize=8)
def _warn_where_slow(device: torch.device) -> None:
    if device.type == "cpu" and not cpu_has_bfloat16():
        log.warning("this CPU has no bfloat16 arithmetic: precision bfloat16 is likely slower here than float32")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that a device's memory didn't suffice (each backend says it in its own way)."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    said = str(error).lower()
    return isinstance(error, RuntimeError) and any(words in said for words in _OUT_OF_MEMORY)


def release_memory(device: torch.device) -> None:
    """Give back what the allocator holds for later, so that a smaller batch finds it in one piece."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()
