"""What members are made of: changes of the settings, and the widths of what was packed."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from mgn_ma.training.config import EnsembleConfig, ModelConfig, TrainingConfig, changed
from mgn_ma.training.errors import TrainingError


def test_changes_merge_into_what_is_nested_and_are_validated() -> None:
    training = TrainingConfig.model_validate({"epochs": 9, "batches": {"batch_size": 64, "prefetch": 5}})
    result = changed(training, {"batches": {"batch_size": 32}}, {"epochs": 2}, {"batches": {"shuffle": "full"}})
    assert (result.epochs, result.batches.batch_size, result.batches.prefetch) == (2, 32, 5)
    assert result.batches.shuffle == "full"
    assert training.epochs == 9
    with pytest.raises(ValidationError, match="epoch"):
        changed(training, {"epoch": 2})


def test_members_take_the_variants_in_turn() -> None:
    ensemble = EnsembleConfig.model_validate(
        {
            "count": 3,
            "variants": [
                {"model": {"hidden": 512, "temporal": {"kind": "gru"}}},
                {"model": {"modalities": ["audio"]}, "training": {"loss": {"bce": 0, "l1": 1}}},
            ],
        }
    )
    chain = ModelConfig(hidden=64), TrainingConfig(epochs=7)
    models, trainings = zip(*(ensemble.settings_of(number, *chain) for number in range(3)), strict=True)
    assert [model.hidden for model in models] == [512, 64, 512]
    assert [model.temporal.kind for model in models] == ["gru", "none", "gru"]
    assert models[1].modalities == ("audio",)
    assert [(training.epochs, training.loss.l1) for training in trainings] == [(7, 0), (7, 1), (7, 0)]
    for changes, said in (
        ({"model": {"hiden": 1}}, "hiden"),
        ({"training": {"loss": {"bce": 0}}}, "nothing is learned"),
    ):
        with pytest.raises(TrainingError, match=rf"ensemble_members\.variants\[0\]: (.|\n)*{said}"):
            EnsembleConfig.model_validate({"variants": [changes]}).settings_of(0, *chain)


def test_the_members_of_an_alternative_differ_in_its_changes_over_their_variants() -> None:
    ensemble = EnsembleConfig.model_validate(
        {
            "count": 2,
            "variants": [{"model": {"hidden": 512}}, {"training": {"epochs": 3}}],
            "alternatives": {"temporal": {"model": {"temporal": {"kind": "gru"}}, "training": {"epochs": 9}}},
        }
    )
    assert ensemble.ensembles == {"base": ["member_1", "member_2"], "temporal": ["temporal_1", "temporal_2"]}
    chain = ModelConfig(hidden=64), TrainingConfig(epochs=7)
    settings = [ensemble.settings_of(number, *chain, which) for which in ensemble.ensembles for number in range(2)]
    assert [(model.hidden, model.temporal.kind, training.epochs) for model, training in settings] == [
        (512, "none", 7),
        (64, "none", 3),
        (512, "gru", 9),
        (64, "gru", 9),
    ]
    with pytest.raises(TrainingError, match=r"ensemble_members\.alternatives\.other: (.|\n)*hiden"):
        EnsembleConfig.model_validate({"alternatives": {"other": {"model": {"hiden": 1}}}}).settings_of(
            0, *chain, "other"
        )


@pytest.mark.parametrize("name", ["member", "base", "a b", "1st", ""])
def test_an_alternative_s_name_is_a_word_of_its_own(name: str) -> None:
    with pytest.raises(ValidationError, match="alternatives"):
        EnsembleConfig.model_validate({"alternatives": {name: {}}})


def test_a_model_of_a_modality_that_was_not_packed() -> None:
    with pytest.raises(TrainingError, match="reads the modality 'action', which is not among image, audio"):
        ModelConfig(modalities=("image", "action")).sized({"image": 3, "audio": 2}, 15)
