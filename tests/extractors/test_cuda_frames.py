"""Frames as tensors against swscale's arrays: the arithmetic on the CPU, the decoding where a CUDA device is."""

import logging
from fractions import Fraction

import av
import numpy as np
import pytest
import skimage.data
import torch
from av.codec.hwaccel import hwdevices_available
from av.video.reformatter import ColorRange, Colorspace

from mgn_ma.extractors import cuda_frames
from mgn_ma.extractors.batching import batch_of
from mgn_ma.extractors.cuda_frames import CudaDecoder, TensorFramer, chroma_shift, reader
from mgn_ma.extractors.device import DeviceError
from mgn_ma.extractors.reading import FramesOfVideo, read_on_cpu
from mgn_ma.extractors.timm_image.config import InceptionResnetV2Config
from mgn_ma.media.geometry import FrameGeometry
from mgn_ma.media.source import VideoSource
from mgn_ma.media.video import iter_frames_at, iter_shown

CPU = torch.device("cpu")
SIZE = (448, 300)
SECOND = 1_000_000
IMAGE = FrameGeometry(kind="shorter_side_centre_crop", size=199, resize=222)
ACTION = FrameGeometry(kind="centre_square", size=224)
SHRUNK = [
    IMAGE,
    ACTION,
    FrameGeometry(kind="squash_centre_crop", size=48, resize=64, interpolation="bilinear"),
    FrameGeometry(kind="centre_square", size=100, interpolation="area"),
    FrameGeometry(kind="fit", size=160),
    FrameGeometry(kind="whole"),
]
GROWN = [FrameGeometry(kind="fit", size=600, interpolation=name) for name in ("bilinear", "bicubic", "area")]
COLOURS = [
    (Colorspace.ITU601, ColorRange.MPEG),
    (Colorspace.ITU601, ColorRange.JPEG),
    (Colorspace.ITU709, ColorRange.MPEG),
    (Colorspace.ITU709, ColorRange.JPEG),
    (Colorspace.BT2020, ColorRange.MPEG),
]
TAGS = {Colorspace.ITU601: 6, Colorspace.ITU709: 1, Colorspace.BT2020: 9}


def write_film(path, pixel_format="yuv420p", colours=COLOURS[2], chroma_location=0):
    """A second of a photograph that moves, as H.264 of 12 frames with B-frames, tagged with its colours."""
    photograph = skimage.data.coffee()
    matrix, span = colours
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=12, options={"crf": "18", "g": "6", "bf": "2"})
        stream.options |= {"x264-params": f"chromaloc={chroma_location}"}
        stream.width, stream.height, stream.pix_fmt = *SIZE, pixel_format
        stream.codec_context.colorspace, stream.codec_context.color_range = TAGS[matrix], span
        for k in range(12):
            shown = np.ascontiguousarray(photograph[5 * k : 5 * k + SIZE[1], 10 * k : 10 * k + SIZE[0]])
            frame = av.VideoFrame.from_ndarray(shown, "rgb24").reformat(
                format=pixel_format, dst_colorspace=matrix, dst_color_range=span
            )
            frame.colorspace, frame.color_range, frame.pts, frame.time_base = TAGS[matrix], span, k, Fraction(1, 12)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return str(path)


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return write_film(tmp_path_factory.mktemp("film") / "v.mp4")


def decoded(path):
    with av.open(path) as container:
        return next(container.decode(video=0))


def in_format(frame, name):
    """The samples of a frame, as NVDEC would lay them out."""
    laid_out = frame.reformat(format=name, src_color_range=frame.color_range, dst_color_range=frame.color_range)
    assert (laid_out.colorspace, laid_out.color_range) == (frame.colorspace, frame.color_range)
    return laid_out


def differences(frame, name, geometry, orientation=None):
    """Levels between what swscale makes of a frame and what torch makes of it in another layout."""
    framer = TensorFramer(geometry, None, CPU)
    if orientation is not None:
        framer._orientations = {0: orientation}
    expected, made = framer.array(frame), framer.tensor(in_format(frame, name)).numpy()
    assert made.shape == expected.shape
    assert made.dtype == np.uint8
    return np.abs(made.astype(int) - expected)


def assert_alike(levels, largest=1, mean=0.02):
    assert levels.max() <= largest
    assert levels.mean() < mean


@pytest.mark.parametrize("colours", COLOURS, ids=lambda pair: f"{pair[0].name}-{pair[1].name}")
def test_colours_are_swscales_to_the_rounding(tmp_path, colours):
    frame = decoded(write_film(tmp_path / "v.mp4", colours=colours))
    assert (frame.colorspace, frame.color_range) == (TAGS[colours[0]], colours[1])
    assert_alike(differences(frame, "nv12", IMAGE))


@pytest.mark.parametrize("geometry", SHRUNK + GROWN, ids=lambda geometry: f"{geometry.kind}-{geometry.interpolation}")
def test_every_geometry_is_swscales_to_the_rounding(film, geometry):
    assert_alike(differences(decoded(film), "nv12", geometry), *((3, 0.03) if geometry in GROWN else ()))


@pytest.mark.parametrize("orientation", [(True, 0), (False, 1), (True, 2), (True, 3)], ids=str)
@pytest.mark.parametrize("geometry", [IMAGE, ACTION, SHRUNK[4]], ids=lambda geometry: geometry.kind)
def test_frames_are_turned_upright(film, geometry, orientation):
    assert_alike(differences(decoded(film), "nv12", geometry, orientation))


@pytest.mark.parametrize(("chroma_location", "shift"), [(0, (0.25, 0)), (1, (0, 0)), (2, (0.25, 0.25))], ids=str)
def test_chroma_is_where_the_stream_has_it(tmp_path, chroma_location, shift):
    frame = decoded(write_film(tmp_path / "v.mp4", chroma_location=chroma_location))
    assert chroma_shift(in_format(frame, "nv12")) == shift
    assert_alike(differences(frame, "nv12", IMAGE))


def test_ten_bits(tmp_path):
    frame = decoded(write_film(tmp_path / "v.mp4", "yuv420p10le"))
    assert_alike(differences(frame, "p010le", IMAGE))


@pytest.mark.parametrize("layout", [(*SIZE, "yuv420p"), (*SIZE, "yuv444p"), (101, 75, "nv12")], ids=str)
def test_other_layouts_and_odd_sizes_go_through_swscale(film, layout):
    frame = decoded(film).reformat(*layout)
    framer = TensorFramer(ACTION, None, CPU)
    assert np.array_equal(framer.tensor(frame), framer.array(frame))


def test_a_batch_of_tensors_is_that_of_arrays(film):
    arrays = [array for _, array in iter_frames_at(film, range(0, SECOND, SECOND // 6), IMAGE)]
    assert torch.equal(batch_of(arrays, CPU), batch_of([torch.from_numpy(array) for array in arrays], CPU))


def test_the_decoder_is_no_part_of_the_fingerprint():
    configs = [InceptionResnetV2Config(pretrained="random:0", decoder=decoder) for decoder in ("cpu", "cuda")]
    assert configs[0].fingerprint() == configs[1].fingerprint()


def test_cuda_decodes_for_networks_on_cuda_only():
    with pytest.raises(DeviceError, match=r"needs a network on a CUDA device, not cpu: set `decoder: cpu`$"):
        reader("cuda", CPU)
    assert reader("cpu", CPU) is read_on_cpu


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is there")
def test_a_missing_device_is_one_line():
    with pytest.raises(DeviceError, match=r"^FFmpeg can't decode on cuda:0 \(.*\): set `decoder: cpu`$"):
        CudaDecoder(torch.device("cuda", 0))


@pytest.fixture
def without_device(monkeypatch):
    """A decoder whose device decodes nothing, and is the CPU's memory."""

    class Nowhere:
        def __init__(self, *_, **__):
            pass

        def create(self, _):
            return self

    monkeypatch.setattr(cuda_frames, "HWAccel", Nowhere)
    monkeypatch.setattr(cuda_frames, "iter_shown", lambda *args, hwaccel, **named: iter_shown(*args, **named))
    decoder = CudaDecoder(torch.device("cuda", 0))
    decoder._device = CPU
    return decoder


def test_what_the_device_does_not_decode_is_said_and_counted(without_device, film, caplog):
    times_us = [0, 0, 300_000, 999_999, 1_200_000]
    with caplog.at_level(logging.WARNING):
        shown = [list(without_device(film, times_us, ACTION)) for _ in range(2)]
    expected = list(iter_frames_at(film, times_us, ACTION))
    for frames in shown:
        assert [at for at, _ in frames] == [at for at, _ in expected] == times_us[:-1]
        assert all(np.array_equal(tensor, array) for (_, tensor), (_, array) in zip(frames, expected, strict=True))
    assert [record.getMessage() for record in caplog.records] == [
        f"{film} is decoded by the CPU, not by cpu (frames are yuv420p): {n} of {n} videos of this process so far"
        for n in (1, 2)
    ]


def test_black_stands_beyond_the_ends_of_tensors(without_device, film):
    video = VideoSource("v", video_path=film, duration_us=SECOND)
    frames = list(FramesOfVideo(video, ACTION, SECOND // 2, (1, 1), "zeros", read=without_device))
    assert [frame.any().item() for frame in frames] == [False, True, True, False]


def why_not():
    if "cuda" not in hwdevices_available():
        return "this FFmpeg is built without CUDA"
    return "" if torch.cuda.is_available() else "there is no CUDA device"


@pytest.mark.skipif(bool(why_not()), reason=why_not())
@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv420p10le"])
def test_nvdec_shows_what_the_cpu_shows(tmp_path, caplog, pixel_format):
    path = write_film(tmp_path / "v.mp4", pixel_format)
    times_us = range(0, SECOND + 200_000, 33_000)
    decoder = CudaDecoder(torch.device("cuda"))
    for geometry in (IMAGE, ACTION):
        with caplog.at_level(logging.WARNING):
            made = list(decoder(path, times_us, geometry))
        expected = list(iter_frames_at(path, times_us, geometry))
        assert [at for at, _ in made] == [at for at, _ in expected]
        for (_, tensor), (_, array) in zip(made, expected, strict=True):
            assert tensor.device.type == "cuda"
            assert np.abs(tensor.cpu().numpy().astype(int) - array).max() <= 1
    # NVDEC of some generations has no H.264 of ten bits; the CPU decodes it then, and says so.
    assert not caplog.records or pixel_format != "yuv420p"
