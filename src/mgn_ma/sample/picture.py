"""The pictures of a video, drawn in Y'CbCr: luma carries the image and the action signal, chroma the theme.

Luma is a texture that drifts. Its mean, how bright the picture is, is the image signal. Its speed is the action signal:
it is as contrasted at rest as in motion, so that a single frame doesn't tell. The chroma of the ground and of a disc
changes from scene to scene; most scenes wear the palette of the theme that the pictures show.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from mgn_ma.sample.process import Signal
from mgn_ma.sample.scenes import theme_weights
from mgn_ma.sample.script import VideoPlan
from mgn_ma.sample.world import THEMES

Planes = tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8], npt.NDArray[np.uint8]]
"""Y' at full size, Cb and Cr at the size of the pixel format."""

_SUBPIXELS = 4
_GRAIN = 0.075
"""Correlation length of the texture, in shorter sides of the picture."""
_TEXTURE_LUMA = 16.0
_DARKEST_LUMA, _BRIGHTEST_LUMA = 98.0, 154.0
"""Mean luma of a picture. Beyond them colours would be clipped on their way to RGB, and leave their mark on it."""
_SLOWEST, _FASTEST = 0.04, 0.5
"""Speed of the texture, in shorter sides a second."""
_DISC_AREA = 0.15
"""In squared shorter sides."""
_SCENE_SECONDS = 2.5


def planes(
    plan: VideoPlan, signals: Mapping[str, Signal], seconds: npt.NDArray[np.float64], *, chroma_step: int
) -> Iterator[Planes]:
    """The picture at each of ``seconds``; ``chroma_step`` is 2 for 4:2:0 (even sizes) and 1 for 4:4:4."""
    random = plan.random("picture")
    side = min(plan.width, plan.height)
    texture = _texture(random, plan.width, plan.height, side)
    rows, columns = _drift(random, signals["action"], seconds, side)
    brightness = _DARKEST_LUMA + (_BRIGHTEST_LUMA - _DARKEST_LUMA) * signals["image"](seconds)
    disc = _disc(random, plan.width, plan.height)[::chroma_step, ::chroma_step]
    grounds, shapes = _palette(plan, seconds)
    for row, column, light, ground, shape in zip(
        rows.tolist(), columns.tolist(), brightness.astype(np.float32), grounds, shapes, strict=True
    ):
        luma = _window(texture, row, column, plan.height, plan.width) + light
        cb, cr = (ground[c] + (shape[c] - ground[c]) * disc for c in (0, 1))
        yield luma.astype(np.uint8), cb.astype(np.uint8), cr.astype(np.uint8)


def _texture(random: np.random.Generator, width: int, height: int, side: int) -> npt.NDArray[np.float32]:
    """A smooth random pattern on a torus of the picture's size: (subpixel row, subpixel column, 2 H, 2 W) of luma.

    Every picture shows the whole torus, so that it has the same mean, contrast and histogram wherever it has drifted.
    """
    shape = (_SUBPIXELS * height, _SUBPIXELS * width)
    spectrum = np.fft.rfft2(random.normal(size=shape))
    grain = _GRAIN * side * _SUBPIXELS
    radius = np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None, :]) * grain
    pattern = np.fft.irfft2(spectrum * radius**2 * np.exp(-2 * np.pi * radius**2), s=shape)
    pattern = np.tanh(pattern / pattern.std())
    luma = (_TEXTURE_LUMA * pattern / pattern.std()).astype(np.float32)
    phases = luma.reshape(height, _SUBPIXELS, width, _SUBPIXELS).transpose(1, 3, 0, 2)
    return np.asarray(np.tile(phases, (1, 1, 2, 2)))


def _window(
    texture: npt.NDArray[np.float32], row: int, column: int, height: int, width: int
) -> npt.NDArray[np.float32]:
    """The picture when the texture has drifted by so many subpixels: a view, nothing is copied."""
    (top, row_phase), (left, column_phase) = divmod(row, _SUBPIXELS), divmod(column, _SUBPIXELS)
    top, left = top % height, left % width
    return texture[row_phase, column_phase, top : top + height, left : left + width]


def _drift(
    random: np.random.Generator, signal: Signal, seconds: npt.NDArray[np.float64], side: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Rows and columns in subpixels by which the texture has moved: the integral of its speed, in one direction."""
    fine = np.arange(0, float(seconds.max(initial=0.0)) + 0.02, 0.01)
    speed = _SLOWEST + (_FASTEST - _SLOWEST) * signal(fine)
    travelled = np.interp(seconds, fine, np.cumsum(speed) * 0.01) * side * _SUBPIXELS
    angle = random.uniform(0, 2 * np.pi)
    rows, columns = (np.rint(travelled * part).astype(np.int64) for part in (np.sin(angle), np.cos(angle)))
    return rows, columns


def _disc(random: np.random.Generator, width: int, height: int) -> npt.NDArray[np.float32]:
    """(H, W) how much of each pixel the disc covers; its centre lies near the middle of the picture."""
    side = min(width, height)
    x, y = (length / 2 + side * random.uniform(-0.08, 0.08) for length in (width, height))
    distance = np.hypot(np.arange(height)[:, None] - y, np.arange(width)[None, :] - x)
    return np.asarray(np.clip(side * np.sqrt(_DISC_AREA / np.pi) - distance + 0.5, 0, 1), dtype=np.float32)


def _palette(
    plan: VideoPlan, seconds: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """(F, 2) chroma of the ground and of the disc over time."""
    weights = theme_weights(plan.random("scenes"), plan, plan.picture_theme, seconds, _SCENE_SECONDS)
    grounds = np.array([theme.ground for theme in THEMES], dtype=np.float64)
    shapes = np.array([theme.shape for theme in THEMES], dtype=np.float64)
    return weights @ grounds, weights @ shapes
