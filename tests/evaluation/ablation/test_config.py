"""The ablation's configuration: names that must be known, changes that merge, and base, which is the paper."""

from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from mgn_ma.evaluation.ablation.config import AblationConfig
from mgn_ma.modalities import IN_MODEL
from mgn_ma.training.config import ModelConfig, changed

BASE = Path(__file__).parents[3] / "conf" / "base"


def make(**changes):
    values = {
        "variants": {"small": {"model": {"hidden": 8}}, "large": {}, "both": {"ensemble_of": "large"}},
        "table_1": [{"row": "Small", "variant": "small"}],
        "table_2": [{"row": "Both", "variant": "both"}],
    }
    return AblationConfig.model_validate(values | changes)


@pytest.fixture(scope="module")
def base():
    return AblationConfig.model_validate(yaml.safe_load((BASE / "ablation/parameters.yml").read_text())["ablation"])


def test_seeds_are_a_number_or_a_list():
    assert make(seeds=3).seed_numbers == (0, 1, 2)
    assert make(seeds=[7, 3]).seed_numbers == (7, 3)
    for wrong in (0, [], [1, 1], [1000], [-1]):
        with pytest.raises(ValidationError, match="seeds"):
            make(seeds=wrong)


def test_only_variants_that_a_table_names_are_wanted():
    config = make(other={"more": [{"row": "Large", "variant": "large", "over": "small"}]})
    assert list(make().wanted) == ["small", "both"]
    assert list(config.wanted) == ["small", "large", "both"]
    assert list(config.tables) == ["table_1", "table_2", "more"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"table_1": [{"row": "Huge", "variant": "huge"}]}, r"table_1, row 'Huge', names the variant 'huge'"),
        ({"table_2": [{"row": "S", "variant": "small", "over": "huge"}]}, r"table_2, row 'S', names the variant 'hu"),
        ({"variants": {"small": {}, "both": {"ensemble_of": "huge"}}}, r"both is an ensemble of 'huge'"),
        ({"variants": {"small": {}, "both": {"ensemble_of": "both"}}}, r"both is an ensemble of 'both'"),
        ({"variants": {"small": {"ensemble_of": "both", "model": {"experts": 1}}, "both": {}}}, r"change them there"),
        ({"variants": {"small": {}, "both": {}, "oracle": {}}}, r"can't be called 'oracle'"),
        ({"variants": {"small": {}, "both": {}, "../etc": {}}}, r"variants.*\n.*pattern"),
        ({"variants": {"small": {"modle": {}}, "both": {}}}, r"variants\.small\.modle"),
    ],
)
def test_what_fits_nothing_is_refused_by_name(changes, message):
    with pytest.raises(ValidationError, match=message):
        make(**changes)


def test_rows_without_modal_attention_have_no_modal_dropout_and_others_have(base):
    model = ModelConfig.model_validate(yaml.safe_load((BASE / "training/parameters.yml").read_text())["model"])
    rows = [row.variant for row in (*base.table_1, *base.table_2)]
    models = [changed(model, base.variants[base.variants[name].ensemble_of or name].model) for name in rows]
    assert {(of.fusion, of.modality_dropout) for of in models} == {("concatenation", 0.0), ("attention", 0.1)}


def test_base_has_the_paper_s_tables(base):
    assert base.seeds == 5
    assert [row.paper_eev_test for row in base.table_1] == [0.00349, 0.00574, 0.00739, 0.00893, 0.01328, 0.01529]
    assert [row.paper_eev_test for row in base.table_2] == [0.01529, 0.01718, 0.01849, 0.02292]
    assert base.table_1[-1].variant == base.table_2[0].variant
    assert len(base.other["number_of_experts"]) == 5
    assert base.wanted == base.variants, "every variant of base stands in a table"


def test_base_s_table_1_adds_modalities_to_an_mlp_on_a_concatenation(base):
    models = [changed(ModelConfig(), base.variants[row.variant].model) for row in base.table_1]
    assert {(model.fusion, model.classifier) for model in models} == {("concatenation", "mlp")}
    assert [len(model.modalities) for model in models] == [1, 1, 2, 3, 4, 5]
    assert models[-1].modalities == IN_MODEL


def test_base_s_table_2_ends_with_the_paper_s_network(base):
    models = [changed(ModelConfig(), base.variants[row.variant].model) for row in base.table_2[:3]]
    assert [(model.classifier, model.fusion) for model in models] == [
        ("mlp", "concatenation"),
        ("moe", "concatenation"),
        ("moe", "attention"),
    ]
    assert models[2] == ModelConfig()
    assert base.variants["ensemble"].ensemble_of == base.table_2[2].variant
