"""Frames that a GPU decodes and that never leave it: NVDEC's NV12 planes to the arrays of `mgn_ma.media.geometry`.

The arithmetic is swscale's: each plane is scaled with its kernels, chroma to full resolution, and then converted. So
the arrays are those of `mgn_ma.media.geometry.Framer` but for rounding (``docs/media.md``).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from functools import lru_cache
from typing import Literal

import av
import numpy as np
import torch
from av.codec.hwaccel import HWAccel
from av.video.reformatter import ColorRange, Colorspace, Interpolation
from torch import Tensor
from torch.utils.dlpack import from_dlpack

from mgn_ma.extractors.device import DeviceError
from mgn_ma.extractors.reading import ReadFrames, read_on_cpu
from mgn_ma.media.geometry import FrameGeometry, Framer, colour_matrix, colour_range, displayed_size
from mgn_ma.media.video import iter_shown

log = logging.getLogger(__name__)

_SCALES = {"nv12": 1.0, "p010le": 256.0}
"""The pixel formats that are converted on the device, and what brings their samples to 8 bits."""

_LARGEST = (2**15 - 1) / 2**7
"""What fits into the 15 bits between swscale's two passes."""

_ANY = Colorspace.DEFAULT
_EXACTLY = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT

_KR_KB = {
    Colorspace.ITU709: (0.2126, 0.0722),
    Colorspace.FCC: (0.30, 0.11),
    Colorspace.ITU601: (0.299, 0.114),
    Colorspace.SMPTE240M: (0.212, 0.087),
    Colorspace.BT2020: (0.2627, 0.0593),
}
"""Weights of red and blue in luma, of each matrix (ITU-T H.273, table 4)."""


def reader(decoder: Literal["cpu", "cuda"], device: torch.device) -> ReadFrames:
    """What reads frames for a network on a device.

    Raises:
        DeviceError: CUDA is to decode, and can't.
    """
    return CudaDecoder(device) if decoder == "cuda" else read_on_cpu


class CudaDecoder:
    """Reads the frames of videos with NVDEC; what that doesn't decode is decoded on the CPU, and counted.

    Args:
        device: where frames are decoded and stay.

    Raises:
        DeviceError: the device is no CUDA device, or FFmpeg can't decode there.
    """

    def __init__(self, device: torch.device) -> None:
        if device.type != "cuda":
            raise DeviceError(f"`decoder: cuda` needs a network on a CUDA device, not {device}: set `decoder: cpu`")
        index = torch.cuda.current_device() if device.index is None else device.index
        self._device = torch.device("cuda", index)
        # FFmpeg takes the device's primary context then, which is torch's, too: both see the same memory.
        self._hwaccel = HWAccel("cuda", str(index), allow_software_fallback=True, is_hw_owned=True)
        try:
            self._hwaccel.create(av.Codec("h264", "r"))
        except (av.FFmpegError, NotImplementedError, OSError) as error:
            raise DeviceError(f"FFmpeg can't decode on {self._device} ({error}): set `decoder: cpu`") from error
        self._n_videos = self._n_on_cpu = 0
        self._is_noted = False

    def __call__(
        self, path: str, timestamps_us: Iterable[int], geometry: FrameGeometry
    ) -> Iterator[tuple[int, Tensor]]:
        """As `mgn_ma.media.video.iter_frames_at`, but the frames are tensors on the device."""
        self._n_videos += 1
        self._is_noted = False

        def framer(aspect: Fraction | None) -> Callable[[av.VideoFrame], Tensor]:
            make = TensorFramer(geometry, aspect, self._device).tensor
            return lambda frame: make(self._noting(path, frame))

        # Each thread takes a surface of NVDEC, which has 32 in all; they gain nothing there.
        yield from iter_shown(path, timestamps_us, framer, threads=1, hwaccel=self._hwaccel)

    def _noting(self, path: str, frame: av.VideoFrame) -> av.VideoFrame:
        if not self._is_noted and frame.format.name != "cuda":
            self._is_noted = True
            self._n_on_cpu += 1
            which = f"{frame.format.name}): {self._n_on_cpu} of {self._n_videos} videos of this process so far"
            log.warning("%s is decoded by the CPU, not by %s (frames are %s", path, self._device, which)
        return frame


class TensorFramer(Framer):
    """Turns decoded frames into tensors of one geometry on a device.

    Args:
        geometry: what to make.
        sample_aspect_ratio: width of a stored pixel over its height.
        device: where the tensors are made.
    """

    def __init__(self, geometry: FrameGeometry, sample_aspect_ratio: Fraction | None, device: torch.device) -> None:
        super().__init__(geometry, sample_aspect_ratio)
        self._device = device
        self._shift: tuple[float, float] | None = None

    @torch.inference_mode()
    def tensor(self, frame: av.VideoFrame) -> Tensor:
        """The frame as (H, W, 3) uint8 RGB of full range, upright; from swscale if it is not in NV12 or alike."""
        scale = _SCALES.get((frame.sw_format or frame.format).name)
        if scale is None or frame.width % 2 or frame.height % 2:
            return torch.from_numpy(self.array(frame)).to(self._device)
        mirrored, quarter_turns = self._orientation(frame)
        width, height = displayed_size(frame.width, frame.height, self._aspect)
        size = self._geometry.scaled_size(*((height, width) if quarter_turns % 2 else (width, height)))
        self._shift = self._shift or chroma_shift(frame)
        scaled = []
        for plane, shift in zip(frame.planes, ((0.0, 0.0), self._shift), strict=True):
            # The capsule, since torch would name its stream, which PyAV refuses. The two go in turns all the same: both
            # work on the default stream of the device's primary context.
            samples = from_dlpack(plane.__dlpack__()).to(self._device).to(torch.float32).div_(scale)
            channels = samples.reshape(*samples.shape[:2], -1).permute(2, 0, 1)
            if mirrored:
                channels, shift = channels.flip(2), (-shift[0], shift[1])
            for _ in range(quarter_turns):
                channels, shift = torch.rot90(channels, 1, (1, 2)), (shift[1], -shift[0])
            columns, rows = (
                resampling(*side, self._geometry, self._device)
                for side in zip(channels.shape[:0:-1], size, shift, strict=True)
            )
            # swscale goes along the rows first.
            scaled.append(rows @ (channels @ columns.T).clamp_(max=_LARGEST))
        matrix, offset = _conversion(colour_matrix(frame), colour_range(frame), self._device)
        rgb: Tensor = torch.tensordot(torch.cat(scaled), matrix, dims=([0], [1])) + offset
        return rgb.round_().clamp_(0, 255).to(torch.uint8)


def chroma_shift(frame: av.VideoFrame) -> tuple[float, float]:
    """(x, y) by which luma lies off the centre of its chroma, in chroma samples, as swscale takes it from the frame.

    PyAV has no name for that property of a frame. A thumbnail keeps it, though: one whose chroma is two ramps, U from
    left to right and V downwards, shows it when swscale brings them to full resolution.
    """
    thumbnail = frame.reformat(16, 16, "yuv420p", src_colorspace=colour_matrix(frame), dst_colorspace=_ANY)
    ramp = np.arange(64, 64 + 8 * 16, 16, dtype=np.uint8)
    for plane, values in zip(thumbnail.planes[1:], (ramp[None], ramp[:, None]), strict=True):
        padded = np.zeros((8, plane.line_size), np.uint8)
        padded[:, :8] = values
        plane.update(padded.tobytes())
    full = thumbnail.reformat(format="yuv444p", src_colorspace=_ANY, dst_colorspace=_ANY, interpolation=_EXACTLY)
    _, u, v = full.to_ndarray()[:, 8, 8].astype(int) - int(ramp[3]) - 12
    return round(u / 4) / 4, round(v / 4) / 4


@lru_cache(maxsize=32)
def resampling(n_in: int, n_out: int, shift: float, geometry: FrameGeometry, device: torch.device) -> Tensor:
    """(kept, n_in): what makes the samples of a side that are kept, of n_out, from n_in, as swscale does.

    Its kernels are widened where a side shrinks, samples beyond an edge are the edge's, and ``area`` is ``bilinear``
    where it grows. Bicubic is Keys' kernel with a = -0.6.
    """
    ratio = n_in / n_out
    width = max(1.0, ratio)
    centres = (torch.arange(n_out, dtype=torch.float64)[geometry.kept(n_out)] + 0.5) * ratio - 0.5 + shift
    reach = int(2 * width) + 2
    taps = centres.floor()[:, None] + torch.arange(-reach, reach + 1)
    weights = _kernel((taps - centres[:, None]).abs() / width, geometry.interpolation, ratio)
    matrix = torch.zeros(len(centres), n_in, dtype=torch.float64)
    matrix.scatter_add_(1, taps.long().clamp_(0, n_in - 1), weights)
    return (matrix / matrix.sum(1, keepdim=True)).to(device, torch.float32)


def _kernel(distance: Tensor, interpolation: str, ratio: float) -> Tensor:
    if interpolation == "bicubic":
        a = -0.6
        near = ((a + 2) * distance - (a + 3)) * distance**2 + 1
        far = ((a * distance - 5 * a) * distance + 8 * a) * distance - 4 * a
        return torch.where(distance <= 1, near, torch.where(distance < 2, far, 0.0))
    if interpolation == "area" and ratio > 1:
        return ((0.5 - distance) * ratio + 0.5).clamp(0, 1)
    return (1 - distance).clamp(min=0)


@lru_cache(maxsize=32)
def _conversion(colours: Colorspace, span: ColorRange, device: torch.device) -> tuple[Tensor, Tensor]:
    """(3, 3) and (3,): RGB in [0, 255] is the one times (Y, U, V) plus the other."""
    red, blue = _KR_KB[colours]
    green = 1 - red - blue
    first, luma, chroma = (0, 1.0, 1.0) if span == ColorRange.JPEG else (16, 255 / 219, 255 / 224)
    v_red, u_blue = 2 * (1 - red), 2 * (1 - blue)
    of_chroma = torch.tensor([[0, v_red], [-u_blue * blue / green, -v_red * red / green], [u_blue, 0]]) * chroma
    matrix = torch.cat([torch.full((3, 1), luma), of_chroma], dim=1)
    return matrix.to(device), (-matrix @ torch.tensor([first, 128.0, 128.0])).to(device)
