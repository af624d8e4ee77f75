from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import ValidationError

from mgn_ma.extractors.base import Extractor, ExtractorConfig
from mgn_ma.extractors.registry import (
    EXTRACTORS,
    UnknownExtractorError,
    build,
    config_class,
    extractor_class,
    parse_config,
)

SETTINGS = {
    "inception_resnet_v2": {"pretrained": {"random": 0}},
    "vggish": {"pretrained": {"random": 0}},
    "s3d": {"pretrained": {"random": 0}},
    "bert": {"pretrained": {"random": 0}, "source": "captions"},
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
