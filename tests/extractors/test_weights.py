"""Weights: found, checked, loaded strictly and never run; absent ones stop everything with one message."""

from __future__ import annotations

import hashlib
import os
import pickle
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import save_file
from torch import nn

from mgn_ma.extractors.base import ExtractorConfig
from mgn_ma.extractors.pretrained import (
    NetworkConfig,
    Pretrained,
    PublicWeights,
    WeightsError,
    WeightsNeed,
    identity,
    locate,
)
from mgn_ma.extractors.weights import (
    load_strictly,
    problems_of,
    randomise,
    read_state_dict,
    require_weights,
    verified,
)

PUBLIC = PublicWeights(
    title="Tiny network",
    licence="CC0",
    megabytes=1.5,
    files=("tiny.pth",),
    url="https://example.org/tiny.pth",
)


def tiny() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))


class TinyConfig(NetworkConfig):
    PUBLIC: ClassVar = {"pretrained": PUBLIC}

    name: Literal["tiny"] = "tiny"
    scale: float = 1.0

    def load(self) -> nn.Module:
        network = tiny()
        load_strictly(network, read_state_dict(verified(need(self.pretrained))), "tiny.pth")
        return network


def need(pretrained: Pretrained, public: PublicWeights = PUBLIC) -> WeightsNeed:
    return WeightsNeed("tiny", "network", pretrained, public)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.pth"
    torch.save(tiny().state_dict(), path)
    return path


class Exploit:
    """What a hostile pickle looks like: it asks to call something while it is loaded."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_with_code_is_refused_and_not_run(tmp_path: Path, zipped: bool) -> None:
    path, marker = tmp_path / "bad.pth", tmp_path / "was-run"
    torch.save({"w": torch.zeros(2), "x": Exploit(marker)}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(WeightsError, match="refused and not run"):
        read_state_dict(path)
    assert not marker.exists()


def test_a_bare_pickle_with_code_is_refused_and_not_run(tmp_path: Path) -> None:
    path, marker = tmp_path / "bad.pth", tmp_path / "was-run"
    path.write_bytes(pickle.dumps(Exploit(marker), protocol=2))
    with pytest.raises(WeightsError, match="refused and not run"):
        read_state_dict(path)
    assert not marker.exists()


@pytest.mark.parametrize("name", ["cut.pth", "cut.safetensors"])
def test_a_cut_file_is_named_as_damaged(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    state = {"w": torch.randn(1000)}
    save_file(state, path) if name.endswith("safetensors") else torch.save(state, path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(WeightsError, match=name):
        read_state_dict(path)


@pytest.mark.parametrize("content", [b"", b"<html>404 not found</html>"])
@pytest.mark.parametrize("name", ["page.pth", "page.safetensors"])
def test_a_web_page_in_place_of_weights_is_no_crash(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError, match=name) as raised:
        read_state_dict(tmp_path / name)
    assert "pickled code" not in str(raised.value)


def test_numpy_arrays_count_as_tensors(tmp_path: Path) -> None:
    path = tmp_path / "arrays.pth"
    torch.save({"a": np.arange(3.0), "b": np.float32([[1, 2]])}, path)
    state = read_state_dict(path)
    assert state["a"].tolist() == [0, 1, 2]
    assert state["b"].dtype == torch.float32


def test_numpy_arrays_of_numpy_1_are_read_too(tmp_path: Path) -> None:
    path = tmp_path / "arrays.pth"
    torch.save({"a": np.arange(3.0)}, path, _use_new_zipfile_serialization=False)
    old = path.read_bytes().replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    assert old != path.read_bytes()
    path.write_bytes(old)
    assert read_state_dict(path)["a"].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "held", [{"state_dict": {"w": torch.zeros(1)}, "epoch": 3}, [torch.zeros(1)], {"w": np.array(["text"])}]
)
def test_only_named_tensors_are_a_state_dict(tmp_path: Path, held: Any) -> None:
    torch.save(held, tmp_path / "x.pth")
    with pytest.raises(WeightsError, match=r"x\.pth"):
        read_state_dict(tmp_path / "x.pth")


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_what_was_saved_is_what_is_loaded(tmp_path: Path, suffix: str) -> None:
    saved, path = tiny(), tmp_path / f"tiny{suffix}"
    save_file(saved.state_dict(), path) if suffix == ".safetensors" else torch.save(saved.state_dict(), path)
    loaded = tiny()
    load_strictly(loaded, read_state_dict(path), path)
    x = torch.randn(5, 3)
    torch.testing.assert_close(loaded(x), saved(x), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda state: state.pop("0.bias"), "missing 0.bias"),
        (lambda state: state.update({"3.weight": torch.zeros(1)}), "unexpected 3.weight"),
        (lambda state: state.update({"2.weight": torch.zeros(4, 2)}), r"2.weight \[4, 2\] instead of \[2, 4\]"),
        (lambda state: state.update({"two.bias": state.pop("2.bias")}), "missing 2.bias; unexpected two.bias"),
    ],
)
def test_any_other_layout_is_refused_and_nothing_is_loaded(change: Any, says: str) -> None:
    state, network = tiny().state_dict(), tiny()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    change(state)
    with pytest.raises(WeightsError, match=says):
        load_strictly(network, state, "somewhere.pth")
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())


def test_a_wrong_digest_is_refused_and_a_right_one_taken(checkpoint: Path) -> None:
    digest = hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    for given in (digest, digest[:8], digest.upper()):
        assert verified(need(Pretrained(path=str(checkpoint), sha256=given))) == checkpoint
    with pytest.raises(WeightsError, match=digest):
        verified(need(Pretrained(path=str(checkpoint), sha256="0" * 64)))


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"path": "a.pth", "random": 0},
        {"path": "a.pth", "hub": "b/c"},
        {"hub": "b/c", "url": "https://example.org"},
        {"path": "a.pth", "url": "file:///etc/passwd"},
        {"path": "a.pth", "url": "ftp://example.org/a.pth"},
        {"path": "a.pth", "url": "a.pth"},
        {"random": 0, "sha256": "0" * 64},
        {"random": -1},
        {"path": "a.pth", "sha256": "md5:1234"},
        {"path": "a.pth", "checksum": "0" * 64},
    ],
)
def test_settings_that_mean_two_things_or_none_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Pretrained(**settings)


class TestFingerprint:
    def test_it_follows_the_content_not_the_place(self, checkpoint: Path, tmp_path: Path) -> None:
        elsewhere = tmp_path / "copy.pth"
        elsewhere.write_bytes(checkpoint.read_bytes())
        here = TinyConfig(pretrained=Pretrained(path=str(checkpoint)))
        there = TinyConfig(pretrained=Pretrained(path=str(elsewhere)), batch_size=3, device="cpu")
        assert here.fingerprint() == there.fingerprint()
        torch.save(tiny().state_dict(), elsewhere)
        assert here.fingerprint() != there.fingerprint()

    def test_it_follows_the_settings_and_the_seed(self) -> None:
        def of(**settings: Any) -> str:
            return TinyConfig(**({"pretrained": Pretrained(random=0)} | settings)).fingerprint()

        variants = {of(), of(scale=2.0), of(precision="bfloat16"), of(pretrained=Pretrained(random=1))}
        assert len(variants) == 4

    def test_a_whole_digest_does_instead_of_the_file(self, checkpoint: Path) -> None:
        digest = hashlib.sha256(checkpoint.read_bytes()).hexdigest()
        with_file = TinyConfig(pretrained=Pretrained(path=str(checkpoint)))
        without = TinyConfig(pretrained=Pretrained(path="/nowhere/tiny.pth", sha256=digest))
        assert with_file.fingerprint() == without.fingerprint()

    def test_without_file_and_digest_there_is_none(self) -> None:
        with pytest.raises(WeightsError, match=r"/nowhere/tiny\.pth"):
            TinyConfig(pretrained=Pretrained(path="/nowhere/tiny.pth")).fingerprint()

    def test_every_file_of_a_directory_counts(self, tmp_path: Path) -> None:
        public = PublicWeights("t", "l", None, files=("w.pth|w.bin", "config.json"), optional_files=("vocab.txt",))
        directory = need(Pretrained(path=str(tmp_path)), public)
        (tmp_path / "w.bin").write_bytes(b"1")
        with pytest.raises(WeightsError, match=r"no file config\.json at"):
            locate(directory)
        (tmp_path / "config.json").write_bytes(b"2")
        first = identity(directory)
        (tmp_path / "vocab.txt").write_bytes(b"3")
        second = identity(directory)
        (tmp_path / "w.pth").write_bytes(b"4")
        assert [path.name for path in locate(directory)] == ["w.pth", "config.json", "vocab.txt"]
        assert len({first, second, identity(directory)}) == 3


class TestCheck:
    def test_one_message_names_everything_and_the_way_out(self, checkpoint: Path, tmp_path: Path) -> None:
        wrong = tmp_path / "wrong.pth"
        torch.save({"0.weight": torch.zeros(1)}, wrong)
        configs: dict[str, ExtractorConfig] = {
            "image": TinyConfig(pretrained=Pretrained(path="/nowhere/image.pth")),
            "audio": TinyConfig(pretrained=Pretrained(path=str(checkpoint), sha256="deadbeef")),
            "action": TinyConfig(pretrained=Pretrained(path=str(wrong))),
            "subtitle": TinyConfig(pretrained=Pretrained(path=str(checkpoint))),
            "title": TinyConfig(pretrained=Pretrained(hub="some/repository")),
            "descriptor": ExtractorConfig(name="image_descriptor"),
        }
        with pytest.raises(WeightsError) as raised:
            require_weights(configs)
        message = str(raised.value)
        for part in ("/nowhere/image.pth", "deadbeef", "missing", "some/repository", "CC0", "weights.fetch=true"):
            assert part in message
        named = [line.split(" (")[0].strip() for line in message.splitlines() if "(tiny):" in line]
        assert named == ["image", "audio", "action", "title"]

    def test_nothing_is_wrong_with_what_is_right(self, checkpoint: Path) -> None:
        config = TinyConfig(pretrained=Pretrained(path=str(checkpoint)))
        assert problems_of(config) == {}
        require_weights({"image": config})

    def test_random_weights_need_no_file_and_descriptors_no_weights(self) -> None:
        require_weights(
            {"a": TinyConfig(pretrained=Pretrained(random=0)), "b": ExtractorConfig(name="audio_descriptor")}
        )


def test_random_weights_come_from_their_seed_alone() -> None:
    def weights(seed: int) -> torch.Tensor:
        network = tiny()
        torch.rand(7)
        randomise(network, seed)
        return torch.cat([tensor.flatten() for tensor in network.state_dict().values()])

    state = torch.random.get_rng_state()
    first = weights(1)
    torch.random.set_rng_state(state)
    assert torch.equal(first, weights(1))
    assert not torch.equal(first, weights(2))
