"""From a decoded frame to the RGB array that a network takes: colours, aspect, rotation, crop and scale."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any, Literal

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from pydantic import Field, model_validator

from mgn_ma.configuration import Configuration

Image = npt.NDArray[np.uint8]

# From this ratio of the sides on, a crop keeps so little that cutting comes before scaling.
_WIDEST = 16

_ALGORITHMS = {"bilinear": Interpolation.BILINEAR, "bicubic": Interpolation.BICUBIC, "area": Interpolation.AREA}


class FrameGeometry(Configuration):
    """How a frame becomes an array.

    - ``shorter_side_centre_crop``: shorter side scaled to ``resize``, then the central ``size`` x ``size``.
    - ``squash_centre_crop``: both sides scaled to ``resize``, then the central ``size`` x ``size``.
    - ``centre_square``: the central square, scaled to ``size`` x ``size``.
    - ``fit``: the whole frame, longer side scaled to ``size``.
    - ``whole``: the whole frame as it is; no ``size``.

    Everything refers to the frame as it is displayed: square pixels, upright.
    """

    kind: Literal["shorter_side_centre_crop", "squash_centre_crop", "centre_square", "fit", "whole"]
    size: int = Field(default=0, ge=0)
    resize: int | None = Field(default=None, gt=0)
    interpolation: Literal["bilinear", "bicubic", "area"] = "bicubic"

    @model_validator(mode="after")
    def _complete(self) -> FrameGeometry:
        if (self.size == 0) != (self.kind == "whole"):
            raise ValueError("every kind but whole needs a size above 0, and whole takes none")
        wants = self.kind in ("shorter_side_centre_crop", "squash_centre_crop")
        if wants != (self.resize is not None):
            raise ValueError("resize belongs to shorter_side_centre_crop and squash_centre_crop, and to no other kind")
        if self.resize is not None and self.resize < self.size:
            raise ValueError(f"a crop of {self.size} doesn't fit into a side of {self.resize}")
        return self

    def scaled_size(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) of the whole displayed frame after scaling, before the crop."""
        if self.kind == "whole":
            return width, height
        if self.kind == "squash_centre_crop":
            return self.resize or self.size, self.resize or self.size
        if self.kind == "fit":
            scale = Fraction(self.size, max(width, height))
        else:
            scale = Fraction(self.resize or self.size, min(width, height))
        return max(1, int(width * scale)), max(1, int(height * scale))

    def crop(self, image: Image) -> Image:
        """The central part that is kept of a scaled frame."""
        return image[self.kept(image.shape[0]), self.kept(image.shape[1])]

    def kept(self, length: int) -> slice:
        """What :meth:`crop` keeps of a side of this length."""
        if self.kind in ("fit", "whole"):
            return slice(0, length)
        first = round((length - self.size) / 2)
        return slice(first, first + self.size)


class Framer:
    """Turns decoded frames into arrays of one geometry, in one pass of swscale: colours and scale together.

    Chroma is interpolated to full resolution: without it swscale takes a short cut whose colours are 2 levels too dark.
    The arrays differ from a full-size conversion and Pillow's bicubic by 0.2 to 0.5 levels on average, in half (360p)
    to a sixth (1080p) of the time (``docs/media.md``, ``benchmarks/decode.py``).

    Args:
        geometry: what to make.
        sample_aspect_ratio: width of a stored pixel over its height.
    """

    def __init__(self, geometry: FrameGeometry, sample_aspect_ratio: Fraction | None = None) -> None:
        self._geometry = geometry
        self._aspect = sample_aspect_ratio or Fraction(1)
        self._reformatter = VideoReformatter()
        self._orientations: dict[int, tuple[bool, int]] = {}
        self._flags = _ALGORITHMS[geometry.interpolation] | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT

    def array(self, frame: av.VideoFrame) -> Image:
        """The frame as (H, W, 3) uint8 RGB of full range, upright."""
        mirrored, quarter_turns = self._orientation(frame)
        source = self._without_far_ends(frame)
        size = displayed_size(source.width, source.height, self._aspect)
        if quarter_turns % 2:
            scaled = self._geometry.scaled_size(size[1], size[0])[::-1]
        else:
            scaled = self._geometry.scaled_size(*size)
        rgb = self._rgb(source, *scaled)
        upright = np.rot90(rgb[:, ::-1] if mirrored else rgb, quarter_turns)
        return np.ascontiguousarray(self._geometry.crop(upright))

    def _orientation(self, frame: av.VideoFrame) -> tuple[bool, int]:
        if frame.rotation not in self._orientations:
            self._orientations[frame.rotation] = orientation(frame)
        return self._orientations[frame.rotation]

    def _rgb(self, frame: av.VideoFrame, width: int, height: int) -> Image:
        converted = self._reformatter.reformat(
            frame,
            width,
            height,
            "rgb24",
            src_colorspace=colour_matrix(frame),
            dst_colorspace=Colorspace.DEFAULT,
            src_color_range=colour_range(frame),
            dst_color_range=ColorRange.JPEG,
            interpolation=self._flags,
            threads=1,
        )
        return np.asarray(converted.to_ndarray(), dtype=np.uint8)

    def _without_far_ends(self, frame: av.VideoFrame) -> av.VideoFrame:
        """Cut off what a crop would cut off anyway, where scaling it first would take gigabytes (1 x 8000 pixels)."""
        is_whole = self._geometry.kind in ("fit", "squash_centre_crop")
        if is_whole or max(frame.width, frame.height) <= _WIDEST * min(frame.width, frame.height):
            return frame
        image = self._rgb(frame, frame.width, frame.height)
        kept = _WIDEST * min(frame.width, frame.height)
        top, left = (max(0, (side - kept) // 2) for side in image.shape[:2])
        image = image[top : image.shape[0] - top, left : image.shape[1] - left]
        return av.VideoFrame.from_ndarray(np.ascontiguousarray(image), "rgb24")


def orientation(frame: av.VideoFrame) -> tuple[bool, int]:
    """(mirrored, quarter turns): mirror the stored frame left to right, then turn it counterclockwise, to display it.

    From the display matrix; an angle between quarter turns is rounded to the nearest.
    """
    # Looking at a frame's side data ties frame and data into a cycle, which the garbage collector unties late. So it is
    # a thumbnail that is looked at, and not a frame of megabytes.
    thumbnail = frame.reformat(16, 16, "gray", src_colorspace=colour_matrix(frame), dst_colorspace=Colorspace.DEFAULT)
    try:
        matrix: Any = thumbnail.side_data.get("DISPLAYMATRIX")
    except ValueError:  # side data of a kind that PyAV has no name for (MV-HEVC's); the angle is to be had without
        return False, round(frame.rotation / 90) % 4
    if matrix is None:
        return False, 0
    a, b, _, c, d = (int(value) for value in np.frombuffer(matrix, "<i4", count=5))
    mirrored = a * d - b * c < 0
    if mirrored:
        a, b = -a, -b
    return mirrored, round(math.atan2(-b, a) / (math.pi / 2)) % 4


def displayed_size(width: int, height: int, sample_aspect_ratio: Fraction) -> tuple[int, int]:
    """(width, height) with square pixels; the width is what changes, as in players."""
    return max(1, round(width * sample_aspect_ratio)), height


def colour_matrix(frame: av.VideoFrame) -> Colorspace:
    """The stream's matrix, and where it is untagged the one that players assume: BT.709 for HD, else BT.601."""
    known = {
        1: Colorspace.ITU709,
        4: Colorspace.FCC,
        5: Colorspace.ITU601,
        6: Colorspace.ITU601,
        7: Colorspace.SMPTE240M,
        9: Colorspace.BT2020,
        10: Colorspace.BT2020,
    }
    high_definition = frame.width >= 1280 or frame.height > 576
    return known.get(int(frame.colorspace), Colorspace.ITU709 if high_definition else Colorspace.ITU601)


def colour_range(frame: av.VideoFrame) -> ColorRange:
    """The stream's range; untagged YCbCr is limited, RGB, grey and the formats called ``yuvj`` are full."""
    name = frame.format.name
    if name.startswith(("yuvj", "rgb", "bgr", "gbr", "pal", "gray", "ya8", "ya16")):
        return ColorRange.JPEG
    return ColorRange.JPEG if int(frame.color_range) == ColorRange.JPEG else ColorRange.MPEG
