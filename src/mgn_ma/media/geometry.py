"""From a decoded frame to the RGB array that a network takes: colours, aspect, rotation, crop and scale."""

from __future__ import annotations

from fractions import Fraction
from typing import Literal

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from pydantic import BaseModel, ConfigDict, Field, model_validator

Image = npt.NDArray[np.uint8]

_FLAGS = {"bilinear": Interpolation.BILINEAR, "bicubic": Interpolation.BICUBIC, "area": Interpolation.AREA}


class FrameGeometry(BaseModel):
    """How a frame becomes an array.

    - ``shorter_side_centre_crop``: shorter side scaled to ``resize_shorter``, then the central ``size`` x ``size``.
    - ``centre_square``: the central square, scaled to ``size`` x ``size``.
    - ``fit``: the whole frame, longer side scaled to ``size``.

    Everything refers to the frame as it is displayed: square pixels, upright.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["shorter_side_centre_crop", "centre_square", "fit"]
    size: int = Field(gt=0)
    resize_shorter: int | None = Field(default=None, gt=0)
    interpolation: Literal["bilinear", "bicubic", "area"] = "bicubic"

    @model_validator(mode="after")
    def _complete(self) -> FrameGeometry:
        wants = self.kind == "shorter_side_centre_crop"
        if wants != (self.resize_shorter is not None):
            raise ValueError("resize_shorter belongs to kind shorter_side_centre_crop, and to no other")
        if self.resize_shorter is not None and self.resize_shorter < self.size:
            raise ValueError(f"a crop of {self.size} doesn't fit into a shorter side of {self.resize_shorter}")
        return self

    def scaled_size(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) of the whole displayed frame after scaling, before the crop."""
        if self.kind == "fit":
            scale = Fraction(self.size, max(width, height))
        else:
            scale = Fraction(self.resize_shorter or self.size, min(width, height))
        return max(1, int(width * scale)), max(1, int(height * scale))

    def crop(self, image: Image) -> Image:
        """The central part that is kept of a scaled frame."""
        if self.kind == "fit":
            return image
        top = round((image.shape[0] - self.size) / 2)
        left = round((image.shape[1] - self.size) / 2)
        return image[top : top + self.size, left : left + self.size]


class Framer:
    """Turns decoded frames into arrays of one geometry, in one pass of swscale: colours and scale together.

    Args:
        geometry: what to make.
        sample_aspect_ratio: width of a stored pixel over its height.
    """

    def __init__(self, geometry: FrameGeometry, sample_aspect_ratio: Fraction | None = None) -> None:
        self._geometry = geometry
        self._aspect = sample_aspect_ratio or Fraction(1)
        self._reformatter = VideoReformatter()

    def array(self, frame: av.VideoFrame) -> Image:
        """The frame as (H, W, 3) uint8 RGB of full range."""
        quarter_turns = round(frame.rotation / 90) % 4
        width, height = displayed_size(frame.width, frame.height, self._aspect)
        if quarter_turns % 2:
            scaled_height, scaled_width = self._geometry.scaled_size(height, width)
        else:
            scaled_width, scaled_height = self._geometry.scaled_size(width, height)
        rgb = self._reformatter.reformat(
            frame,
            scaled_width,
            scaled_height,
            "rgb24",
            src_colorspace=colour_matrix(frame),
            dst_colorspace=Colorspace.DEFAULT,
            src_color_range=colour_range(frame),
            dst_color_range=ColorRange.JPEG,
            interpolation=_FLAGS[self._geometry.interpolation] | Interpolation.ACCURATE_RND,
            threads=1,
        ).to_ndarray()
        return np.ascontiguousarray(self._geometry.crop(np.rot90(rgb, quarter_turns)))


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
    """The stream's range; untagged YCbCr is limited, but for the formats that are full by name, and RGB is full."""
    name = frame.format.name
    if name.startswith(("yuvj", "rgb", "bgr", "gbr", "pal")):
        return ColorRange.JPEG
    return ColorRange.JPEG if int(frame.color_range) == ColorRange.JPEG else ColorRange.MPEG
