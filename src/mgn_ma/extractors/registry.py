"""Every extractor by its name. Nothing is imported before it is asked for, so that a configuration costs no network.

An extractor of another package is named by its class, ``module:Class``: docs/add-a-modality.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pkgutil import resolve_name
from typing import Any

from mgn_ma.errors import MGNMAError
from mgn_ma.extractors.base import Extractor, ExtractorConfig

EXTRACTORS: dict[str, tuple[str, str]] = {
    "inception_resnet_v2": ("mgn_ma.extractors.timm_image", "InceptionResnetV2"),
    "vggish": ("mgn_ma.extractors.vggish", "VGGish"),
    "s3d": ("mgn_ma.extractors.s3d", "S3D"),
    "bert": ("mgn_ma.extractors.bert", "Bert"),
    "timm_image": ("mgn_ma.extractors.timm_image", "TimmImage"),
    "image_descriptor": ("mgn_ma.extractors.descriptors.image", "ImageDescriptor"),
    "audio_descriptor": ("mgn_ma.extractors.descriptors.audio", "AudioDescriptor"),
    "action_descriptor": ("mgn_ma.extractors.descriptors.action", "ActionDescriptor"),
    "text_descriptor": ("mgn_ma.extractors.descriptors.text", "TextDescriptor"),
}
"""Name -> where ``<Prefix>Config`` and ``<Prefix>Extractor`` are, and the prefix: a module, or a package whose modules
``config`` and ``extractor`` hold one each, so that a configuration does not import a network's libraries."""


class UnknownExtractorError(MGNMAError, ValueError):
    """No extractor goes by that name, or what does is none; a ``ValueError``, too: validators of parameters meet it."""


def config_class(name: str) -> type[ExtractorConfig]:
    """The configuration class of an extractor.

    Raises:
        UnknownExtractorError: nobody goes by that name; the message lists who is there.
    """
    if ":" in name:
        return _class_elsewhere(name).Config
    found: type[ExtractorConfig] = _member(name, "Config")
    return found


def parse_config(name: str, settings: Mapping[str, Any]) -> ExtractorConfig:
    """Validate the settings of one extractor.

    Raises:
        ValueError: an unknown extractor, an unknown setting or a wrong value (a Pydantic ``ValidationError`` is one).
    """
    return config_class(name).model_validate({"name": name, **settings})


def build(config: ExtractorConfig) -> Extractor:
    """Make the extractor that a configuration describes; this may load a network.

    Raises:
        UnknownExtractorError: nobody goes by that name.
        WeightsError: the network's weights are absent or don't fit.
        DeviceError: its device isn't there.
    """
    make: Any = extractor_class(config.name)
    extractor: Extractor = make(config)
    return extractor


def extractor_class(name: str) -> type[Extractor]:
    """The class of an extractor; importing it may import torch.

    Raises:
        UnknownExtractorError: nobody goes by that name.
    """
    if ":" in name:
        return _class_elsewhere(name)
    found: type[Extractor] = _member(name, "Extractor")
    return found


def _class_elsewhere(name: str) -> type[Extractor]:
    try:
        found = resolve_name(name)
    except (ImportError, AttributeError, ValueError) as error:
        raise UnknownExtractorError(f"there is no extractor {name!r}: {error}") from error
    if not (isinstance(found, type) and issubclass(found, Extractor)):
        raise UnknownExtractorError(f"{name!r} is no subclass of {Extractor.__module__}.Extractor")
    return found


def _member(name: str, suffix: str) -> Any:
    try:
        module, prefix = EXTRACTORS[name]
    except KeyError:
        raise UnknownExtractorError(
            f"there is no extractor {name!r}; there are {', '.join(sorted(EXTRACTORS))}"
        ) from None
    found = import_module(module)
    if hasattr(found, "__path__"):
        found = import_module(f"{module}.{suffix.lower()}")
    return getattr(found, prefix + suffix)
