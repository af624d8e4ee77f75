"""Which precision a device is faster in, and what is said of it."""

import logging

import pytest
import torch
from torch import nn

from mgn_ma.extractors import device
from mgn_ma.extractors.device import advised_precision, measured_speeds, place

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _ask_anew():
    device._warn_where_slow.cache_clear()


def timed(monkeypatch, float32, bfloat16):
    """Let a pass take so many seconds in either precision."""
    seconds = {torch.float32: float32, torch.bfloat16: bfloat16}
    monkeypatch.setattr(device, "MEASURED_S", 0.0)
    monkeypatch.setattr(device, "BRIEFLY_S", 0.0)
    monkeypatch.setattr(device, "_convolution", lambda _, dtype: dtype)
    monkeypatch.setattr(device, "timeit", lambda dtype, number: seconds[dtype])


def test_speeds_are_the_operations_of_a_pass_over_its_time():
    run = device._convolution(CPU, torch.float32)
    speeds = measured_speeds(CPU, 0.2)
    assert set(speeds) == {"float32", "bfloat16"}
    again = 2 * 4 * 17 * 17 * 256 * 256 * 9 / min(device.timeit(run, number=1) for _ in range(20)) / 1e9
    assert speeds["float32"] == pytest.approx(again, rel=0.9)


@pytest.mark.parametrize(("float32", "bfloat16", "faster"), [(0.01, 0.02, "float32"), (0.02, 0.01, "bfloat16")])
def test_the_faster_precision_is_named_with_both_speeds(monkeypatch, float32, bfloat16, faster):
    timed(monkeypatch, float32, bfloat16)
    said = advised_precision(CPU)
    assert said.startswith(f"`precision: {faster}` is the faster one on cpu (float32 ")
    assert f"bfloat16 {2 * 4 * (17 * 256 * 3) ** 2 / bfloat16 / 1e9:,.0f} GFLOP/s" in said


def test_bfloat16_is_warned_of_once_and_only_where_it_is_slower(monkeypatch, caplog):
    with caplog.at_level(logging.WARNING):
        timed(monkeypatch, 0.02, 0.01)
        place(nn.Linear(2, 2), CPU, "bfloat16")
        assert not caplog.messages
        device._warn_where_slow.cache_clear()
        timed(monkeypatch, 0.01, 0.02)
        for precision in ("float32", "bfloat16", "bfloat16"):
            place(nn.Linear(2, 2), CPU, precision)
    (said,) = caplog.messages
    assert said.startswith("precision bfloat16 is slower than float32 on cpu here (")
