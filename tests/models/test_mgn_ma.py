"""The whole network in its variants: any subset of modalities, either fusion, either classifier."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from mgn_ma.models.mgn_ma import MGNMA, MGNMAConfig
from mgn_ma.models.mixture_of_experts import expression_loss

WIDTHS = {"image": 6, "audio": 3, "subtitle": 4}


def frames(n: int, seed: int = 0) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    features = {name: torch.randn(n, width, generator=generator) for name, width in WIDTHS.items()}
    present = {name: torch.rand(n, generator=generator) < 0.8 for name in WIDTHS}
    return features, present


@pytest.mark.parametrize(
    ("fusion", "classifier", "reading"),
    list(product(["attention", "concatenation"], ["moe", "mlp"], ["logits", "probabilities"])),
)
def test_every_variant_learns(fusion: str, classifier: str, reading: str) -> None:
    torch.manual_seed(0)
    config = MGNMAConfig.model_validate(
        {
            "modalities": WIDTHS,
            "classes": 15,
            "hidden": 16,
            "fusion": fusion,
            "classifier": classifier,
            "reading": reading,
        }
    )
    model = MGNMA(config)
    features, present = frames(64)
    labels = torch.rand(64, 15)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(40):
        output = model(features, present)
        loss = expression_loss(output.logits, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.03
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())
    assert output.logits.shape == (64, 15) and output.attention.shape == (64, 3)
    assert ((output.probabilities > 0) & (output.probabilities < 1)).all()


@pytest.mark.parametrize(
    "option",
    [
        {"attention_scores": "concatenation"},
        {"attention_over": "all"},
        {"gates": "shared"},
        {"expert_batch_norm": True},
    ],
)
def test_every_other_reading_of_the_paper_is_an_option(option: dict[str, Any]) -> None:
    torch.manual_seed(0)
    config = MGNMAConfig.model_validate(
        {"modalities": WIDTHS, "classes": 15, "hidden": 16, "modality_dropout": 0.0, **option}
    )
    model = MGNMA(config)
    default = MGNMA(MGNMAConfig(modalities=WIDTHS, classes=15, hidden=16, modality_dropout=0.0))
    features, present = frames(64)
    # The weights that both have are the same, so that only the option can make the difference.
    theirs = default.state_dict()
    shared = {
        key: theirs[key]
        for key, value in model.state_dict().items()
        if key in theirs and value.shape == theirs[key].shape
    }
    model.load_state_dict(shared, strict=False)
    assert not torch.allclose(model(features, present).logits, default(features, present).logits, atol=1e-4)
    expression_loss(model(features, present).logits, torch.rand(64, 15)).backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())


@pytest.mark.parametrize("names", [["image"], ["subtitle", "audio"], ["image", "audio", "subtitle"]])
def test_any_subset_of_modalities(names: list[str]) -> None:
    model = MGNMA(MGNMAConfig(modalities={name: WIDTHS[name] for name in names}, classes=15, hidden=8)).eval()
    features, present = frames(5)
    assert model(features, present).attention.shape == (5, len(names))
    assert model.fusion.num_features == sum(WIDTHS[name] for name in names)


def test_absent_vectors_have_no_influence() -> None:
    model = MGNMA(MGNMAConfig(modalities=WIDTHS, classes=15, hidden=8)).eval()
    features, present = frames(30)
    present["image"] |= ~(present["audio"] | present["subtitle"])
    expected = model(features, present)
    noisy = {name: v.masked_fill(~present[name][:, None], 500.0) for name, v in features.items()}
    output = model(noisy, present)
    torch.testing.assert_close(output.logits, expected.logits)
    torch.testing.assert_close(output.attention, expected.attention)
    torch.testing.assert_close(output.attention.sum(dim=1), torch.ones(30))


def test_without_a_mask_all_are_present() -> None:
    model = MGNMA(MGNMAConfig(modalities=WIDTHS, classes=15, hidden=8)).eval()
    features, _ = frames(4)
    everything = {name: torch.ones(4, dtype=torch.bool) for name in WIDTHS}
    torch.testing.assert_close(model(features).logits, model(features, everything).logits)


def test_float16_features_are_computed_in_float32() -> None:
    model = MGNMA(MGNMAConfig(modalities=WIDTHS, classes=15, hidden=8)).eval()
    features, present = frames(4)
    half = {name: v.half() for name, v in features.items()}
    assert model(half, present).logits.dtype == torch.float32
    torch.testing.assert_close(model(half, present).logits, model(features, present).logits, atol=5e-3, rtol=0)


def test_the_defaults_are_the_papers() -> None:
    config = MGNMAConfig(modalities=WIDTHS, classes=15)
    assert (config.hidden, config.experts) == (1024, 3)
    assert (config.fusion, config.classifier) == ("attention", "moe")


@pytest.mark.parametrize(
    "settings",
    [
        {"modalities": {}, "classes": 15},
        {"modalities": WIDTHS, "classes": 15, "expert": 3},
        {"modalities": WIDTHS, "classes": 15, "modality_dropout": 1.0},
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        MGNMAConfig.model_validate(settings)


def test_a_missing_modality_is_named() -> None:
    features, present = frames(3)
    del features["audio"]
    with pytest.raises(KeyError, match="audio"):
        MGNMA(MGNMAConfig(modalities=WIDTHS, classes=15, hidden=4))(features, present)
