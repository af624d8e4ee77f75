"""The prompts of the package, and files of others'."""

import pytest
import yaml

from mgn_ma.eev.targets import EEV
from mgn_ma.inference.zero_shot.config import PromptsError, read_config


def test_the_package_has_prompts_for_every_expression_in_order():
    config = read_config()
    assert config.targets == EEV
    assert all(set(prompts) == set(config.encoders) for prompts in config.prompts.values())
    assert all("licence" in encoder.about for encoder in config.encoders.values())
    assert {encoder.of_texts.pretrained for encoder in config.encoders.values()} == {
        encoder.of_moments.pretrained for encoder in config.encoders.values()
    }


def test_a_file_replaces_what_it_has_and_its_expressions_are_the_targets(tmp_path):
    file = tmp_path / "prompts.yml"
    file.write_text("prompts: {calm: {image: [a lake]}, tension: {audio: [a drum]}}\nminimum: -1\n")
    config = read_config(file)
    assert config.targets.names == ("calm", "tension")
    assert (config.targets.minimum, config.targets.maximum) == (-1.0, 1.0)
    assert config.encoders == read_config().encoders


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("[", "can't be read"),
        ("- a", "has no entries: it may have encoders, neutral, prompts"),
        ("prompt: {}", "prompt: Extra inputs are not permitted"),
        ("prompts: {calm: {image: []}}", "calm.image has no prompt, or an empty one"),
        ("prompts: {calm: {image: ['  ']}}", "calm.image has no prompt, or an empty one"),
        ("prompts: {calm: {}}", "calm has no prompt"),
        ("prompts: {calm: {smell: [smoke]}}", "prompts.calm: no encoder reads smell, only image, audio"),
        ("neutral: {image: [a photo]}", "neutral has nothing for audio"),
        ("prompts: {video_id: {image: [a lake]}}", "a target can't be called 'video_id'"),
        ("minimum: 2", "the targets' minimum, 2, is not below their maximum, 1"),
        ("encoders: {image: {extractor: vggish, settings: {pretrained: 'random:0'}}}", "vggish is no encoder of"),
        ("encoders: {image: {extractor: nope, settings: {}}}", "there is no extractor 'nope'"),
        (
            "encoders: {image: {extractor: hf_audio, settings: {pretrained: somewhere}}}",
            "encoders.image: hf_audio serves no modality 'image'",
        ),
    ],
)
def test_what_can_not_be_used_is_said_in_one_line_that_names_the_file(tmp_path, content, says):
    file = tmp_path / "prompts.yml"
    file.write_text(content)
    with pytest.raises(PromptsError) as raised:
        read_config(file)
    message = str(raised.value)
    assert message.startswith(f"{file}: ")
    assert says in message
    assert "\n" not in message


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(PromptsError, match=r"no\.yml: can't be read: .*No such file"):
        read_config(tmp_path / "no.yml")


def test_the_file_of_the_tests_is_one(prompts_file):
    assert list(read_config(prompts_file).encoders) == list(yaml.safe_load(prompts_file.read_text())["encoders"])
