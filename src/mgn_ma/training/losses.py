"""What a member learns by: eq. 3, other losses of frames, and losses of a video's whole series, weighed and summed.

A loss of frames is a mean over frames and expressions. One of series is a mean over the videos of a batch and their
expressions: ``1 - r`` of Pearson's correlation, which is what eq. 4 scores and which knows neither level nor scale, or
``1 - CCC`` of Lin's concordance correlation coefficient ("A concordance correlation coefficient to evaluate
reproducibility", 1989), which knows both. A series whose truth never changes defines neither, and doesn't count.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from mgn_ma.models.mixture_of_experts import expression_loss
from mgn_ma.training.config import LossConfig

_LEAST_VARIANCE = 1e-12
"""Of shares; what varies less is constant but for rounding."""


def weighted_loss(
    config: LossConfig, logits: Tensor, shares: Tensor, weights: Tensor | None = None, videos: Tensor | None = None
) -> Tensor:
    """The weighted sum of the losses that ``config`` names, a scalar.

    Args:
        config: what each loss counts.
        logits: (B, C) log-odds.
        shares: (B, C) labels in 0..1.
        weights: (B, C) what each term of a frame counts, 1 in the mean, and 0 for a frame without labels.
        videos: (B,) which video each row is of, counted from 0; losses of series need them.
    """
    parts = []
    if config.bce:
        parts.append(config.bce * expression_loss(logits, shares, weights))
    probabilities, shares = logits.float().sigmoid(), shares.float()
    for share, errors in ((config.mse, (probabilities - shares).square()), (config.l1, (probabilities - shares).abs())):
        if share:
            parts.append(share * (errors if weights is None else errors * weights).mean())
    if config.of_series:
        assert videos is not None  # noqa: S101 - batches are of whole videos where a loss needs them
        moments = Moments.of(probabilities, shares, torch.ones_like(shares) if weights is None else weights, videos)
        for share, agreement in ((config.ccc, concordance), (config.pearson, correlation)):
            if share:
                parts.append(share * _mean_of_defined(1 - agreement(moments), moments))
    return torch.stack(parts).sum() if len(parts) > 1 else parts[0]


class Moments(NamedTuple):
    """Of V videos' C series, predicted and true, each (V, C): means, variances, covariance; and what each counts."""

    predicted_mean: Tensor
    true_mean: Tensor
    predicted_variance: Tensor
    true_variance: Tensor
    covariance: Tensor
    weights: Tensor

    @classmethod
    def of(cls, predicted: Tensor, true: Tensor, weights: Tensor, videos: Tensor) -> Moments:
        """Moments of ``predicted`` and ``true`` (B, C) under ``weights`` (B, C), by ``videos`` (B,)."""
        n_videos = int(videos.max()) + 1
        weights = weights.expand_as(true)

        def total(values: Tensor) -> Tensor:
            return values.new_zeros(n_videos, values.shape[1]).index_add(0, videos, values)  # (V, C)

        counts = total(weights)
        share = weights / counts.clamp(min=torch.finfo(counts.dtype).tiny)[videos]  # (B, C), 1 in the sum over a video
        predicted_mean, true_mean = total(share * predicted), total(share * true)  # (V, C) each
        x, y = predicted - predicted_mean[videos], true - true_mean[videos]  # (B, C) each
        variances = total(share * x * x), total(share * y * y)  # (V, C) each
        return cls(predicted_mean, true_mean, *variances, total(share * x * y), counts)


def correlation(moments: Moments) -> Tensor:
    """Pearson's r (V, C); 0 where a prediction never changes."""
    scales = [of.clamp(min=_LEAST_VARIANCE).rsqrt() for of in (moments.predicted_variance, moments.true_variance)]
    return moments.covariance * scales[0] * scales[1]


def concordance(moments: Moments) -> Tensor:
    """Lin's CCC (V, C)."""
    apart = (moments.predicted_mean - moments.true_mean).square()
    variances = moments.predicted_variance + moments.true_variance
    return 2 * moments.covariance / (variances + apart).clamp(min=_LEAST_VARIANCE)


def _mean_of_defined(values: Tensor, moments: Moments) -> Tensor:
    """Mean over videos and expressions with a truth that changes: videos alike, expressions by their weights."""
    of_expressions = moments.weights.sum(dim=0, keepdim=True) / moments.weights.sum().clamp(
        min=_LEAST_VARIANCE
    )  # (1, C)
    defined = (moments.true_variance > _LEAST_VARIANCE) * of_expressions  # (V, C)
    return (values * defined).sum() / defined.sum().clamp(min=_LEAST_VARIANCE)
