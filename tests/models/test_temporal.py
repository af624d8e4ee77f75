"""Parts that look along time: what they see and what they don't, against slow obvious versions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn

from mgn_ma.models.config import MGNMAConfig, TemporalConfig
from mgn_ma.models.mgn_ma import MGNMA
from mgn_ma.models.sequences import Sequences
from mgn_ma.models.temporal import FiniteFilter, TemporalPart

H = 6
SMALL: dict[str, Any] = {"width": 8, "heads": 2, "levels": 2, "span_s": 1.0, "window_s": 10.0, "overlap_s": 4.0}
KINDS = ["fir", "tcn", "gru", "transformer"]
EVERY = [(kind, causal, 6) for kind in KINDS for causal in (False, True)] + [
    ("gru", False, 1),
    ("transformer", False, 2),
]


def make(kind: str, *, causal: bool = False, **changes: Any) -> nn.Module:
    torch.manual_seed(0)
    config = TemporalConfig.model_validate({"kind": kind, "causal": causal, **SMALL, **changes})
    part = FiniteFilter(config, H) if kind == "fir" else TemporalPart(config, H)
    if isinstance(part, FiniteFilter):
        nn.init.normal_(part.scores, std=0.1)
    return part.eval()


def layout(*steps: list[int]) -> Sequences:
    return Sequences.from_steps(np.append(0, np.cumsum([len(one) for one in steps])), np.concatenate(steps))


def rows(n: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(n, H, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("kind", "causal", "rate_hz"), EVERY)
def test_a_sequence_is_the_same_whatever_stands_beside_it(kind: str, causal: bool, rate_hz: int) -> None:
    part = make(kind, causal=causal, rate_hz=rate_hz, seconds=kind != "fir")
    with_gap = [*range(3, 20), *range(31, 40)]
    one, other = rows(len(with_gap)), rows(80, seed=2)
    alone = part(one, layout(with_gap))
    together = part(torch.cat([one, other]), layout(with_gap, list(range(100, 180))))
    torch.testing.assert_close(together[: len(one)], alone, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(together[len(one) :], part(other, layout(list(range(100, 180)))), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_causal_says_the_same_of_a_growing_video(kind: str) -> None:
    part = make(kind, causal=True)
    steps = [*range(7, 30), *range(40, 66)]
    x = rows(len(steps))
    whole = part(x, layout(steps))
    for n in (1, 2, 10, 23, 24, 40):
        torch.testing.assert_close(part(x[:n], layout(steps[:n])), whole[:n], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_what_changes_with_a_moment_lies_within_the_context(kind: str, causal: bool) -> None:
    part = make(kind, causal=causal)
    x = rows(60)
    changed = x.clone()
    changed[30] += 1.0
    steps = layout(list(range(60)))
    differs = (part(changed, steps) - part(x, steps)).abs().amax(dim=1) > 1e-6
    config = TemporalConfig.model_validate({"kind": kind, "causal": causal, **SMALL})
    before, after = config.context_steps
    where = np.flatnonzero(differs.numpy())
    assert 30 in where and len(where) > 1
    if kind in ("fir", "tcn"):  # the others see all of a window
        assert (where[0], where[-1]) == (30 - after, 30 + before)
    assert where[0] == 30 or not causal


def test_a_gap_is_time_that_passes() -> None:
    """A filter that looks 3 steps back sees nothing of a row that is next to it among the rows, 4 steps ago."""
    part = FiniteFilter(TemporalConfig(kind="fir", causal=True, span_s=0.5), H)
    x = rows(2)
    torch.testing.assert_close(part(x, layout([0, 4])), x)
    assert not torch.allclose(part(x, layout([0, 3])), x)


@pytest.mark.parametrize("causal", [False, True])
def test_the_filter_is_the_average_that_numpy_makes(causal: bool) -> None:
    part = make("fir", causal=causal)
    steps = [0, 1, 2, 5, 6, 7, 8, 20]
    x = rows(len(steps))
    assert isinstance(part, FiniteFilter)
    scores = part.SHARPNESS * part.scores.detach().numpy()[:, 0].astype(np.float64)  # (C, K)
    weights = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    expected = np.empty((len(steps), H))
    for row, step in enumerate(steps):
        taps = np.array(steps) - step + part.padding[0]  # which tap each row meets
        met = (taps >= 0) & (taps < weights.shape[1])
        of_met = weights[:, taps[met]]  # (C, met)
        expected[row] = (of_met * x.numpy()[met].T).sum(axis=1) / of_met.sum(axis=1)
    np.testing.assert_allclose(part(x, layout(steps)).detach().numpy(), expected, atol=1e-5)
    constant = torch.full((len(steps), H), 0.7)
    torch.testing.assert_close(part(constant, layout(steps)), constant)


def test_the_filter_begins_mostly_with_the_moment_itself() -> None:
    part = FiniteFilter(TemporalConfig(kind="fir", causal=True, span_s=2.0), H)
    x = torch.zeros(30, H)
    x[29] = 1.0
    torch.testing.assert_close(part(x, layout(list(range(30))))[29], torch.full((H,), 0.5))


def test_recurrence_is_that_of_a_loop_over_steps() -> None:
    part = make("gru", layers=1)
    assert isinstance(part, TemporalPart)
    steps = [6, 7, 9]
    x = rows(3)
    inputs = torch.zeros(4, 8)
    inputs[[0, 1, 3]] = part.norm(part.reduce(x))
    gru = part.inner.layers
    outputs = []
    for suffix, order in (("", [0, 1, 2, 3]), ("_reverse", [3, 2, 1, 0])):
        cell = nn.GRUCell(8, 8)
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        cell.load_state_dict({name: getattr(gru, f"{name}_l0{suffix}") for name in names})
        state, found = torch.zeros(1, 8), {}
        for step in order:
            found[step] = state = cell(inputs[step : step + 1], state)
        outputs.append(torch.cat([found[step] for step in (0, 1, 3)]))
    expected = x + part.expand(torch.cat(outputs, dim=1))
    torch.testing.assert_close(part(x, layout(steps)), expected, atol=1e-6, rtol=1e-5)


def test_means_over_a_second_go_in_and_lines_between_them_come_out() -> None:
    part = make("gru", rate_hz=1)
    assert isinstance(part, TemporalPart)
    steps = [0, 1, 2, 8, 9, 13]
    x = rows(len(steps))
    reduced = part.norm(part.reduce(x))
    means = torch.stack([reduced[:3].mean(0), reduced[3:5].mean(0), reduced[5]])[None]
    y = part.inner(means, torch.ones(1, 3, 1, dtype=torch.bool), torch.tensor([3]))[0].detach().numpy()
    # A mean stands in the middle of its second, at 2.5 steps.
    at = np.stack([np.interp(steps, [2.5, 8.5, 14.5], column) for column in y.T], axis=1)
    expected = x + part.expand(torch.from_numpy(at.astype(np.float32)))
    torch.testing.assert_close(part(x, layout(steps)), expected, atol=1e-5, rtol=1e-5)


def test_attention_is_the_softmax_of_scores_and_distances() -> None:
    part = make("transformer", layers=1, heads=1, dropout=0.0)
    assert isinstance(part, TemporalPart)
    x = rows(4)
    h = part.norm(part.reduce(x))
    layer = part.inner.layers[0]
    q, k, v = layer.project(layer.norms[0](h)).chunk(3, dim=1)
    steps = torch.tensor([0, 1, 5, 6])
    scores = q @ k.T / 8**0.5 - (steps - steps[:, None]).abs() / 6
    y = h + layer.merge(scores.softmax(dim=1) @ v)
    y = y + layer.narrow(layer.widen(layer.norms[1](y)).relu())
    torch.testing.assert_close(part(x, layout(steps.tolist())), x + part.expand(y), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("kind", "causal", "rate_hz"), EVERY)
def test_gradients_are_finite(kind: str, causal: bool, rate_hz: int, precision: torch.dtype) -> None:
    part = make(kind, causal=causal, rate_hz=rate_hz).train()
    x = rows(9).requires_grad_()
    with torch.autocast("cpu", precision, enabled=precision == torch.bfloat16):
        y = part(x, layout([4, 5, 6, 17, 30], [0, 1, 2, 3]))
    y.float().square().sum().backward()
    for tensor in (x, *part.parameters()):
        assert tensor.grad is not None and tensor.grad.isfinite().all()


def network(kind: str, **changes: Any) -> MGNMA:
    torch.manual_seed(0)
    temporal = {"kind": kind, **SMALL}
    return MGNMA(
        MGNMAConfig.model_validate(
            {"modalities": {"image": 3, "audio": 2}, "classes": H, "hidden": 8, "temporal": temporal, **changes}
        )
    )


@pytest.mark.parametrize("kind", KINDS)
def test_the_network_needs_to_know_which_frames_follow_one_another(kind: str) -> None:
    features = {"image": torch.randn(5, 3), "audio": torch.randn(5, 2)}
    with pytest.raises(ValueError, match=f"a network with a {kind} has to know which frames follow one another"):
        network(kind)(features)
    output = network(kind)(features, None, layout([0, 1, 2], [8, 9]))
    assert output.logits.shape == (5, H) and output.logits.dtype == torch.float32


def test_without_a_part_the_network_has_no_weights_more_and_sees_one_moment() -> None:
    plain = network("none").eval()
    assert not any(name.startswith(("temporal", "filter")) for name in plain.state_dict())
    features = {"image": torch.randn(5, 3), "audio": torch.randn(5, 2)}
    alone, beside = plain(features), plain(features, None, layout([0, 1, 2], [8, 9]))
    assert torch.equal(alone.logits, beside.logits)


def test_rows_of_a_sequence_lose_a_modality_together() -> None:
    model = network("gru", modality_dropout=0.5).train()
    features = {"image": torch.randn(400, 3), "audio": torch.randn(400, 2)}
    steps = [list(range(10))] * 40
    dropped = (model(features, None, layout(*steps)).attention == 0).view(40, 10, 2)
    assert torch.equal(dropped.any(dim=1), dropped.all(dim=1))
    assert 0 < dropped[:, 0].sum() < 40


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "gru", "window_s": None}, "a gru predicts in windows: give window_s"),
        ({"kind": "gru", "window_s": 10, "overlap_s": 6}, "lower overlap_s"),
        ({"kind": "gru", "causal": True, "rate_hz": 1}, "interpolation looks ahead"),
        ({"kind": "tcn", "rate_hz": 1}, "rate_hz is of gru and transformer"),
        ({"kind": "tcn", "kernel": 4}, "a centred kernel has an odd number of taps, not 4"),
        ({"kind": "transformer", "width": 10}, "4 heads can't share a width of 10"),
        ({"kind": "lstm"}, "'none', 'fir', 'tcn', 'gru' or 'transformer'"),
    ],
)
def test_settings_that_fit_no_kind_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TemporalConfig.model_validate(settings)


def test_what_the_winner_of_the_challenge_looks_back() -> None:
    """4 dilations and 2 stacks of two convolutions with 3 taps: 2 x 2 x 2 x (1 + 2 + 4 + 8) steps, 20 s."""
    assert TemporalConfig(kind="tcn", causal=True).context_steps == (120, 0)
