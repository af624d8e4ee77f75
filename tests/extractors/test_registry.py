from __future__ import annotations

import subprocess
import sys
from typing import ClassVar

import pytest
from pydantic import ValidationError

from mgn_ma.extractors.base import Extractor, ExtractorConfig, Source, TrackRows, WithoutSettings
from mgn_ma.extractors.registry import (
    EXTRACTORS,
    UnknownExtractorError,
    build,
    config_class,
    extractor_class,
    parse_config,
)
from mgn_ma.features.settings import Modalities
from mgn_ma.media.source import VideoSource

SETTINGS = {
    "inception_resnet_v2": {"pretrained": {"random": 0}},
    "vggish": {"pretrained": {"random": 0}},
    "s3d": {"pretrained": {"random": 0}},
    "bert": {"pretrained": {"random": 0}, "source": "captions"},
    "timm_image": {"pretrained": {"random": 0}, "network": "test_vit"},
}
SOURCES = {"vggish": "audio", "audio_descriptor": "audio", "bert": "captions", "text_descriptor": "captions"}


@pytest.mark.parametrize("name", list(EXTRACTORS))
def test_every_name_leads_to_a_configuration_and_an_extractor(name: str) -> None:
    config = parse_config(name, SETTINGS.get(name, {}))
    assert isinstance(config, ExtractorConfig)
    assert config.name == name
    assert len(config.fingerprint()) == 64
    assert issubclass(extractor_class(name), Extractor)
    assert config.source == SOURCES.get(name, "video")


@pytest.mark.parametrize(
    ("name", "fingerprint"),
    [("inception_resnet_v2", "e5f118701084"), ("vggish", "436e1482a28e"), ("s3d", "122707cff1c7")],
)
def test_fingerprints_stay_what_they_were_or_every_track_is_made_anew(name: str, fingerprint: str) -> None:
    assert parse_config(name, SETTINGS[name]).fingerprint().startswith(fingerprint)


@pytest.mark.parametrize("name", [name for name in EXTRACTORS if name.endswith("_descriptor")])
def test_descriptors_are_built_without_anything_else(name: str) -> None:
    extractor = build(parse_config(name, {}))
    assert extractor.width > 100


def test_the_title_is_read_where_the_configuration_says_so() -> None:
    assert parse_config("text_descriptor", {"source": "title"}).source == "title"


def test_an_unknown_extractor_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(UnknownExtractorError, match=r"no extractor 'resnet'; there are action_descriptor, .*vggish"):
        config_class("resnet")


class Loudness(Extractor):
    """An extractor of another package."""

    width = 1
    clock = "patches"

    class Config(ExtractorConfig):
        source: ClassVar[Source] = "audio"
        decibels: float = 0.0

    def __init__(self, config: Config) -> None:
        self.decibels = config.decibels

    def extract(self, video: VideoSource) -> TrackRows:
        raise NotImplementedError


class Unset(Loudness):
    Config = WithoutSettings


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "elsewhere", sys.modules[__name__])


def test_an_extractor_elsewhere_is_named_by_its_class_and_has_its_own_settings(elsewhere: None) -> None:
    config = parse_config("elsewhere:Loudness", {"decibels": 3})
    assert config.source == "audio"
    assert build(config).decibels == 3  # type: ignore[attr-defined]
    assert config.fingerprint() != parse_config("elsewhere:Loudness", {}).fingerprint()
    entry = {"extractor": "elsewhere:Loudness", "settings": {"elsewhere:Loudness": {"decibels": 3}}}
    assert Modalities.model_validate({"audio": entry}).config("audio") == config
    with pytest.raises(ValidationError, match="'image' is made from the video, and elsewhere:Loudness reads the audio"):
        Modalities.model_validate({"image": entry})


def test_an_extractor_without_settings_reads_what_its_modality_says_and_has_its_name_in_the_fingerprint(
    elsewhere: None,
) -> None:
    config = parse_config("elsewhere:Unset", {"source": "title"})
    assert config.source == "title"
    assert config.fingerprint() == WithoutSettings(name="elsewhere:Unset", source="title").fingerprint()
    assert config.fingerprint() != WithoutSettings(name="elsewhere:Other", source="title").fingerprint()
    with pytest.raises(ValidationError, match="decibels"):
        parse_config("elsewhere:Unset", {"source": "title", "decibels": 3})


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("nowhere:Loudness", "no extractor 'nowhere:Loudness': No module named 'nowhere'"),
        ("elsewhere:Silence", "no extractor 'elsewhere:Silence': .* has no attribute 'Silence'"),
        ("no where:Loudness", "no extractor 'no where:Loudness': invalid format"),
        ("elsewhere:SETTINGS", "'elsewhere:SETTINGS' is no subclass of mgn_ma.extractors.base.Extractor"),
        ("builtins:dict", "'builtins:dict' is no subclass"),
    ],
)
def test_what_is_no_extractor_elsewhere_is_refused_by_its_name(elsewhere: None, name: str, why: str) -> None:
    with pytest.raises(UnknownExtractorError, match=why):
        parse_config(name, {})
    with pytest.raises(ValidationError, match=why):
        Modalities.model_validate({"image": {"extractor": name}})


def test_an_unknown_setting_is_refused() -> None:
    with pytest.raises(ValidationError, match="pretrained"):
        parse_config("image_descriptor", {"pretrained": {"random": 0}})


def test_configurations_cost_no_network() -> None:
    code = (
        "import sys; from mgn_ma.extractors.registry import EXTRACTORS, parse_config;"
        f"configs = [parse_config(name, {SETTINGS!r}.get(name, {{}})) for name in EXTRACTORS];"
        "print({config.source: config.fingerprint() for config in configs});"
        "heavy = {'torch', 'torchvision', 'timm', 'transformers', 'sklearn', 'scipy'};"
        "sys.exit(', '.join(heavy & sys.modules.keys()) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
