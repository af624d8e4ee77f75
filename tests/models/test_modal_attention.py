"""Eq. 1 with numbers worked out by hand, and against a slow NumPy reading of it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from mgn_ma.models.config import FusionArchitecture
from mgn_ma.models.modal_attention import Concatenation, ModalAttention, ModalFusion


def attention_oracle(
    vectors: list[npt.NDArray[np.float64]], weights: list[npt.NDArray[np.float64]], present: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Eq. 1 row by row and modality by modality."""
    fused, alphas = [], []
    for b in range(len(present)):
        total = sum(np.exp(weights[m] @ vectors[m][b]) for m in range(len(vectors)) if present[b, m])
        alpha = [np.exp(weights[m] @ vectors[m][b]) / total if present[b, m] else 0.0 for m in range(len(vectors))]
        fused.append(np.concatenate([alpha[m] * vectors[m][b] for m in range(len(vectors))]))
        alphas.append(alpha)
    return np.array(fused), np.array(alphas)


def test_by_hand() -> None:
    attention = ModalAttention([2, 1])
    attention.scores[0].weight.data = torch.tensor([[1.0, 0.0]])
    attention.scores[1].weight.data = torch.tensor([[2.0]])
    log3 = float(np.log(3.0))
    fused, alpha = attention([torch.tensor([[log3, 8.0]]), torch.tensor([[0.0]])], torch.tensor([[True, True]]))
    # e^(log 3) = 3 against e^0 = 1: three quarters and one quarter.
    torch.testing.assert_close(alpha, torch.tensor([[0.75, 0.25]]))
    torch.testing.assert_close(fused, torch.tensor([[0.75 * log3, 6.0, 0.0]]))


def test_equals_the_oracle_with_absent_modalities() -> None:
    torch.manual_seed(3)
    widths = [4, 3, 2]
    attention = ModalAttention(widths)
    vectors = [torch.randn(50, width) * 3 for width in widths]
    present = torch.rand(50, 3) < 0.6
    present[:, 0] |= ~present.any(dim=1)
    fused, alpha = attention(vectors, present)
    expected_fused, expected_alpha = attention_oracle(
        [v.double().numpy() for v in vectors],
        [score.weight.detach().double().numpy()[0] for score in attention.scores],
        present.numpy(),
    )
    np.testing.assert_allclose(alpha.detach().numpy(), expected_alpha, atol=1e-6)
    np.testing.assert_allclose(fused.detach().numpy(), expected_fused, atol=1e-5)
    np.testing.assert_allclose(alpha.sum(dim=1).detach().numpy(), 1.0, atol=1e-6)


def test_a_dropped_modality_keeps_the_share_of_its_zero_vector() -> None:
    attention = ModalAttention([2, 1], over="all")
    attention.scores[0].weight.data = torch.tensor([[1.0, 0.0]])
    attention.scores[1].weight.data = torch.tensor([[2.0]])
    log3 = float(np.log(3.0))
    fused, alpha = attention([torch.tensor([[log3, 8.0]]), torch.tensor([[5.0]])], torch.tensor([[True, False]]))
    # As if the second vector were 0: e^(log 3) = 3 against e^(2 * 0) = 1.
    torch.testing.assert_close(alpha, torch.tensor([[0.75, 0.25]]))
    torch.testing.assert_close(fused, torch.tensor([[0.75 * log3, 6.0, 0.0]]))


def test_scores_from_the_concatenation_let_a_modality_weigh_another() -> None:
    attention = ModalAttention([2, 1], scores_from="concatenation")
    # The third component, the second modality's, scores the first one.
    attention.scores.weight.data = torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
    log3 = float(np.log(3.0))
    vectors = [torch.tensor([[4.0, 8.0]] * 2), torch.tensor([[log3], [7.0]])]
    fused, alpha = attention(vectors, torch.tensor([[True, True], [True, False]]))
    torch.testing.assert_close(alpha, torch.tensor([[0.75, 0.25], [1.0, 0.0]]))
    torch.testing.assert_close(fused, torch.tensor([[3.0, 6.0, 0.25 * log3], [4.0, 8.0, 0.0]]))


def test_what_is_absent_has_no_influence_on_scores_from_the_concatenation() -> None:
    torch.manual_seed(0)
    attention = ModalAttention([3, 2], scores_from="concatenation", over="all")
    seen, absent = torch.randn(4, 3), torch.tensor([[True, False]] * 4)
    first, second = (attention([seen, torch.full((4, 2), value)], absent) for value in (0.0, 9.0))
    torch.testing.assert_close(first, second)


def test_a_row_without_any_modality_is_zero_and_has_finite_gradients() -> None:
    attention = ModalAttention([3, 2])
    vectors = [torch.randn(2, 3, requires_grad=True), torch.randn(2, 2, requires_grad=True)]
    fused, alpha = attention(vectors, torch.tensor([[False, False], [True, False]]))
    assert not fused[0].any() and not alpha[0].any()
    assert alpha[1].tolist() == [1.0, 0.0]
    fused.sum().backward()
    assert all(torch.isfinite(v.grad).all() for v in vectors if v.grad is not None)


def test_scores_of_any_size_do_not_overflow() -> None:
    attention = ModalAttention([1, 1])
    for score in attention.scores:
        score.weight.data.fill_(1.0)
    _, alpha = attention([torch.tensor([[1e4]]), torch.tensor([[-1e4]])], torch.tensor([[True, True]]))
    assert alpha.tolist() == [[1.0, 0.0]]


def test_concatenation_joins_and_zeroes() -> None:
    fused, alpha = Concatenation()([torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0]])], torch.tensor([[True, False]]))
    assert fused.tolist() == [[1.0, 2.0, 0.0]]
    assert alpha.tolist() == [[1.0, 0.0]]


def test_a_dropped_modality_is_the_same_zero_vector_as_an_absent_one() -> None:
    torch.manual_seed(0)
    fusion = ModalFusion([3, 2], FusionArchitecture(normalisation="none", modality_dropout=0.5)).train()
    vectors = [torch.ones(200, 3), torch.ones(200, 2)]
    fused, alpha = fusion(vectors, torch.ones(200, 2, dtype=torch.bool))
    only_second = alpha[:, 0] == 0
    assert 20 < only_second.sum() < 100
    absent_fused, _ = fusion.eval()(vectors, torch.tensor([[False, True]]).repeat(200, 1))
    torch.testing.assert_close(fused[only_second], absent_fused[only_second])
