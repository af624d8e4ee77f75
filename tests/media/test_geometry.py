from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import PIL.Image
import pytest
from av.video.reformatter import ColorRange, Colorspace
from media_clips import Clip, number_of, numbered
from pydantic import ValidationError
from sklearn.datasets import load_sample_images

from mgn_ma.media.geometry import FrameGeometry, Framer, Image
from mgn_ma.media.probe import probe
from mgn_ma.media.video import iter_frames_at

NETWORK = FrameGeometry(kind="shorter_side_centre_crop", size=299, resize=333)
CLIP = FrameGeometry(kind="centre_square", size=224)
SQUASHED = FrameGeometry(kind="squash_centre_crop", size=48, resize=64)
WHOLE = FrameGeometry(kind="fit", size=64)


def first_image(path: Path, geometry: FrameGeometry) -> Image:
    return next(image for _, image in iter_frames_at(str(path), [0], geometry))


class TestSettings:
    def test_a_crop_must_fit(self) -> None:
        with pytest.raises(ValidationError, match="doesn't fit"):
            FrameGeometry(kind="shorter_side_centre_crop", size=300, resize=299)

    @pytest.mark.parametrize("settings", [{"kind": "centre_square", "size": 8, "resize": 9},
                                          {"kind": "shorter_side_centre_crop", "size": 8},
                                          {"kind": "squash_centre_crop", "size": 8},
                                          {"kind": "fit", "size": 0},
                                          {"kind": "fit", "size": 8, "colour": "red"}])  # fmt: skip
    def test_what_makes_no_sense_is_refused(self, settings: dict[str, object]) -> None:
        with pytest.raises(ValidationError):
            FrameGeometry.model_validate(settings)

    def test_sizes(self) -> None:
        assert NETWORK.scaled_size(1920, 1080) == (592, 333)
        assert NETWORK.scaled_size(1080, 1920) == (333, 592)
        assert CLIP.scaled_size(640, 360) == (398, 224)
        assert SQUASHED.scaled_size(1920, 1080) == SQUASHED.scaled_size(1, 8000) == (64, 64)
        assert WHOLE.scaled_size(1920, 1080) == (64, 36)
        assert WHOLE.scaled_size(1, 8000) == (1, 64)


def planes(pixel_format: str, y: int, u: int, v: int, size: tuple[int, int] = (64, 48)) -> av.VideoFrame:
    frame = av.VideoFrame(*size, pixel_format)
    deep = "10" in pixel_format
    for plane, value in zip(frame.planes, (y, u, v), strict=False):
        filled = np.full(plane.buffer_size // (2 if deep else 1), value * (4 if deep else 1), "<u2" if deep else "u1")
        plane.update(filled.tobytes())
    return frame


def rgb_by_definition(y: int, u: int, v: int, kr: float, kb: float, *, full: bool) -> np.ndarray:
    """ITU-R BT.601/709/2020: the equations, in floating point."""
    luma = y / 255 if full else (y - 16) / 219
    cb, cr = ((value - 128) / (255 if full else 224) for value in (u, v))
    red, blue = luma + 2 * (1 - kr) * cr, luma + 2 * (1 - kb) * cb
    green = (luma - kr * red - kb * blue) / (1 - kr - kb)
    return np.clip(np.round(255 * np.array([red, green, blue])), 0, 255)


MATRICES = {1: (0.2126, 0.0722), 5: (0.299, 0.114), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}


class TestColours:
    @pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv444p10le", "nv12"])
    @pytest.mark.parametrize("matrix", MATRICES)
    @pytest.mark.parametrize("full", [False, True])
    @pytest.mark.parametrize("yuv", [(120, 90, 170), (60, 140, 110), (200, 128, 128)])
    def test_matrix_and_range_are_the_streams(
        self, pixel_format: str, matrix: int, full: bool, yuv: tuple[int, int, int]
    ) -> None:
        frame = planes(pixel_format, *yuv)
        if pixel_format == "nv12":
            chroma = np.tile(np.array(yuv[1:], np.uint8), frame.planes[1].buffer_size // 2)
            frame.planes[1].update(chroma.tobytes())
        frame.colorspace, frame.color_range = matrix, 2 if full else 1
        for geometry in (WHOLE, FrameGeometry(kind="centre_square", size=31)):
            rgb = Framer(geometry).array(frame)
            expected = rgb_by_definition(*yuv, *MATRICES[matrix], full=full)
            assert np.abs(rgb.astype(int) - expected).max() <= 2

    def test_untagged_colours_are_guessed_by_size_as_players_do(self) -> None:
        for size, matrix in (((640, 480), 5), ((1280, 720), 1), ((720, 576), 5), ((608, 1080), 1)):
            rgb = Framer(WHOLE).array(planes("yuv420p", 120, 90, 170, size))
            expected = rgb_by_definition(120, 90, 170, *MATRICES[matrix], full=False)
            assert np.abs(rgb.astype(int) - expected).max() <= 2

    def test_formats_that_are_full_by_name(self) -> None:
        rgb = Framer(WHOLE).array(planes("yuvj420p", 255, 128, 128))
        assert rgb.min() >= 254
        grey = Framer(WHOLE).array(planes("gray", 77, 0, 0))
        assert np.abs(grey.astype(int) - 77).max() <= 1

    def test_tags_survive_the_file(self, tmp_path: Path) -> None:
        def draw(_: int) -> av.VideoFrame:
            return planes("yuv420p", 120, 90, 170)

        def tag(stream: av.VideoStream) -> None:
            stream.codec_context.colorspace, stream.codec_context.color_range = 1, 2

        path = Clip(n_frames=3, picture=draw, prepare=tag, options={"qp": "0"}).write(tmp_path / "tagged.mp4")
        expected = rgb_by_definition(120, 90, 170, *MATRICES[1], full=True)
        assert np.abs(first_image(path, WHOLE).astype(int) - expected).max() <= 3


class TestAgainstPillow:
    """timm resizes with Pillow's bicubic; one pass of swscale must come close on photographs."""

    @pytest.mark.parametrize("size", [(640, 360), (1280, 720), (1920, 1080)])
    @pytest.mark.parametrize("which", [0, 1])
    def test_photographs(self, size: tuple[int, int], which: int) -> None:
        photograph = PIL.Image.fromarray(load_sample_images().images[which]).resize(size, PIL.Image.Resampling.LANCZOS)
        frame = av.VideoFrame.from_ndarray(np.asarray(photograph), "rgb24").reformat(
            format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
        )
        full_size = Framer(FrameGeometry(kind="fit", size=max(size))).array(frame)
        assert full_size.shape == (size[1], size[0], 3)
        reference = np.asarray(
            PIL.Image.fromarray(full_size).resize(NETWORK.scaled_size(*size), PIL.Image.Resampling.BICUBIC)
        )
        difference = Framer(NETWORK).array(frame).astype(int) - NETWORK.crop(reference)
        assert np.abs(difference).mean() < 0.6
        assert abs(difference.mean()) < 0.1
        assert np.sqrt(np.mean(difference**2)) < 1.2

    def test_squashed_photographs(self) -> None:
        photograph = load_sample_images().images[0]
        reference = PIL.Image.fromarray(photograph).resize((64, 64), PIL.Image.Resampling.BICUBIC)
        squashed = Framer(SQUASHED).array(av.VideoFrame.from_ndarray(photograph, "rgb24"))
        difference = squashed.astype(int) - np.asarray(reference)[8:56, 8:56]
        assert squashed.shape == (48, 48, 3)
        assert np.abs(difference).mean() < 0.6


class TestOrientation:
    @staticmethod
    def corners() -> Image:
        image = np.zeros((32, 64, 3), np.uint8)
        image[:16, :32], image[:16, 32:] = (255, 0, 0), (0, 255, 0)
        image[16:, :32], image[16:, 32:] = (0, 0, 255), (255, 255, 255)
        return image

    @pytest.mark.parametrize("degrees", [0, 90, 180, -90])
    @pytest.mark.parametrize("mirror", [None, "hflip", "vflip"])
    def test_is_displayed_upright(self, tmp_path: Path, degrees: int, mirror: str | None) -> None:
        def prepare(stream: av.VideoStream) -> None:
            stream.set_display_rotation(degrees, hflip=mirror == "hflip", vflip=mirror == "vflip")

        clip = Clip(n_frames=3, size=(64, 32), picture=lambda _: self.corners(), prepare=prepare, options={"qp": "0"})
        path = clip.write(tmp_path / "turned.mp4")
        expected = np.rot90(self.corners(), degrees // 90)
        if mirror:
            expected = expected[:, ::-1] if mirror == "hflip" else expected[::-1]
        shown = first_image(path, WHOLE)
        assert shown.shape == expected.shape
        for y in (8, -8):
            for x in (8, -8):
                assert np.abs(shown[y, x].astype(int) - expected[y, x]).max() < 30
        info = probe(str(path))
        assert (info.width, info.height) == expected.shape[1::-1]

    def test_crops_refer_to_the_upright_frame(self, tmp_path: Path) -> None:
        clip = Clip(n_frames=3, size=(128, 96), prepare=lambda stream: stream.set_display_rotation(90))
        path = clip.write(tmp_path / "turned.mp4")
        for geometry in (CLIP, NETWORK):
            assert first_image(path, geometry).shape == (geometry.size, geometry.size, 3)


class TestAspect:
    def test_wide_pixels_widen_the_frame(self, tmp_path: Path) -> None:
        def prepare(stream: av.VideoStream) -> None:
            stream.codec_context.sample_aspect_ratio = Fraction(4, 3)

        path = Clip(n_frames=3, prepare=prepare, size=(48, 48)).write(tmp_path / "wide.mp4")
        assert first_image(path, WHOLE).shape == (48, 64, 3)
        info = probe(str(path))
        assert (info.width, info.height) == (64, 48)

    def test_centre_square_takes_the_centre(self, tmp_path: Path) -> None:
        def thirds(_: int) -> Image:
            image = np.zeros((48, 96, 3), np.uint8)
            image[:, 24:72] = 255
            return image

        path = Clip(n_frames=3, size=(96, 48), picture=thirds, options={"qp": "0"}).write(tmp_path / "thirds.mp4")
        square = first_image(path, CLIP)
        assert square.shape == (224, 224, 3)
        assert square[:, 10:-10].min() > 240


class TestAwkwardFrames:
    @pytest.mark.parametrize("pixel_format", ["yuv420p10le", "yuv444p", "yuv422p", "yuv444p10le"])
    def test_pixel_formats(self, tmp_path: Path, pixel_format: str) -> None:
        path = Clip(n_frames=8, pixel_format=pixel_format).write(tmp_path / "deep.mkv")
        assert [number_of(image) for _, image in iter_frames_at(str(path), [0, 200_000], WHOLE)] == [0, 6]

    def test_interlaced(self, tmp_path: Path) -> None:
        path = Clip(n_frames=8, options={"x264-params": "tff=1:interlaced=1"}, size=(64, 96)).write(tmp_path / "i.mp4")
        assert [number_of(image) for _, image in iter_frames_at(str(path), [0, 200_000], WHOLE)] == [0, 6]

    @pytest.mark.parametrize("size", [(1, 1), (1, 64), (3, 5), (63, 47)])
    def test_tiny_and_odd_sizes(self, tmp_path: Path, size: tuple[int, int]) -> None:
        grey = np.full((size[1], size[0], 3), 100, np.uint8)
        clip = Clip(n_frames=2, codec="png", pixel_format="rgb24", size=size, picture=lambda _: grey, rate=10)
        path = clip.write(tmp_path / "tiny.mov")
        for geometry in (NETWORK, CLIP):
            image = first_image(path, geometry)
            assert image.shape == (geometry.size, geometry.size, 3)
            assert np.abs(image.astype(int) - 100).max() <= 2

    def test_a_thread_of_pixels_takes_no_gigabytes(self) -> None:
        stripe = np.zeros((2, 6000, 3), np.uint8)
        stripe[:, 2998:3002] = 255
        image = Framer(NETWORK).array(av.VideoFrame.from_ndarray(stripe, "rgb24"))
        assert image.shape == (299, 299, 3)
        assert image[150, 150].min() > 200

    def test_8k(self) -> None:
        image = Framer(NETWORK).array(planes("yuv420p", 128, 128, 128, (7680, 4320)))
        assert image.shape == (299, 299, 3)

    def test_size_may_change_in_the_middle(self, tmp_path: Path) -> None:
        parts = [
            Clip(n_frames=10, rate=10, size=size, options={"bf": "0"}, container_format="h264")
            .write(tmp_path / f"{size[0]}.h264")
            .read_bytes()
            for size in ((64, 48), (128, 96), (48, 64))
        ]
        (tmp_path / "raw.h264").write_bytes(b"".join(parts))
        path = tmp_path / "changing.ts"
        with av.open(str(tmp_path / "raw.h264")) as reader, av.open(str(path), "w", format="mpegts") as writer:
            stream = writer.add_stream_from_template(reader.streams.video[0])
            for k, packet in enumerate(p for p in reader.demux(video=0) if p.size):
                packet.stream = stream
                packet.time_base, packet.pts, packet.dts = Fraction(1, 10), k, k
                writer.mux(packet)
        shown = list(iter_frames_at(str(path), range(0, 3_000_000, 500_000), CLIP))
        assert [number_of(image) for _, image in shown][:4] == [0, 5, 0, 5]
        assert {image.shape for _, image in shown} == {(224, 224, 3)}
        uncropped = [image.shape for _, image in iter_frames_at(str(path), [0, 1_500_000, 2_500_000], WHOLE)]
        assert uncropped == [(48, 64, 3), (48, 64, 3), (64, 48, 3)]


def test_numbered_images_tell_their_number() -> None:
    assert [number_of(numbered(k)) for k in (0, 1, 2047, 4095)] == [0, 1, 2047, 4095]
