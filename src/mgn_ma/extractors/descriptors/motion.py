"""How a picture moves from one step to the next: differences, shift of the whole, and flow in blocks. Pure NumPy."""

from __future__ import annotations

from functools import cache

import numpy as np

from mgn_ma.extractors.descriptors.statistics import AnyFloats, Floats, cell_means, histograms

BLOCKS = 4
DIRECTIONS = 8
CHANGED = 8.0 / 255.0
LONGEST_FLOW = 4.0
"""Pixels a step beyond which a flow of small pictures is not to be believed."""

N_GLOBAL = 8 + DIRECTIONS
N_BLOCK = 3 * BLOCKS * BLOCKS
N_MOTION = N_GLOBAL + N_BLOCK


def motion(luma: Floats) -> Floats:
    """What happens between neighbouring steps.

    Args:
        luma: (S, H, W) luminance, 0 to 1.

    Returns:
        (S - 1, 64): mean, root mean square and share of changed pixels of the difference; the shift of the whole
        picture (right, down, length, certainty) and the mean length of flow; shares of eight directions of flow, by its
        length; and in each of 4 x 4 blocks the mean absolute difference and the flow (right, down). Lengths are in
        shorter sides of the picture a step. How bright a picture is as a whole counts nowhere.
    """
    if len(luma) < 2:
        return np.zeros((0, N_MOTION), dtype=np.float32)
    luma = luma - luma.mean(axis=(1, 2), keepdims=True)
    difference = np.diff(luma, axis=0)
    absolute = np.abs(difference)
    side = np.float32(min(luma.shape[1:]))
    shift, certainty = _shift(luma)
    flow = _block_flow(luma, difference)
    speed = np.hypot(flow[..., 0], flow[..., 1])
    change = np.stack(
        [
            absolute.mean(axis=(1, 2)),
            np.sqrt((difference**2).mean(axis=(1, 2))),
            (absolute > CHANGED).mean(axis=(1, 2)),
        ],
        axis=1,
    )
    whole = np.column_stack([shift / side, np.hypot(*shift.T) / side, certainty, speed.mean(axis=1) / side])
    blocks = np.concatenate([cell_means(absolute, BLOCKS), flow.reshape(len(flow), -1) / side], axis=1)
    return np.concatenate([change, whole, _directions(flow, speed), blocks], axis=1, dtype=np.float32)


def _shift(luma: AnyFloats) -> tuple[AnyFloats, AnyFloats]:
    """Phase correlation: by how many pixels (right, down) the whole picture has moved, and how clear the peak is."""
    height, width = luma.shape[1:]
    spectra = np.fft.rfft2((luma - luma.mean(axis=(1, 2), keepdims=True)) * _taper(height, width))
    cross = spectra[1:] * spectra[:-1].conj()
    # High frequencies of a scaled-down picture are mostly noise of the codec.
    cross *= _low_pass(height, width) / (np.abs(cross) + 1e-9)
    correlation = np.fft.irfft2(cross, s=(height, width)).astype(np.float32)
    flat = correlation.reshape(len(correlation), -1)
    peak = flat.argmax(axis=1)
    row, column = np.divmod(peak, width)
    steps = np.arange(len(flat))
    down = row + _subpixel(*(correlation[steps, (row + d) % height, column] for d in (-1, 0, 1)))
    right = column + _subpixel(*(correlation[steps, row, (column + d) % width] for d in (-1, 0, 1)))
    shift = np.stack([_signed(right, width), _signed(down, height)], axis=1)
    # A still picture without contrast has no peak anywhere, and has not moved.
    moved = flat[steps, peak] > 1e-6
    return shift * moved[:, None], flat[steps, peak] * moved / np.float32(_low_pass(height, width).mean())


def _subpixel(before: AnyFloats, at: AnyFloats, after: AnyFloats) -> AnyFloats:
    """Vertex of the parabola through the peak and its neighbours."""
    curvature = before - 2 * at + after
    vertex: AnyFloats = 0.5 * (before - after) / np.minimum(curvature, -1e-9)
    return np.where(curvature < -1e-9, vertex, 0.0)


def _signed(shift: AnyFloats, length: int) -> AnyFloats:
    """A shift on the circle as the nearest one to zero."""
    signed: AnyFloats = (shift + length / 2) % length - length / 2
    return signed


@cache
def _taper(height: int, width: int) -> Floats:
    return np.outer(np.hanning(height + 2)[1:-1], np.hanning(width + 2)[1:-1]).astype(np.float32)


@cache
def _low_pass(height: int, width: int) -> Floats:
    radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])
    weights: Floats = np.exp(-((radius / 0.2) ** 2)).astype(np.float32)
    return weights


def _block_flow(luma: AnyFloats, difference: AnyFloats) -> AnyFloats:
    """Lucas and Kanade's flow of each block, (S - 1, 16, 2) pixels (right, down): least squares of I_t = -grad I v."""
    middle = (luma[1:] + luma[:-1]) / 2
    down, right = np.gradient(middle, axis=(1, 2))
    products = (right * right, right * down, down * down, right * difference, down * difference)
    xx, xy, yy, xt, yt = (cell_means(np.asarray(product), BLOCKS) for product in products)
    # The ridge keeps what has no texture at rest instead of anywhere.
    xx, yy = xx + 1e-5, yy + 1e-5
    determinant = xx * yy - xy * xy
    flow = np.stack([xy * yt - yy * xt, xy * xt - xx * yt], axis=-1) / determinant[..., None]
    length = np.hypot(flow[..., 0], flow[..., 1])
    limited: AnyFloats = flow * np.minimum(1.0, LONGEST_FLOW / np.maximum(length, 1e-9))[..., None]
    return limited


def _directions(flow: AnyFloats, speed: AnyFloats) -> AnyFloats:
    """Shares of eight directions in the flow of all blocks, longer flows counting more; zeros where nothing moves."""
    angle = np.arctan2(flow[..., 1], flow[..., 0])
    bins = np.rint(angle * (DIRECTIONS / (2 * np.pi))).astype(np.int64) % DIRECTIONS
    sums = histograms(bins, DIRECTIONS, speed)
    shares: AnyFloats = sums / np.maximum(sums.sum(axis=1, keepdims=True), 1e-3)
    return shares
