"""NetVLAD against its definition, and its padding mask against no padding at all."""

from __future__ import annotations

import numpy as np
import torch

from mgn_ma.models.netvlad import NetVLAD


def test_equals_its_definition() -> None:
    torch.manual_seed(0)
    model = NetVLAD(4, 3).eval()
    model.norm.running_mean.copy_(torch.randn(3))
    model.norm.running_var.copy_(torch.rand(3) + 0.5)
    x = torch.randn(5, 4)
    pooled = model(x[None], torch.ones(1, 5, dtype=torch.bool))[0].detach().double().numpy()

    items, w, c = x.double().numpy(), model.assign.detach().double().numpy(), model.centres.detach().double().numpy()
    mean, var = model.norm.running_mean.double().numpy(), model.norm.running_var.double().numpy()
    clusters = np.zeros((3, 4))
    for item in items:
        scores = np.exp((item @ w - mean) / np.sqrt(var + model.norm.eps))
        for k in range(3):
            clusters[k] += scores[k] / scores.sum() * (item - c[k])
    clusters /= np.linalg.norm(clusters, axis=1, keepdims=True)
    expected = clusters.ravel() / np.linalg.norm(clusters)
    np.testing.assert_allclose(pooled, expected, atol=1e-6)


def test_padding_changes_neither_the_vector_nor_the_statistics() -> None:
    torch.manual_seed(1)
    padded, exact = NetVLAD(6, 4), NetVLAD(6, 4)
    exact.load_state_dict(padded.state_dict())
    x = torch.randn(3, 5, 6)
    garbage = torch.full((3, 75, 6), 1e3)
    mask = (torch.arange(80) < 5).expand(3, 80)
    out = padded(torch.cat([x, garbage], dim=1), mask)
    torch.testing.assert_close(out, exact(x, torch.ones(3, 5, dtype=torch.bool)))
    torch.testing.assert_close(padded.norm.running_var, exact.norm.running_var)


def test_the_vector_has_length_one_and_the_order_of_items_does_not_matter() -> None:
    torch.manual_seed(2)
    model = NetVLAD(8, 4).eval()
    x, mask = torch.randn(2, 80, 8), torch.ones(2, 80, dtype=torch.bool)
    pooled = model(x, mask)
    torch.testing.assert_close(pooled.norm(dim=1), torch.ones(2))
    torch.testing.assert_close(model(x[:, torch.randperm(80)], mask), pooled)


def test_nothing_to_pool_is_the_zero_vector_with_finite_gradients() -> None:
    model = NetVLAD(3, 2)
    x = torch.randn(2, 4, 3, requires_grad=True)
    mask = torch.tensor([[False] * 4, [True] * 4])
    pooled = model(x, mask)
    assert not pooled[0].any() and pooled[1].any()
    pooled.sum().backward()
    assert x.grad is not None and torch.isfinite(x.grad).all()
    assert model.centres.grad is not None and torch.isfinite(model.centres.grad).all()


def test_width_of_the_pooled_vector() -> None:
    assert NetVLAD(5, 7).num_features == 35
