"""Which device a frozen network runs on, in which precision and memory layout."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import lru_cache
from timeit import timeit
from typing import TypeVar, get_args

import torch
from torch import nn

from mgn_ma.errors import MGNMAError
from mgn_ma.extractors.pretrained import Precision

log = logging.getLogger(__name__)

_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "could not create a primitive")
"""What CUDA and MPS, torch on a CPU, and oneDNN (whose buffers don't fit) say."""

LESS_MEMORY = "set `precision: bfloat16`, `device: cpu` or fewer `execution.workers`, or take a smaller network"
"""What to change where a network does not fit."""

MEASURED_S, BRIEFLY_S = 2.0, 0.5
"""How long precisions are timed where somebody asks which one to take, and before a network runs in bfloat16."""

_IMAGES, _CHANNELS, _SIZE, _KERNEL = 4, 256, 17, 3
"""Of the convolution that is timed; the middle of Inception-ResNet-v2 has such ones."""

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


def measured_speeds(device: torch.device, seconds: float) -> dict[Precision, float]:
    """How fast a convolution like those of the image networks is in each precision, in GFLOP/s.

    What a processor says that it can do doesn't tell: with AVX512-BF16 and without AMX, bfloat16 may be the slower one.
    Both take turns for so many ``seconds``, and the best pass of each counts.
    """
    passes = {precision: _convolution(device, dtype_of(precision)) for precision in get_args(Precision)}
    best = {precision: timeit(run, number=1) for precision, run in passes.items()}
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for precision, run in passes.items():
            best[precision] = min(best[precision], timeit(run, number=1))
    operations = 2 * _IMAGES * (_CHANNELS * _KERNEL * _SIZE) ** 2
    return {precision: operations / of_one / 1e9 for precision, of_one in best.items()}


def _convolution(device: torch.device, dtype: torch.dtype) -> Callable[[], float]:
    layer = nn.Conv2d(_CHANNELS, _CHANNELS, _KERNEL, padding="same").to(device, dtype)
    layer = layer.to(memory_format=torch.channels_last)
    images = torch.zeros(_IMAGES, _CHANNELS, _SIZE, _SIZE).to(device, dtype, memory_format=torch.channels_last)

    @torch.inference_mode()
    def run() -> float:
        return float(layer(images)[0, 0, 0, 0])  # waits for the device

    run()
    return run


def advised_precision(device: torch.device) -> str:
    """Which precision is the faster one on a device, with both speeds, for people."""
    speeds = measured_speeds(device, MEASURED_S)
    told = ", ".join(f"{precision} {speed:,.0f} GFLOP/s" for precision, speed in speeds.items())
    return f"`precision: {max(speeds, key=lambda precision: speeds[precision])}` is the faster one on {device} ({told})"


@lru_cache(maxsize=8)
def _warn_where_slow(device: torch.device) -> None:
    speeds = measured_speeds(device, BRIEFLY_S)
    if speeds["bfloat16"] < speeds["float32"]:
        log.warning(
            "precision bfloat16 is slower than float32 on %s here (%.0f and %.0f GFLOP/s)",
            device,
            speeds["bfloat16"],
            speeds["float32"],
        )


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
