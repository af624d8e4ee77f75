"""VGGish against a slow version from its description, its published layout, and sound files to rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
import torch
from pydantic import ValidationError

from mgn_ma.extractors.base import ExtractionError
from mgn_ma.extractors.pretrained import Pretrained, WeightsError
from mgn_ma.extractors.vggish.config import VGGishConfig
from mgn_ma.extractors.vggish.extractor import VGGishExtractor
from mgn_ma.extractors.vggish.network import Postprocessor, VGGish, fill, load_network
from mgn_ma.media.source import VideoSource

Array = npt.NDArray[np.float64]
State = dict[str, torch.Tensor]

SHAPES: dict[str, list[int]] = json.loads((Path(__file__).parent / "vggish_layout.json").read_text())["shapes"]
PCA_KEYS = [key for key in SHAPES if key.startswith("pproc.")]
NETWORK_KEYS = [key for key in SHAPES if not key.startswith("pproc.")]


@pytest.fixture(scope="module")
def state() -> State:
    """Random weights in the published layout, scaled so that no layer fades or saturates."""
    generator = torch.Generator().manual_seed(3)
    made = {}
    for key, shape in SHAPES.items():
        fan_in = int(np.prod(shape[1:])) if len(shape) > 1 else 1
        scale = (2 / fan_in) ** 0.5 if key.endswith("weight") else 0.05
        made[key] = torch.randn(shape, generator=generator) * scale
    return made


def save(state: State, path: Path, keys: list[str]) -> str:
    torch.save({key: state[key] for key in keys}, path)
    return str(path)


@pytest.fixture(scope="module")
def whole(state: State, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A checkpoint with the PCA."""
    return save(state, tmp_path_factory.mktemp("vggish") / "whole.pth", list(SHAPES))


@pytest.fixture(scope="module")
def bare(state: State, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A checkpoint of the network alone, as the published one is."""
    return save(state, tmp_path_factory.mktemp("vggish") / "bare.pth", NETWORK_KEYS)


def settings(path: str, **others: Any) -> VGGishConfig:
    return VGGishConfig(pretrained=Pretrained(path=path), device="cpu", **others)


def parts(config: VGGishConfig) -> tuple[VGGish, Postprocessor | None]:
    return load_network(*config.weights_needed(), final_relu=config.final_relu, postprocess=config.postprocess)


def slow_vggish(patch: Array, state: State, *, final_relu: bool) -> Array:
    """One (96, 64) patch to 128 numbers in float64, channels last throughout, position by position of each kernel."""
    maps = patch[:, :, None]
    for layer, is_pooled in ((0, True), (3, True), (6, False), (8, True), (11, False), (13, True)):
        weight = state[f"features.{layer}.weight"].double().numpy()
        height, width, _ = maps.shape
        padded = np.zeros((height + 2, width + 2, maps.shape[2]))
        padded[1:-1, 1:-1] = maps
        total = np.tile(state[f"features.{layer}.bias"].double().numpy(), (height, width, 1))
        for row in range(3):
            for column in range(3):
                total += padded[row : row + height, column : column + width] @ weight[:, :, row, column].T
        maps = np.maximum(total, 0)
        if is_pooled:
            maps = maps.reshape(height // 2, 2, width // 2, 2, -1).max(axis=(1, 3))
    flat = np.zeros(12288)
    for row in range(6):
        for column in range(4):
            for channel in range(512):
                flat[(row * 4 + column) * 512 + channel] = maps[row, column, channel]
    for layer in (0, 2, 4):
        weight, bias = (state[f"embeddings.{layer}.{kind}"].double().numpy() for kind in ("weight", "bias"))
        flat = weight @ flat + bias
        if layer < 4 or final_relu:
            flat = np.maximum(flat, 0)
    return flat


def patches(n: int) -> list[npt.NDArray[np.float32]]:
    rng = np.random.default_rng(0)
    return [rng.standard_normal((96, 64)).astype(np.float32) * 2 - 1 for _ in range(n)]


@pytest.mark.slow
@pytest.mark.parametrize("final_relu", [True, False])
def test_it_is_the_slow_version_channel_order_included(bare: str, state: State, final_relu: bool) -> None:
    batch = patches(2)
    ours = VGGishExtractor(settings(bare, final_relu=final_relu)).forward(batch).numpy()
    expected = np.stack([slow_vggish(patch.astype(np.float64), state, final_relu=final_relu) for patch in batch])
    assert (expected < 0).any() != final_relu
    np.testing.assert_allclose(ours, expected, rtol=0, atol=2e-6 * np.abs(expected).max())


def slow_pca(embedding: Array, state: State) -> Array:
    matrix, means = (state[key].double().numpy() for key in PCA_KEYS)
    out = np.zeros(128)
    for i in range(128):
        projected = sum(matrix[i, j] * (embedding[j] - means[j, 0]) for j in range(128))
        out[i] = round((min(max(projected, -2.0), 2.0) + 2.0) * 255.0 / 4.0)
    return out


def test_the_pca_is_quantised_as_described(whole: str, state: State) -> None:
    extractor = VGGishExtractor(settings(whole, postprocess=True, precision="bfloat16"))
    embeddings = 3 * np.random.default_rng(1).standard_normal((5, 128))
    ours = extractor._postprocess(torch.from_numpy(embeddings).float()).numpy()
    expected = np.stack([slow_pca(embedding, state) for embedding in embeddings])
    assert expected.min() == 0
    assert expected.max() == 255
    # Where a value lies on the edge between two levels, float32 may take the other one.
    assert np.abs(ours - expected).max() <= 1
    assert (ours == expected).mean() > 0.99


def layout(renamed: str | None = None) -> State:
    """The published names and shapes, without memory behind them."""
    names = {key: f"{key}_" if key == renamed else key for key in SHAPES}
    return {names[key]: torch.empty(shape, device="meta") for key, shape in SHAPES.items()}


def test_the_published_layout_fits() -> None:
    with torch.device("meta"):
        assert fill(VGGish(final_relu=True), Postprocessor(), layout(), "x.pth")


@pytest.mark.parametrize("key", sorted(SHAPES))
def test_any_one_key_renamed_is_refused(key: str) -> None:
    with torch.device("meta"), pytest.raises(WeightsError, match=f"missing {key.removeprefix('pproc.')}"):
        fill(VGGish(final_relu=True), Postprocessor(), layout(renamed=key), "x.pth")


def test_the_pca_comes_from_the_checkpoint_or_from_its_own_file(
    whole: str, bare: str, state: State, tmp_path: Path
) -> None:
    # The published file holds NumPy arrays, and the means as a vector.
    pca = {key.removeprefix("pproc."): state[key].numpy() for key in PCA_KEYS}
    pca["pca_means"] = pca["pca_means"].reshape(-1)
    torch.save(pca, tmp_path / "pca.pth")
    from_file = parts(settings(bare, postprocess=True, pca=Pretrained(path=str(tmp_path / "pca.pth"))))[1]
    from_whole = parts(settings(whole, postprocess=True))[1]
    assert from_file is not None
    assert from_whole is not None
    assert from_file.state_dict().keys() == {"pca_eigen_vectors", "pca_means"}
    for key, tensor in from_file.state_dict().items():
        assert torch.equal(tensor, from_whole.state_dict()[key])
    with pytest.raises(WeightsError, match="PCA"):
        parts(settings(bare, postprocess=True))
    assert parts(settings(whole))[1] is None


def test_a_pca_that_nothing_uses_is_a_mistake() -> None:
    with pytest.raises(ValidationError, match="postprocess"):
        settings("x.pth", pca=Pretrained(path="pca.pth"))


def test_a_new_postprocessor_only_quantises() -> None:
    levels = Postprocessor()(torch.tensor([[-3.0, -2.0, 0.0, 2.0, 3.0] + [0.0] * 123]))
    assert levels[0, :5].tolist() == [0, 0, 128, 255, 255]


def test_each_setting_that_changes_vectors_changes_the_fingerprint(whole: str, bare: str) -> None:
    configs = [settings(whole), settings(bare), settings(bare, final_relu=False), settings(whole, postprocess=True)]
    assert len({config.fingerprint() for config in configs}) == 4


def write_sound(path: Path, seconds: float, rate: int = 16_000) -> npt.NDArray[np.float32]:
    """Losslessly, mono, 16 bit; returns the samples as they will be read."""
    t = np.arange(int(seconds * rate)) / rate
    samples = (12_000 * np.sin(2 * np.pi * (200 * t + 90 * t**2))).astype(np.int16)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=rate, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        frame.sample_rate = rate
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return samples.astype(np.float32) / 32768


def source(path: Path, *, has_audio: bool = True) -> VideoSource:
    return VideoSource(video_id=path.stem, video_path=str(path), has_audio=has_audio)


def test_rows_are_the_patches_of_the_clock(bare: str, tmp_path: Path) -> None:
    from mgn_ma.extractors.audio_patches import log_mel_patches

    extractor = VGGishExtractor(settings(bare, batch_size=2))
    samples = write_sound(tmp_path / "a.wav", 3.2)
    write_sound(tmp_path / "short.wav", 0.97)
    rows = extractor.extract(source(tmp_path / "a.wav"))
    assert rows.timestamps_us.tolist() == [0, 960_000, 1_920_000]
    assert rows.ends_us.tolist() == [960_000, 1_920_000, 2_880_000]
    expected = extractor.forward(list(log_mel_patches([samples]))).numpy()
    np.testing.assert_allclose(rows.vectors, expected, rtol=0, atol=1e-4 * np.abs(expected).max())
    with pytest.raises(ExtractionError, match=r"0\.975 s"):
        extractor.extract(source(tmp_path / "short.wav"))
    with pytest.raises(ExtractionError, match="no sound"):
        extractor.extract(source(tmp_path / "a.wav", has_audio=False))
