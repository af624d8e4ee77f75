"""Losses against NumPy and SciPy, and where they are not defined."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.stats import pearsonr

from mgn_ma.models.mixture_of_experts import expression_loss
from mgn_ma.training.config import LossConfig
from mgn_ma.training.losses import weighted_loss

C = 4
LENGTHS = (7, 30, 12)


def config(**weights: float) -> LossConfig:
    return LossConfig.model_validate({"bce": 0.0, **weights})


def data(seed: int = 0, scale: float = 1.0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Logits, labels and videos of B frames; the frames of a video are not all neighbours."""
    random = np.random.default_rng(seed)
    videos = random.permutation(np.repeat(np.arange(len(LENGTHS)), LENGTHS))
    logits = torch.from_numpy(random.normal(size=(len(videos), C)).astype(np.float32) * scale).requires_grad_()
    labels = torch.from_numpy(random.random((len(videos), C)).astype(np.float32) * scale)
    return logits, labels, torch.from_numpy(videos)


def ccc(x: np.ndarray, y: np.ndarray) -> float:
    return float(2 * np.cov(x, y, bias=True)[0, 1] / (x.var() + y.var() + (x.mean() - y.mean()) ** 2))


def of_series(logits: torch.Tensor, labels: torch.Tensor, videos: torch.Tensor, function: Any) -> np.ndarray:
    predicted = logits.detach().double().sigmoid().numpy()
    return np.array(
        [
            [function(predicted[videos == v, c], labels.double().numpy()[videos == v, c]) for c in range(C)]
            for v in range(len(LENGTHS))
        ]
    )


def test_the_paper_s_is_eq_3_to_the_bit() -> None:
    logits, labels, _ = data()
    weights = torch.rand(len(logits), C)
    assert torch.equal(weighted_loss(LossConfig(), logits, labels, weights), expression_loss(logits, labels, weights))


@given(st.integers(0, 20), st.sampled_from([1.0, 0.1]))
def test_losses_are_what_numpy_and_scipy_make(seed: int, scale: float) -> None:
    logits, labels, videos = data(seed, scale)
    errors = logits.detach().sigmoid().numpy() - labels.numpy()
    expected = {
        "mse": np.mean(errors**2),
        "l1": np.mean(np.abs(errors)),
        "pearson": np.mean(1 - of_series(logits, labels, videos, lambda x, y: pearsonr(x, y).statistic)),
        "ccc": np.mean(1 - of_series(logits, labels, videos, ccc)),
    }
    for name, value in expected.items():
        assert weighted_loss(config(**{name: 1.0}), logits, labels, None, videos).item() == pytest.approx(
            value, rel=1e-4
        )
    total = weighted_loss(config(mse=2.0, pearson=0.5, bce=3.0), logits, labels, None, videos)
    bce = expression_loss(logits, labels).item()
    assert total.item() == pytest.approx(2 * expected["mse"] + 0.5 * expected["pearson"] + 3 * bce, rel=1e-4)
    (gradient,) = torch.autograd.grad(total, logits)
    assert gradient.isfinite().all() and gradient.abs().sum() > 0


@pytest.mark.parametrize("name", ["bce", "mse", "l1", "pearson", "ccc"])
def test_rows_without_labels_count_nothing(name: str) -> None:
    logits, labels, videos = data()
    there = torch.rand(len(logits), 1) < 0.7
    weights = there * (len(logits) / there.sum())
    whole = weighted_loss(config(**{name: 1.0}), logits, labels, weights.expand(-1, C), videos)
    rest = there[:, 0]
    torch.testing.assert_close(
        whole,
        weighted_loss(config(**{name: 1.0}), logits[rest], labels[rest], None, videos[rest]),
        rtol=1e-5,
        atol=1e-6,
    )
    (gradient,) = torch.autograd.grad(whole, logits)
    assert not gradient[~rest].any() and gradient[rest].any()


@pytest.mark.parametrize("name", ["pearson", "ccc"])
def test_series_count_alike_by_video_and_by_their_expression_s_weight(name: str) -> None:
    logits, labels, videos = data()
    function = ccc if name == "ccc" else lambda x, y: pearsonr(x, y).statistic
    expected = np.average(1 - of_series(logits, labels, videos, function), axis=1, weights=[1, 3, 0, 0]).mean()
    weights = torch.tensor([1.0, 3.0, 0.0, 0.0]).expand(len(logits), C)
    found = weighted_loss(config(**{name: 1.0}), logits, labels, weights, videos)
    assert found.item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("name", ["pearson", "ccc"])
def test_a_truth_that_never_changes_is_left_out(name: str) -> None:
    logits, labels, videos = data()
    labels[videos == 1, 2] = 0.3
    with np.errstate(invalid="ignore"):
        agreement = of_series(logits, labels, videos, lambda x, y: np.nan if np.ptp(y) == 0 else ccc(x, y))
    loss = weighted_loss(config(ccc=1.0), logits, labels, None, videos)
    assert loss.item() == pytest.approx(np.nanmean(1 - agreement), rel=1e-4)
    labels[:] = 0.5
    nothing = weighted_loss(config(**{name: 1.0}), logits, labels, None, videos)
    (gradient,) = torch.autograd.grad(nothing, logits)
    assert nothing.item() == 0 and not gradient.any()


@pytest.mark.parametrize("name", ["pearson", "ccc"])
def test_a_prediction_that_never_changes_agrees_with_nothing_and_gradients_stay_finite(name: str) -> None:
    _, labels, videos = data()
    logits = torch.zeros(len(labels), C, requires_grad=True)
    loss = weighted_loss(config(**{name: 1.0}), logits, labels, None, videos)
    loss.backward()
    assert loss.item() == pytest.approx(1)
    assert logits.grad is not None and logits.grad.isfinite().all()


def test_a_loss_has_to_count() -> None:
    with pytest.raises(ValidationError, match="all losses count 0, so that nothing is learned"):
        config()
