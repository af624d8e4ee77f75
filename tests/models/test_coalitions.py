"""A coalition's output is that of the network with the other modalities absent, whatever its architecture."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from mgn_ma.models.coalitions import Coalitions
from mgn_ma.models.config import MGNMAConfig
from mgn_ma.models.mgn_ma import MGNMA
from mgn_ma.models.sequences import Sequences

WIDTHS = {"image": 6, "audio": 3, "subtitle": 4}
N_FRAMES = 24


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"fusion": "concatenation", "classifier": "mlp"},
        {"attention_over": "all", "normalisation": "layer_norm"},
        {"attention_scores": "concatenation", "context_gating": True, "gates": "shared"},
        {"attention_scores": "concatenation", "attention_over": "all", "normalisation": "none"},
        {"temporal": {"kind": "fir", "span_s": 3.0}},
        {"temporal": {"kind": "gru", "width": 6}},
        {"temporal": {"kind": "tcn", "width": 6, "levels": 2}},
    ],
    ids=str,
)
def test_equals_the_network_without_the_others(changes: dict[str, object]) -> None:
    torch.manual_seed(2)
    network = MGNMA(MGNMAConfig.model_validate({"modalities": WIDTHS, "classes": 5, "hidden": 8} | changes)).eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    features = {name: torch.randn(N_FRAMES, width).half() for name, width in WIDTHS.items()}
    present = {name: torch.rand(N_FRAMES) < 0.8 for name in WIDTHS}
    one_by_one = network.config.temporal.kind == "none"
    sequences = None if one_by_one else Sequences.from_steps(np.array([0, 10, N_FRAMES]), np.r_[0:10, 3 : N_FRAMES - 7])
    choices = list(itertools.product([False, True], repeat=len(WIDTHS)))
    outputs = Coalitions(network, features, present, sequences).outputs(torch.tensor(choices))
    for stay, logits, attention in zip(choices, *outputs, strict=True):
        masked = {name: mask & stays for (name, mask), stays in zip(present.items(), stay, strict=True)}
        expected = network(features, masked, sequences)
        torch.testing.assert_close(logits, expected.logits, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(attention, expected.attention)
