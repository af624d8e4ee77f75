"""Masked normalisation against torch's own on the rows that are present."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mgn_ma.models.normalisation import MaskedBatchNorm, make_normalisation


def reference(batches: list[torch.Tensor]) -> tuple[nn.BatchNorm1d, list[torch.Tensor]]:
    """torch's batch norm after the batches of present rows, and what it gave for each."""
    norm = nn.BatchNorm1d(batches[0].shape[1])
    return norm, [norm(batch) for batch in batches]


def test_equals_batch_norm_of_the_present_rows_with_running_statistics() -> None:
    torch.manual_seed(0)
    batches = [torch.randn(17, 5) * 3 + 2 for _ in range(4)]
    masks = [torch.rand(17) < 0.6 for _ in batches]
    norm = MaskedBatchNorm(5)
    outputs = [norm(x.masked_fill(~mask[:, None], 1e4), mask) for x, mask in zip(batches, masks, strict=True)]
    expected_norm, expected = reference([x[mask] for x, mask in zip(batches, masks, strict=True)])
    for output, mask, rows in zip(outputs, masks, expected, strict=True):
        torch.testing.assert_close(output[mask], rows)
        assert not output[~mask].any()
    assert expected_norm.running_mean is not None and expected_norm.running_var is not None
    torch.testing.assert_close(norm.running_mean, expected_norm.running_mean)
    torch.testing.assert_close(norm.running_var, expected_norm.running_var)
    expected_norm.eval()
    torch.testing.assert_close(norm.eval()(batches[0], torch.ones(17, dtype=torch.bool)), expected_norm(batches[0]))


def test_gradients_pass_through_the_statistics_as_in_batch_norm() -> None:
    torch.manual_seed(1)
    x = torch.randn(9, 3, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([True] * 6 + [False] * 3)
    norm = MaskedBatchNorm(3).double()
    target = torch.randn(9, 3, dtype=torch.float64)
    (norm(x, mask) * target).sum().backward()
    y = x.detach()[mask].requires_grad_()
    (nn.BatchNorm1d(3).double()(y) * target[mask]).sum().backward()
    assert x.grad is not None and y.grad is not None
    torch.testing.assert_close(x.grad[mask], y.grad)
    assert not x.grad[~mask].any()


@pytest.mark.parametrize("n_present", [0, 1])
def test_too_few_rows_leave_the_running_statistics_alone(n_present: int) -> None:
    norm = MaskedBatchNorm(2)
    output = norm(torch.full((3, 2), 7.0), torch.arange(3) < n_present)
    assert torch.isfinite(output).all()
    assert norm.running_mean.tolist() == [0.0, 0.0]
    assert norm.running_var.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("kind", ["batch_norm", "layer_norm", "none"])
def test_absent_rows_are_zero_whatever_they_held(kind: str) -> None:
    x = torch.randn(4, 3)
    x[2] = torch.nan
    present = torch.tensor([True, True, False, True])
    output = make_normalisation(kind, 3)(x, present)  # type: ignore[arg-type]
    assert not output[2].any()
    assert torch.isfinite(output).all()
    assert output[0].any()
