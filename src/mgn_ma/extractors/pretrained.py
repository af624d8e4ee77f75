"""Which weights a frozen network needs, where their files are, and how they enter a fingerprint.

A configuration is read, checked and hashed here without importing torch. Fetching and loading are in
:mod:`mgn_ma.extractors.weights`.
"""

from __future__ import annotations

import hashlib
import json
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, PositiveInt, StringConstraints, model_validator

from mgn_ma.configuration import Configuration
from mgn_ma.errors import MGNMAError
from mgn_ma.extractors.base import ExtractorConfig

if TYPE_CHECKING:
    from torch import nn

Precision = Literal["float32", "bfloat16"]


class WeightsError(MGNMAError):
    """Weights are absent, or not what they should be; the message says which file and what to do about it."""


class Pretrained(Configuration):
    """Which weights a network gets: exactly one of a local ``path``, a ``hub`` repository, or a ``random`` seed.

    No connection is opened for it. A path is read as it stands; a hub repository is looked up in the local hub cache.
    Both are filled by the pipeline ``weights``, or by hand.

    One string does for the common cases, ``random:0``, ``hub:<repository>`` or a path: unlike a table, a string
    replaces what another environment says instead of mixing with it.

    Attributes:
        path: a ``.safetensors`` or ``.pth`` file, or a directory for a network of several files.
        url: where the pipeline ``weights`` can fetch ``path`` from, if not from the address that the network knows.
        hub: repository of a model hub, such as ``timm/inception_resnet_v2.tf_in1k``.
        revision: branch, tag or commit of that repository; a commit never moves.
        random: seed of an explicitly untrained network: for tests, timing and trying the chain, never for results.
        sha256: hex digest of the weights file, whole or its first eight digits or more; a file that differs is refused.
    """

    path: str | None = None
    url: str | None = Field(default=None, pattern=r"^https?://")
    hub: str | None = None
    revision: str = "main"
    random: int | None = Field(default=None, ge=0)
    sha256: Annotated[str, StringConstraints(to_lower=True, pattern=r"^[0-9a-fA-F]{8,64}$")] | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_words(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        kind, _, rest = value.partition(":")
        if kind == "random" and rest.isdigit():
            return {"random": int(rest)}
        return {"hub": rest} if kind == "hub" else {"path": value}

    @model_validator(mode="after")
    def _is_exactly_one(self) -> Pretrained:
        given = [name for name in ("path", "hub", "random") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of path, hub and random (a seed), not {given or 'none of them'}")
        if self.url is not None and self.path is None:
            raise ValueError("url says where path is fetched from: it needs a path")
        if self.sha256 is not None and self.random is not None:
            raise ValueError("random weights have no file, so no sha256")
        return self


@dataclass(frozen=True, slots=True)
class PublicWeights:
    """What is publicly known of a network's pretrained files, for the message and the table that name them.

    Attributes:
        title: what they are and who publishes them.
        licence: of the weights, or of the code that they came with, said as such.
        megabytes: about how large the download is; ``None`` where unknown.
        files: names of the files in a hub repository or a directory, the one that ``sha256`` is of first. Where one of
            several will do, they stand in one string, the best first: ``"model.safetensors|pytorch_model.bin"``.
        optional_files: files that are taken along where they exist.
        url: direct address of the (single) file; ``None`` where no address is known to work.
        hub: repository of the model hub that carries it.
        note: what a user must know beside.
    """

    title: str
    licence: str
    megabytes: float | None
    files: tuple[str, ...]
    optional_files: tuple[str, ...] = ()
    url: str | None = None
    hub: str | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class WeightsNeed:
    """One set of weights that a configuration asks for: ``part`` tells apart those of one network."""

    network: str
    part: str
    pretrained: Pretrained
    public: PublicWeights

    @property
    def place(self) -> str:
        """Where the files are looked for, in words."""
        pretrained = self.pretrained
        if pretrained.random is not None:
            return f"random (seed {pretrained.random})"
        return pretrained.path or f"local hub cache: {pretrained.hub} (revision {pretrained.revision})"

    @property
    def address(self) -> str | None:
        """Where the files can be fetched from; ``None`` if no address is known."""
        return self.pretrained.hub or self.pretrained.url or self.public.url

    @property
    def remedy(self) -> str:
        """How to get the files, in a sentence."""
        public = self.public
        size = f", {public.megabytes:.0f} MB" if public.megabytes else ""
        fetching = "`kedro run --pipelines weights --params weights.fetch=true` gets it"
        how = fetching if self.address else public.note or f"`pretrained: hub:{public.hub}` can be fetched"
        return f"It is {public.title} ({public.licence}{size}): {how}; or set `pretrained` to the path of a copy."


class FrozenNetwork(Configuration):
    """What the configuration of every frozen network has beside its own settings.

    Attributes:
        PUBLIC: the public weights for each field of type :class:`Pretrained`.
        NOT_IN_FINGERPRINT: settings that change nothing of what it makes.
        VERSION: raised by hand when the code changes what it makes.
        pretrained: its weights.
        precision: what the network computes in.
        device: ``auto`` (CUDA, then MPS, then CPU) or a torch device such as ``cuda:1``.
    """

    PUBLIC: ClassVar[Mapping[str, PublicWeights]]
    NOT_IN_FINGERPRINT: ClassVar[frozenset[str]]
    VERSION: ClassVar[int]

    name: str
    pretrained: Pretrained
    precision: Precision = "float32"
    device: str = Field(default="auto", pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")

    def weights_needed(self) -> tuple[WeightsNeed, ...]:
        """Every set of weights that this configuration asks for, that of the network first."""
        needs = []
        for field, public in self.PUBLIC.items():
            pretrained: Pretrained | None = getattr(self, field)
            if pretrained is None:
                continue
            if pretrained.hub not in (None, public.hub):
                public = replace(public, title=pretrained.hub, licence="see its page", megabytes=None, note="")
            needs.append(WeightsNeed(self.name, "network" if field == "pretrained" else field, pretrained, public))
        return tuple(needs)

    def check(self) -> None:
        """Refuse what the network's library doesn't know, before any file is looked for.

        Raises:
            WeightsError: with what is near to it.
        """

    @abstractmethod
    def load(self) -> nn.Module:
        """Build the network on the CPU in float32 and load its weights strictly.

        Raises:
            WeightsError: if a file is absent, or is not exactly what the network needs.
        """

    def fingerprint(self) -> str:
        """Hex digest of name, version, settings and the *content* of the weights: moving a file changes nothing.

        Raises:
            WeightsError: if a file is absent whose digest the configuration doesn't give in full.
        """
        of_weights = {field for field in self.PUBLIC if getattr(self, field) is not None}
        settings = self.model_dump(mode="json", exclude=set(self.NOT_IN_FINGERPRINT) | of_weights)
        weights = {need.part: identity(need) for need in self.weights_needed()}
        canonical = json.dumps({"version": self.VERSION, **settings, "weights": weights}, sort_keys=True)
        return hashlib.sha256(canonical.encode()).hexdigest()


class NetworkConfig(FrozenNetwork, ExtractorConfig):
    """What the configuration of every extractor with a frozen network has.

    Attributes:
        precision: what the network computes in; the vectors are handed on as float32.
        batch_size: units (frames, patches, texts) of one video a forward pass. A CPU gains nothing by more than the
            default, a large GPU takes 128 and more. Halved by itself where memory doesn't suffice.
    """

    batch_size: PositiveInt = 32


class FrameNetworkConfig(NetworkConfig):
    """What the configuration of an extractor has whose network takes frames as they are decoded.

    Attributes:
        decoder: what decodes the video: the CPU, or the CUDA device that the network runs on, which no frame leaves.
            Colours agree to the rounding (``docs/media.md``), so that neither makes another track.
    """

    NOT_IN_FINGERPRINT: ClassVar[frozenset[str]] = ExtractorConfig.NOT_IN_FINGERPRINT | {"decoder"}

    decoder: Literal["cpu", "cuda"] = "cpu"


def identity(need: WeightsNeed) -> str:
    """What tells these weights from all others: a digest of content, or ``random:<seed>``.

    A network of one file whose whole SHA-256 is configured needs no file here, so that a machine that only reads
    tracks need not hold the weights. One of several files is read, since its tokenizer counts too.

    Raises:
        WeightsError: if a file is absent.
    """
    pretrained = need.pretrained
    if pretrained.random is not None:
        return f"random:{pretrained.random}"
    if pretrained.sha256 is not None and len(pretrained.sha256) == 64 and len(need.public.files) == 1:
        return pretrained.sha256
    digests = {path.name: file_sha256(path) for path in locate(need)}
    if len(digests) == 1:
        return digests.popitem()[1]
    return hashlib.sha256(json.dumps(digests, sort_keys=True).encode()).hexdigest()


def locate(need: WeightsNeed) -> list[Path]:
    """The local files of these weights, the weights proper first, then optional ones that exist.

    Raises:
        WeightsError: if one is absent; every absent one is named, and the way to get them.
    """
    if need.pretrained.random is not None:
        return []
    found = {names: _find(need, names) for names in need.public.files}
    if absent := [names.replace("|", " or ") for names, path in found.items() if path is None]:
        raise WeightsError(f"no file {', '.join(absent)} at {need.place}. {need.remedy}")
    optional = (_find(need, name) for name in need.public.optional_files)
    return [path for path in (*found.values(), *optional) if path is not None]


def _find(need: WeightsNeed, names: str) -> Path | None:
    """The first that exists of some alternatives ``a|b``."""
    # Imported here: it takes a while, and random weights don't need it.
    from huggingface_hub import try_to_load_from_cache

    pretrained = need.pretrained
    for name in names.split("|"):
        if pretrained.path is None:
            found = try_to_load_from_cache(pretrained.hub or "", name, revision=pretrained.revision)
        else:
            # The single file of a network may have any name.
            found = str(Path(pretrained.path).expanduser() / (name if len(need.public.files) > 1 else ""))
        if isinstance(found, str) and Path(found).is_file():
            return Path(found)
    return None


def file_sha256(path: Path) -> str:
    """Hex SHA-256 of a file's content; remembered in this process while size and time of change stay."""
    status = path.stat()
    return _sha256(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=64)
def _sha256(path: Path, size: int, mtime_ns: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
