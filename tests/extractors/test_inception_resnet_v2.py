"""Image features against timm's own network and its own transform, from a video file to rows."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from timm.data import create_transform, resolve_data_config
from torch import nn

from mgn_ma.extractors.base import ExtractionError
from mgn_ma.extractors.inception_resnet_v2.config import InceptionResnetV2Config
from mgn_ma.extractors.inception_resnet_v2.extractor import InceptionResnetV2Extractor
from mgn_ma.extractors.inception_resnet_v2.network import fold_batch_norms, from_state, load_network
from mgn_ma.extractors.pretrained import Pretrained, WeightsError
from mgn_ma.extractors.weights import randomise
from mgn_ma.media.errors import MediaError
from mgn_ma.media.source import VideoSource

Picture = npt.NDArray[np.uint8]


def picture(seed: int, height: int = 270, width: int = 480) -> Picture:
    """Blobs, edges and grain in colour."""
    generator = torch.Generator().manual_seed(seed)
    image = torch.full((1, 3, height, width), 128.0)
    for detail in (3, 9, 30, 90):
        coarse = torch.randn(1, 3, detail, detail, generator=generator) * 120 / detail**0.5
        image += nn.functional.interpolate(coarse, (height, width), mode="bicubic")
    return image[0].permute(1, 2, 0).clamp(0, 255).byte().numpy()


def write_video(path: Path, pictures: list[Picture], rate: int = 6) -> VideoSource:
    """Losslessly, one picture every 1 / rate s, in a container that holds such times exactly."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("png", rate=rate)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "rgb24"
        for image in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    return VideoSource(video_id=path.stem, video_path=str(path))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A full timm checkpoint, classifier included, whose batch norms are not the identity."""
    network = timm.create_model("inception_resnet_v2", pretrained=False, num_classes=1000)
    randomise(network, 0)
    generator = torch.Generator().manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.2, 0.2, generator=generator)
            module.running_var.uniform_(0.6, 1.6, generator=generator)
            nn.init.uniform_(module.weight, 0.7, 1.3, generator=generator)
            nn.init.uniform_(module.bias, -0.2, 0.2, generator=generator)
    path = tmp_path_factory.mktemp("weights") / "model.safetensors"
    save_file(network.state_dict(), path)
    return path


@pytest.fixture(scope="module")
def config(checkpoint: Path) -> InceptionResnetV2Config:
    return InceptionResnetV2Config(pretrained=Pretrained(path=str(checkpoint)), device="cpu", batch_size=3)


@pytest.fixture(scope="module")
def extractor(config: InceptionResnetV2Config) -> InceptionResnetV2Extractor:
    return InceptionResnetV2Extractor(config)


@pytest.fixture(scope="module")
def timms_own(checkpoint: Path) -> nn.Module:
    """The checkpoint as timm loads it by itself."""
    overlay = {"file": str(checkpoint)}
    return timm.create_model(
        "inception_resnet_v2", pretrained=True, pretrained_cfg_overlay=overlay, num_classes=0
    ).eval()


def timms_vectors(network: nn.Module, pictures: list[Picture]) -> npt.NDArray[np.float32]:
    transform = create_transform(**resolve_data_config({}, model=network))
    with torch.inference_mode():
        return network(torch.stack([transform(Image.fromarray(image)) for image in pictures])).numpy()


def relative(ours: npt.NDArray[np.float32], theirs: npt.NDArray[np.float32]) -> float:
    """Distance to the reference, against how far the references of different pictures lie apart."""
    return float(np.linalg.norm(ours - theirs) / np.linalg.norm(theirs - theirs.mean(axis=0)))


@pytest.mark.slow
def test_on_the_same_pixels_the_vectors_are_timms(extractor: InceptionResnetV2Extractor, timms_own: nn.Module) -> None:
    pixels = [picture(seed, 299, 299) for seed in range(3)]
    with torch.inference_mode():
        reference = timms_own(torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2) / 127.5 - 1).numpy()
    assert relative(extractor.forward(pixels).numpy(), reference) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize(("height", "width"), [(270, 480), (640, 360)])
def test_from_a_video_the_vectors_are_those_of_timms_transform(
    tmp_path: Path, extractor: InceptionResnetV2Extractor, timms_own: nn.Module, height: int, width: int
) -> None:
    pictures = [picture(seed, height, width) for seed in range(4)]
    rows = extractor.extract(write_video(tmp_path / "v.mov", pictures))
    assert rows.timestamps_us.tolist() == [0, 166_666, 333_333, 500_000]
    assert rows.ends_us.tolist() == [166_666, 333_333, 500_000, 666_666]
    assert rows.vectors.shape == (4, extractor.width) == (4, 1536)
    # swscale and Pillow round a resized pixel differently by one level in five.
    assert relative(rows.vectors, timms_vectors(timms_own, pictures)) < 0.02


@pytest.mark.slow
def test_a_grid_row_shows_the_frame_of_its_time(tmp_path: Path, extractor: InceptionResnetV2Extractor) -> None:
    red, green = np.zeros((2, 64, 64, 3), np.uint8)
    red[..., 0] = green[..., 1] = 255
    # At 12 per second every other picture is on the grid.
    first = write_video(tmp_path / "a.mov", [red, green, green, red], rate=12)
    second = write_video(tmp_path / "b.mov", [green], rate=6)
    of_red, of_green = extractor.forward([np.broadcast_to(image[0, 0], (299, 299, 3)) for image in (red, green)])
    for video, expected in ((first, [of_red, of_green]), (second, [of_green])):
        vectors = torch.from_numpy(extractor.extract(video).vectors)
        torch.testing.assert_close(vectors, torch.stack(expected), rtol=1e-4, atol=1e-4)


def test_a_video_that_cannot_be_read_is_an_error(tmp_path: Path, extractor: InceptionResnetV2Extractor) -> None:
    with pytest.raises(ExtractionError, match="no video file"):
        extractor.extract(VideoSource(video_id="x"))
    with pytest.raises(MediaError, match="no such file"):
        extractor.extract(VideoSource("x", video_path=str(tmp_path / "none.mov"), duration_us=1_000_000))


@pytest.mark.slow
def test_bfloat16_points_the_same_way(config: InceptionResnetV2Config, extractor: InceptionResnetV2Extractor) -> None:
    pixels = [picture(0, 299, 299)]
    half = InceptionResnetV2Extractor(config.model_copy(update={"precision": "bfloat16"}))
    vectors = half.forward(pixels).float()
    assert torch.cosine_similarity(vectors, extractor.forward(pixels)).min() >= 0.999


def test_folding_covers_every_batch_norm(config: InceptionResnetV2Config) -> None:
    network = load_network(config.weights_needed()[0])
    assert any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    fold_batch_norms(network)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in network.modules())


def layout(classes: int) -> dict[str, torch.Tensor]:
    """timm's names and shapes, without memory behind them."""
    with torch.device("meta"):
        return timm.create_model("inception_resnet_v2", pretrained=False, num_classes=classes).state_dict()


@pytest.mark.parametrize("classes", [0, 7, 1000])
def test_a_checkpoint_may_have_any_classifier_or_none(classes: int) -> None:
    with torch.device("meta"):
        assert isinstance(from_state(layout(classes), "x.safetensors").classif, nn.Identity)


@pytest.mark.parametrize(
    "key",
    [
        "conv2d_1a.conv.weight",
        "mixed_6a.branch0.bn.running_var",
        "repeat_1.9.conv2d.bias",
        "classif.weight",
        "classif.bias",
    ],
)
def test_one_renamed_key_is_refused(key: str) -> None:
    state = layout(1000)
    state[f"{key}_"] = state.pop(key)
    with torch.device("meta"), pytest.raises(WeightsError, match=f"unexpected.*{key}_"):
        from_state(state, "x.safetensors")


@pytest.mark.slow
def test_untrained_vectors_tell_pictures_apart_and_follow_the_seed() -> None:
    pixels = [picture(seed, 299, 299) for seed in range(2)]

    def vectors(seed: int) -> torch.Tensor:
        return InceptionResnetV2Extractor(
            InceptionResnetV2Config(pretrained=Pretrained(random=seed), device="cpu")
        ).forward(pixels)

    first = vectors(0)
    assert torch.equal(first, vectors(0))
    assert not torch.allclose(first, vectors(1), rtol=0.1)
    assert (first[0] - first[1]).norm() > 0.05 * first[0].norm()
