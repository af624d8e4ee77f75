"""The plain S3D: its layout is that of the published weights, its layers those of a slow re-derivation in NumPy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from mgn_ma.extractors.pretrained import Pretrained, WeightsError
from mgn_ma.extractors.s3d.config import S3DConfig
from mgn_ma.extractors.s3d.network import (
    MIXED,
    S3D,
    Mixed,
    MixedWidths,
    SelfGating,
    SeparableConv,
    max_pool_same,
    space_to_depth,
    video_tower,
)
from mgn_ma.extractors.weights import load_strictly

Array = npt.NDArray[np.float64]
Weights = dict[str, Array]

LAYOUT: dict[str, list[int]] = json.loads((Path(__file__).parent / "s3d_layout.json").read_text())
TEXT_TOWER = {
    "text_module.word_embd.weight": (5, 3),
    "text_module.fc1.weight": (4, 3),
    "text_module.fc1.bias": (4,),
}


def lively(network: nn.Module, seed: int = 0) -> nn.Module:
    """Random weights and batch norms that are far from the identity, in float64."""
    generator = torch.Generator().manual_seed(seed)
    for layer in network.modules():
        if isinstance(layer, nn.Conv3d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, generator=generator)
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.bias, 0, 0.5, generator=generator)
        if isinstance(layer, nn.BatchNorm3d):
            nn.init.uniform_(layer.weight, -0.5, 1.5, generator=generator)
            nn.init.normal_(layer.bias, 0, 0.3, generator=generator)
            nn.init.normal_(layer.running_mean, 0, 0.3, generator=generator)
            nn.init.uniform_(layer.running_var, 0.2, 2.0, generator=generator)
    return network.double().eval().requires_grad_(False)


def weights_of(network: nn.Module) -> Weights:
    return {key: tensor.numpy() for key, tensor in network.state_dict().items()}


# The slow version: (C, T, H, W) arrays, one clip, one loop per tap or per output.


def slow_space_to_depth(clip: Array) -> Array:
    _, frames, height, width = clip.shape
    out = np.empty((24, frames // 2, height // 2, width // 2))
    channel = 0
    for time in range(2):
        for row in range(2):
            for column in range(2):
                for colour in range(3):
                    out[channel] = clip[colour, time::2, row::2, column::2]
                    channel += 1
    return out


def slow_conv(x: Array, weight: Array, before: tuple[int, int, int], sizes: tuple[int, ...]) -> Array:
    """Output p is the sum over taps k of weight[k] x[p - before + k], where x is zero outside of itself."""
    out = np.zeros((len(weight), *sizes))
    for tap in np.ndindex(*weight.shape[2:]):
        for place in np.ndindex(*sizes):
            source = tuple(p - b + k for p, b, k in zip(place, before, tap, strict=True))
            if all(0 <= s < n for s, n in zip(source, x.shape[1:], strict=True)):
                out[(slice(None), *place)] += weight[(slice(None), slice(None), *tap)] @ x[(slice(None), *source)]
    return out


def slow_norm_relu(x: Array, weights: Weights, name: str) -> Array:
    mean, var = weights[f"{name}.running_mean"], weights[f"{name}.running_var"]
    scale = weights[f"{name}.weight"] / np.sqrt(var + 1e-5)
    shape = (-1, 1, 1, 1)
    return np.maximum((x - mean.reshape(shape)) * scale.reshape(shape) + weights[f"{name}.bias"].reshape(shape), 0)


def slow_pointwise(x: Array, weights: Weights, name: str) -> Array:
    mixed = np.einsum("oi,ithw->othw", weights[f"{name}.conv1.weight"][:, :, 0, 0, 0], x)
    return slow_norm_relu(mixed, weights, f"{name}.bn1")


def slow_separable(x: Array, weights: Weights, name: str) -> Array:
    x = slow_conv(x, weights[f"{name}.conv1.weight"], (0, 1, 1), x.shape[1:])
    x = slow_norm_relu(x, weights, f"{name}.bn1")
    x = slow_conv(x, weights[f"{name}.conv2.weight"], (1, 0, 0), x.shape[1:])
    return slow_norm_relu(x, weights, f"{name}.bn2")


def slow_gating(x: Array, weights: Weights, name: str) -> Array:
    logits = weights[f"{name}.fc.weight"] @ x.mean(axis=(1, 2, 3)) + weights[f"{name}.fc.bias"]
    return x / (1 + np.exp(-logits)).reshape(-1, 1, 1, 1)


def slow_pool(x: Array, kernel: tuple[int, ...], stride: tuple[int, ...]) -> Array:
    """As many outputs as a stride has beginnings; kernel - stride zeros around, the smaller half of them in front."""
    for axis, (size, step) in enumerate(zip(kernel, stride, strict=True), start=1):
        n = x.shape[axis]
        before = (size - step) // 2
        zeros = range(-before, n + size - step - before)
        lines = []
        for start in range(-before, n - before, step):
            inside = [p for p in range(start, start + size) if p in zeros]
            values = [np.take(x, p, axis) if 0 <= p < n else np.zeros_like(np.take(x, 0, axis)) for p in inside]
            lines.append(np.max(values, axis=0))
        x = np.stack(lines, axis)
    return x


def slow_neighbours(x: Array) -> Array:
    out = np.empty_like(x)
    for t, h, w in np.ndindex(*x.shape[1:]):
        around = x[:, max(t - 1, 0) : t + 2, max(h - 1, 0) : h + 2, max(w - 1, 0) : w + 2]
        out[:, t, h, w] = around.max(axis=(1, 2, 3))
    return out


def slow_mixed(x: Array, weights: Weights, name: str = "") -> Array:
    p = f"{name}." if name else ""
    b0 = slow_pointwise(x, weights, f"{p}conv_b0")
    b1 = slow_separable(slow_pointwise(x, weights, f"{p}conv_b1_a"), weights, f"{p}conv_b1_b")
    b2 = slow_separable(slow_pointwise(x, weights, f"{p}conv_b2_a"), weights, f"{p}conv_b2_b")
    b3 = slow_pointwise(slow_neighbours(x), weights, f"{p}conv_b3_b")
    return np.concatenate([slow_gating(b, weights, f"{p}gating_b{i}") for i, b in enumerate((b0, b1, b2, b3))])


def slow_stem(clip: Array, weights: Weights) -> Array:
    x = slow_space_to_depth(clip)
    # conv1 reaches one back in space and not at all in time: that is what dropping its first output comes to.
    x = slow_norm_relu(slow_conv(x, weights["conv1.conv1.weight"], (0, 1, 1), x.shape[1:]), weights, "conv1.bn1")
    x = slow_pool(x, (1, 3, 3), (1, 2, 2))
    return slow_separable(slow_pointwise(x, weights, "conv_2b"), weights, "conv_2c")


def slow_s3d(clip: Array, weights: Weights) -> Array:
    x = slow_pool(slow_gating(slow_stem(clip, weights), weights, "gating"), (1, 3, 3), (1, 2, 2))
    x = slow_mixed(slow_mixed(x, weights, "mixed_3b"), weights, "mixed_3c")
    x = slow_pool(x, (3, 3, 3), (2, 2, 2))
    for name in ("mixed_4b", "mixed_4c", "mixed_4d", "mixed_4e", "mixed_4f"):
        x = slow_mixed(x, weights, name)
    x = slow_pool(x, (2, 2, 2), (2, 2, 2))
    x = slow_mixed(slow_mixed(x, weights, "mixed_5b"), weights, "mixed_5c")
    return weights["fc.weight"] @ x.mean(axis=(1, 2, 3)) + weights["fc.bias"]


def random_map(*shape: int) -> Array:
    return np.random.default_rng(7).normal(size=shape)


def run(layer: Any, x: Array) -> Array:
    with torch.inference_mode():
        out: Array = layer(torch.from_numpy(x)[None])[0].numpy()
    return out


def test_space_to_depth_orders_channels_by_time_row_column_and_colour() -> None:
    clip = random_map(3, 4, 6, 8)
    np.testing.assert_array_equal(run(space_to_depth, clip), slow_space_to_depth(clip))
    # By hand: the second colour at odd frames, even rows and odd columns is channel (1, 0, 1, 1) in that order.
    assert run(space_to_depth, clip)[4 * 3 + 0 * 6 + 1 * 3 + 1, 1, 2, 3] == clip[1, 3, 4, 7]


@pytest.mark.parametrize("shape", [(3, 5, 4, 4), (3, 4, 5, 4), (3, 4, 4, 5)])
def test_space_to_depth_refuses_odd_sizes(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="must be even"):
        run(space_to_depth, random_map(*shape))


@settings(deadline=None, max_examples=60)
@given(
    kernel=st.sampled_from([((1, 3, 3), (1, 2, 2)), ((3, 3, 3), (2, 2, 2)), ((2, 2, 2), (2, 2, 2))]),
    sizes=st.tuples(*[st.integers(1, 7)] * 3),
    lift=st.sampled_from([-5.0, 0.0]),
)
def test_pools_pad_with_zeros_like_tensorflow(
    kernel: tuple[tuple[int, int, int], tuple[int, int, int]], sizes: tuple[int, int, int], lift: float
) -> None:
    x = random_map(2, *sizes) + lift  # where all is below zero, padding with anything but zeros shows
    if any(k > n for k, n in zip(kernel[0], sizes, strict=True)):
        sizes = tuple(max(k, n) for k, n in zip(kernel[0], sizes, strict=True))  # type: ignore[assignment]
        x = random_map(2, *sizes) + lift
    np.testing.assert_array_equal(run(lambda y: max_pool_same(y, *kernel), x), slow_pool(x, *kernel))


def test_self_gating_weighs_channels_by_their_means() -> None:
    layer = lively(SelfGating(5))
    x = random_map(5, 2, 3, 4)
    np.testing.assert_allclose(run(layer, x), slow_gating(x, weights_of(nn.ModuleDict({"g": layer})), "g"), rtol=1e-12)


def test_separable_convolution_is_space_then_time() -> None:
    layer = lively(SeparableConv(3, 4))
    x = random_map(3, 5, 4, 3)
    expected = slow_separable(x, weights_of(nn.ModuleDict({"c": layer})), "c")
    np.testing.assert_allclose(run(layer, x), expected, rtol=1e-10, atol=1e-12)


def test_mixed_block_joins_four_gated_branches() -> None:
    layer = lively(Mixed(MixedWidths(6, 3, 4, 5, 2, 3, 4)))
    x = random_map(6, 4, 3, 5)
    expected = slow_mixed(x, weights_of(layer))
    assert expected.shape == (15, 4, 3, 5)
    np.testing.assert_allclose(run(layer, x), expected, rtol=1e-10, atol=1e-12)


@pytest.fixture(scope="module")
def network() -> S3D:
    layer = lively(S3D())
    assert isinstance(layer, S3D)
    return layer


def test_stem_drops_the_first_output_of_conv1(network: S3D) -> None:
    clip = np.random.default_rng(1).uniform(size=(3, 4, 8, 8))
    np.testing.assert_allclose(
        run(network.forward_stem, clip), slow_stem(clip, weights_of(network)), rtol=1e-9, atol=1e-12
    )


@pytest.mark.slow
def test_the_whole_network_is_the_slow_one(network: S3D) -> None:
    clip = np.random.default_rng(2).uniform(size=(3, 12, 20, 24))  # odd sizes on the way down
    vector = run(network, clip)
    assert vector.shape == (512,)
    np.testing.assert_allclose(vector, slow_s3d(clip, weights_of(network)), rtol=1e-8, atol=1e-10)


def test_the_layout_is_the_published_one() -> None:
    network = S3D()
    assert {key: list(tensor.shape) for key, tensor in network.state_dict().items()} == LAYOUT
    assert len(LAYOUT) == 532
    assert sum(parameter.numel() for parameter in network.parameters()) == 9_670_800
    assert [widths.outputs for widths in MIXED.values()] == [256, 480, 512, 512, 512, 528, 832, 832, 1024]


def checkpoint(seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        key: torch.rand(shape, generator=generator) if shape else torch.tensor(seed + 5)
        for key, shape in LAYOUT.items()
    }


@pytest.mark.slow
def test_any_one_key_renamed_is_refused_by_its_name() -> None:
    network, state = S3D(), checkpoint()
    before = network.state_dict()["fc.bias"].clone()
    for key in LAYOUT:
        renamed = {f"{key}_" if k == key else k: tensor for k, tensor in state.items()}
        with pytest.raises(WeightsError) as raised:
            load_strictly(network, renamed, "s3d.pth")
        assert f"missing {key};" in str(raised.value)
        assert f"unexpected {key}_" in str(raised.value)
    assert torch.equal(network.state_dict()["fc.bias"], before)


@pytest.mark.parametrize("prefix", ["", "module.", "module.module."])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_bare_and_wrapped_files_load_without_their_text_tower(tmp_path: Path, prefix: str, suffix: str) -> None:
    state = checkpoint()
    wrapped = {prefix + key: tensor for key, tensor in state.items()}
    wrapped |= {prefix + key: torch.zeros(shape) for key, shape in TEXT_TOWER.items()}
    path = tmp_path / f"s3d{suffix}"
    save_file(wrapped, path) if suffix == ".safetensors" else torch.save(wrapped, path)
    network = S3DConfig(pretrained=Pretrained(path=str(path))).load()
    assert not network.training
    for key, tensor in network.state_dict().items():
        torch.testing.assert_close(tensor, state[key], rtol=0, atol=0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("mixed_4f.gating_b2.fc.bias"), "missing mixed_4f.gating_b2.fc.bias"),
        (lambda s: s.update({"extra.weight": torch.zeros(1)}), "unexpected extra.weight"),
        (lambda s: s.update({"fc.weight": torch.zeros(4, 1024)}), r"fc.weight \[4, 1024\] instead of \[512, 1024\]"),
        (lambda s: s.update({"module.fc.bias": s.pop("fc.bias")}), "unexpected module.fc.bias"),
    ],
    ids=["missing", "extra", "shape", "prefix of one key only"],
)
def test_a_file_that_does_not_fit_is_refused(tmp_path: Path, change: Any, message: str) -> None:
    state = checkpoint()
    change(state)
    path = tmp_path / "s3d.safetensors"
    save_file(state, path)
    with pytest.raises(WeightsError, match=message):
        S3DConfig(pretrained=Pretrained(path=str(path))).load()


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    config = S3DConfig(pretrained=Pretrained(path=str(tmp_path / "s3d_howto100m.pth")))
    with pytest.raises(WeightsError, match=r"s3d_howto100m\.pth"):
        config.load()


def test_a_checkpoint_that_is_all_prefix_becomes_empty_and_not_endless() -> None:
    assert video_tower({}) == {}
    assert set(video_tower({"module.text_module.fc1.bias": torch.zeros(1)})) == set()


def test_random_weights_depend_on_their_seed_only() -> None:
    torch.manual_seed(1)
    one = S3DConfig(pretrained=Pretrained(random=3)).load()
    drawn = torch.rand(1)
    torch.manual_seed(1)
    other = S3DConfig(pretrained=Pretrained(random=3)).load()
    assert torch.equal(drawn, torch.rand(1))
    third = S3DConfig(pretrained=Pretrained(random=4)).load()
    assert torch.equal(one.fc.weight, other.fc.weight)
    assert not torch.equal(one.fc.weight, third.fc.weight)
