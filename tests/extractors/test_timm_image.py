"""Image features against timm's own networks and transforms, from a video file to rows, with trained weights too."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
import skimage.data
import timm
import torch
from lite0 import NETWORK, write_lite0
from PIL import Image
from safetensors.torch import load_file, save_file
from sklearn.datasets import load_sample_images
from timm.data import create_transform, resolve_data_config
from torch import nn

from mgn_ma.extractors.base import ExtractionError
from mgn_ma.extractors.device import DeviceError
from mgn_ma.extractors.pretrained import Pretrained, WeightsError
from mgn_ma.extractors.timm_image.config import InceptionResnetV2Config, TimmImageConfig
from mgn_ma.extractors.timm_image.extractor import InceptionResnetV2Extractor, TimmImageExtractor
from mgn_ma.extractors.timm_image.network import Pictures, fold_batch_norms, from_state
from mgn_ma.extractors.weights import problems_of, randomise, require_weights
from mgn_ma.media.errors import MediaError
from mgn_ma.media.source import VideoSource

Picture = npt.NDArray[np.uint8]

_samples = load_sample_images()
_left, _right, _ = skimage.data.stereo_motorcycle()
PHOTOGRAPHS: dict[str, Picture] = {
    **dict(zip(map(os.path.basename, _samples.filenames), _samples.images, strict=True)),
    "chelsea": skimage.data.chelsea(),
    "coffee": skimage.data.coffee(),
    "rocket": skimage.data.rocket(),
    "left": _left,
    "right": _right,
}


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


def lively(name: str, classes: int) -> nn.Module:
    """An untrained network whose batch norms are not the identity."""
    network = timm.create_model(name, pretrained=False, num_classes=classes).eval()
    randomise(network, 0)
    generator = torch.Generator().manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.2, 0.2, generator=generator)
            module.running_var.uniform_(0.6, 1.6, generator=generator)
            nn.init.uniform_(module.weight, 0.7, 1.3, generator=generator)
            nn.init.uniform_(module.bias, -0.2, 0.2, generator=generator)
    return network


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A full timm checkpoint, classifier included, whose batch norms are not the identity."""
    network = lively("inception_resnet_v2", 1000)
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
    network = config.load()
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
        assert isinstance(from_state("inception_resnet_v2", layout(classes), "x.safetensors").classif, nn.Identity)


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
        from_state("inception_resnet_v2", state, "x.safetensors")


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


def timm_image(network: str, pretrained: Pretrained) -> TimmImageExtractor:
    return TimmImageExtractor(TimmImageConfig(network=network, pretrained=pretrained, device="cpu", batch_size=3))


NETWORKS = {
    "inception_resnet_v2": ("shorter_side_centre_crop", 299, 333, "bicubic"),
    "vit_base_patch16_siglip_224.v2_webli": ("shorter_side_centre_crop", 224, 248, "bicubic"),
    "vit_base_patch16_dinov3.lvd1689m": ("shorter_side_centre_crop", 256, 256, "bicubic"),
    "vit_pe_core_base_patch16_224.fb": ("shorter_side_centre_crop", 224, 224, "bicubic"),
    "tf_efficientnet_lite0": ("shorter_side_centre_crop", 224, 256, "bicubic"),
    "coat_lite_medium_384.in1k": ("squash_centre_crop", 384, 384, "bicubic"),
    "resnet18.tv_in1k": ("shorter_side_centre_crop", 224, 256, "bilinear"),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_pictures_are_those_of_timms_data_configuration(name: str) -> None:
    with torch.device("meta"):
        network = timm.create_model(name)
    geometry = Pictures.of(network).geometry
    assert (geometry.kind, geometry.size, geometry.resize, geometry.interpolation) == NETWORKS[name]


@pytest.mark.parametrize(
    ("name", "classes", "width"),
    [
        ("test_vit", 0, 64),  # no batch norm anywhere
        ("resnet10t", 10, 512),  # batch norms apart from their convolutions, bilinear
        ("test_efficientnet", 1000, 256),  # a hidden layer before the classifier
        ("cspresnet50", 10, 1024),  # in blocks, with activations of their own
        ("deit_tiny_distilled_patch16_224", 10, 192),  # two classifiers
        ("convnext_atto", 10, 320),  # the classifier's name has two parts
    ],
)
def test_any_checkpoint_of_timm_gives_timms_vectors(tmp_path: Path, name: str, classes: int, width: int) -> None:
    network = lively(name, classes)
    save_file(network.state_dict(), tmp_path / "any name.safetensors")
    extractor = timm_image(name, Pretrained(path=str(tmp_path / "any name.safetensors")))
    pictures = [picture(seed) for seed in range(4)]
    rows = extractor.extract(write_video(tmp_path / "v.mov", pictures))
    if classes:
        network.reset_classifier(0)
    assert rows.vectors.shape == (4, extractor.width) == (4, width)
    assert relative(rows.vectors, timms_vectors(network, pictures)) < 0.03


def test_the_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    save_file(timm.create_model("test_resnet").state_dict(), tmp_path / "model.safetensors")
    with pytest.raises(WeightsError, match=r"model.safetensors does not fit VisionTransformer: missing blocks"):
        timm_image("test_vit", Pretrained(path=str(tmp_path / "model.safetensors")))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("efficientnet_lit0", r"no network 'efficientnet_lit0': is one of .*efficientnet_lite0"),
        ("vit_base_patch16_siglip_224.v3_webli", r"is one of .*vit_base_patch16_siglip_224.v2_webli"),
        ("hf-hub:nobody/knows", r"no network 'hf-hub:nobody/knows': `timm.list_models\(\)`"),
    ],
)
def test_a_name_that_timm_does_not_know_is_refused_before_any_file_is_looked_for(name: str, says: str) -> None:
    with pytest.raises(WeightsError, match=says):
        require_weights({"image": TimmImageConfig(network=name)})
    with pytest.raises(WeightsError, match=says):
        timm_image(name, Pretrained(random=0))


def test_without_a_checkpoint_it_is_timms_own_that_is_wanted() -> None:
    config = TimmImageConfig(network="vit_base_patch16_siglip_224.v2_webli")
    assert config.pretrained.hub == "timm/vit_base_patch16_siglip_224.v2_webli"
    (problem,) = problems_of(config).values()
    assert "no file model.safetensors or pytorch_model.bin at local hub cache: timm/vit_base_patch16_siglip" in problem


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("deepseek_vit_412m.deepseek_v4_flash_vision_exp", "3 x 392 x 392, cropped by 'border'"),
        ("vit_base_patch16_sapiens2.fb", "3 x 1024 x 768, cropped by 'squash'"),
    ],
)
def test_pictures_that_are_no_squares_in_colour_are_refused(name: str, says: str) -> None:
    with torch.device("meta"):
        network = timm.create_model(name)
    with pytest.raises(WeightsError, match=says):
        Pictures.of(network)


def test_a_device_too_small_for_the_network_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def move(*_: Any, **__: Any) -> nn.Module:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(nn.Module, "to", move)
    with pytest.raises(DeviceError, match=r"^cpu has too little memory for VisionTransformer: set `precision"):
        timm_image("test_vit", Pretrained(random=0))


def test_a_network_that_gives_no_vector_is_refused() -> None:
    network = timm.create_model("test_vit", num_classes=0, global_pool="")
    with pytest.raises(WeightsError, match=r"makes \(\d+, 64\) of a picture, not a vector"):
        Pictures.of(network).width_of(network)


@pytest.fixture(scope="module")
def lite0(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_lite0(tmp_path_factory.mktemp("trained") / "model.safetensors")


@pytest.fixture(scope="module")
def trained(lite0: Path) -> TimmImageExtractor:
    return timm_image(NETWORK, Pretrained(path=str(lite0)))


class TestTrained:
    """ImageNet weights, on photographs that are in nobody's tests of ours but these."""

    @pytest.mark.parametrize(
        ("name", "label"),
        [("china.jpg", 698), ("flower.jpg", 985), ("chelsea", 282), ("coffee", 967), ("rocket", 657), ("left", 665)],
        ids=["palace", "daisy", "tiger cat", "espresso", "missile", "moped"],
    )
    def test_the_right_class_is_among_the_first_five(
        self, tmp_path: Path, trained: TimmImageExtractor, lite0: Path, name: str, label: int
    ) -> None:
        vector = trained.extract(write_video(tmp_path / "v.mov", [PHOTOGRAPHS[name]])).vectors
        state = load_file(lite0)
        scores = torch.from_numpy(vector) @ state["classifier.weight"].T + state["classifier.bias"]
        assert label in scores[0].topk(5).indices.tolist()

    def test_two_frames_of_one_scene_are_nearer_than_those_of_two_scenes(
        self, tmp_path: Path, trained: TimmImageExtractor
    ) -> None:
        # Two cameras side by side, and one that was turned a little.
        scenes = [
            (PHOTOGRAPHS["left"], PHOTOGRAPHS["right"]),
            *((PHOTOGRAPHS[name][:280, :400], PHOTOGRAPHS[name][20:, 40:]) for name in ("china.jpg", "coffee")),
        ]
        frames = [frame for pair in scenes for frame in pair]
        videos = [write_video(tmp_path / f"{k}.mov", [frame]) for k, frame in enumerate(frames)]
        vectors = nn.functional.normalize(
            torch.cat([torch.from_numpy(trained.extract(video).vectors) for video in videos])
        )
        cosines = vectors[::2] @ vectors[1::2].T
        across = cosines[~torch.eye(len(scenes), dtype=torch.bool)]
        assert cosines.diagonal().min() > across.max() + 0.2
