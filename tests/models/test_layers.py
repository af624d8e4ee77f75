"""Layers: the rate of modality dropout, and that no row ever loses everything."""

from __future__ import annotations

import pytest
import torch

from mgn_ma.models.layers import ModalityDropout


def test_drops_at_its_rate_and_never_adds_a_modality() -> None:
    torch.manual_seed(0)
    present = torch.rand(40_000, 5) < 0.8
    kept = ModalityDropout(0.1).train()(present)
    assert not (kept & ~present).any()
    rate = 1 - kept.sum() / present.sum()
    assert rate.item() == pytest.approx(0.1, abs=0.005)
    assert torch.equal(kept.any(dim=1), present.any(dim=1))


def test_even_a_high_rate_leaves_one_modality_of_each_row() -> None:
    torch.manual_seed(0)
    present = torch.tensor([[True, True, True], [False, True, False], [False, False, False]]).repeat(2000, 1)
    kept = ModalityDropout(0.9).train()(present)
    assert torch.equal(kept.any(dim=1), present.any(dim=1))
    survivors = kept[::3].sum(dim=0)
    assert survivors.min() > 0.8 * survivors.max(), "no modality is favoured as the one that stays"


def test_nothing_is_dropped_outside_training() -> None:
    present = torch.rand(50, 3) < 0.5
    assert torch.equal(ModalityDropout(0.9).eval()(present), present)


def test_a_rate_of_one_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\[0, 1\)"):
        ModalityDropout(1.0)
