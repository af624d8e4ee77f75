"""Eqs. 2 and 3 in both readings: by hand, against NumPy, and where naive arithmetic breaks down."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch
from pydantic import ValidationError

from mgn_ma.models.config import ExpertsArchitecture, Reading
from mgn_ma.models.mixture_of_experts import MixtureOfExperts, expression_loss

Array = npt.NDArray[np.float64]


def sigmoid(x: Array) -> Array:
    return 1.0 / (1.0 + np.exp(-x))


def probabilities_oracle(model: MixtureOfExperts, hidden: Array) -> Array:
    """Row by row, class by class, the definition of either reading in float64."""
    gate_weight = model.gates.weight.detach().double().numpy()
    expert_weight = model.experts.weight.detach().double().numpy()
    expert_bias = model.experts.bias.detach().double().numpy()
    n_experts = len(expert_bias) // model.classes
    n_gates = len(gate_weight) // model.classes
    result = np.empty((len(hidden), model.classes))
    for b, h in enumerate(hidden):
        for c in range(model.classes):
            e = (
                expert_weight[c * n_experts : (c + 1) * n_experts] @ h
                + expert_bias[c * n_experts : (c + 1) * n_experts]
            )
            g = np.exp(gate_weight[c * n_gates : (c + 1) * n_gates] @ h)
            g /= g.sum()
            mixed = (
                sigmoid(np.array((g * e).sum())) if model.reading == "logits" else (g[:n_experts] * sigmoid(e)).sum()
            )
            result[b, c] = mixed
    return result


@pytest.mark.parametrize("reading", ["logits", "probabilities"])
@pytest.mark.parametrize("experts", [1, 3])
def test_both_readings_equal_their_definition(reading: Reading, experts: int) -> None:
    torch.manual_seed(0)
    model = MixtureOfExperts(6, 4, ExpertsArchitecture(experts=experts, reading=reading))
    hidden = torch.randn(20, 6) * 3
    p = model(hidden).sigmoid().detach().numpy()
    np.testing.assert_allclose(p, probabilities_oracle(model, hidden.double().numpy()), atol=1e-6)


def test_by_hand() -> None:
    """One class, two experts with scores 0 and log 3 and equal gates."""
    log3 = float(np.log(3.0))
    hidden = torch.tensor([[1.0]])
    for reading, expected in (("logits", sigmoid(np.array(log3 / 2))), ("probabilities", (0.5 + 0.75) / 3)):
        model = MixtureOfExperts(1, 1, ExpertsArchitecture(experts=2, reading=reading))  # type: ignore[arg-type]
        model.gates.weight.data.zero_()
        model.experts.weight.data = torch.tensor([[0.0], [log3]])
        model.experts.bias.data.zero_()
        # The probabilities share their gates with the dummy expert: a third each.
        assert model(hidden).sigmoid().item() == pytest.approx(float(expected), abs=1e-6)


def test_a_mixture_of_probabilities_spans_more_than_half_to_three_quarters() -> None:
    model = MixtureOfExperts(1, 1, ExpertsArchitecture(experts=1, reading="probabilities"))
    model.gates.weight.data = torch.tensor([[30.0], [-30.0]])
    model.experts.weight.data = torch.tensor([[12.0]])
    model.experts.bias.data.zero_()
    assert model(torch.tensor([[1.0]])).sigmoid().item() > 0.999
    assert model(torch.tensor([[-1.0]])).sigmoid().item() < 0.001


def test_the_loss_is_equation_3() -> None:
    rng = np.random.default_rng(0)
    o, y = rng.normal(size=(7, 15)), rng.random((7, 15))
    p = sigmoid(o)
    expected = -(y * np.log(p) + (1 - y) * np.log(1 - p)).sum() / (7 * 15)
    assert expression_loss(torch.from_numpy(o), torch.from_numpy(y)).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("reading", ["logits", "probabilities"])
@pytest.mark.parametrize("scale", [1e2, 1e4])
def test_loss_and_gradient_stay_finite_where_p_underflows(reading: Reading, scale: float) -> None:
    torch.manual_seed(0)
    model = MixtureOfExperts(3, 2, ExpertsArchitecture(experts=3, reading=reading))
    hidden = (torch.randn(40, 3) * scale).requires_grad_()
    labels = torch.rand(40, 2).round()
    loss = expression_loss(model(hidden), labels)
    loss.backward()
    assert torch.isfinite(loss) and hidden.grad is not None and torch.isfinite(hidden.grad).all()
    assert loss.item() > 1.0, "saturated and wrong rows still cost, and so still teach"


@pytest.mark.parametrize("reading", ["logits", "probabilities"])
def test_a_shared_gate_mixes_as_if_every_class_had_the_same(reading: Reading) -> None:
    torch.manual_seed(0)
    shared = MixtureOfExperts(6, 4, ExpertsArchitecture(reading=reading, gates="shared"))
    per_class = MixtureOfExperts(6, 4, ExpertsArchitecture(reading=reading))
    per_class.experts.load_state_dict(shared.experts.state_dict())
    per_class.gates.weight.data = shared.gates.weight.data.repeat(4, 1)
    hidden = torch.randn(20, 6)
    assert len(per_class.gates.weight) == 4 * len(shared.gates.weight)
    torch.testing.assert_close(shared(hidden), per_class(hidden))


def test_batch_norm_stands_before_the_softmax_and_the_sigmoid() -> None:
    torch.manual_seed(0)
    normed = MixtureOfExperts(6, 4, ExpertsArchitecture(expert_batch_norm=True))
    hidden = torch.randn(50, 6) * 30 + 7
    gates, experts = (
        torch.nn.functional.batch_norm(layer(hidden), None, None, training=True).unflatten(1, (4, 3))
        for layer in (normed.gates, normed.experts)
    )
    torch.testing.assert_close(normed(hidden), (gates.softmax(2) * experts).sum(2))


def test_a_mixture_without_experts_is_refused() -> None:
    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        ExpertsArchitecture(experts=0)
