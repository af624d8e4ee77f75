"""Where a frozen network's weights come from, what the public ones are, and how they enter a fingerprint.

Light on purpose: a configuration is read, checked and hashed without importing torch. Loading is in
:mod:`mgn_ma.extractors.weights`.
"""

from __future__ import annotations

import hashlib
import json
import re
from abc import abstractmethod
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, field_validator, model_validator

from mgn_ma.errors import MGNMAError
from mgn_ma.extractors.base import ExtractorConfig

if TYPE_CHECKING:
    from torch import nn

Precision = Literal["float32", "bfloat16"]


class WeightsError(MGNMAError):
    """Weights are absent, or not what they should be; the message says which file and what to do about it."""


class Pretrained(BaseModel):
    """Which weights a network gets: exactly one of a local ``path``, a ``hub`` repository, or a ``random`` seed.

    Nothing here ever opens a connection. A path is read as it stands; a hub repository is looked up in the local hub
    cache. Both are filled by the pipeline ``weights``, or by hand.

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

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str | None = None
    url: str | None = None
    hub: str | None = None
    revision: str = "main"
    random: int | None = Field(default=None, ge=0)
    sha256: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_words(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        kind, _, rest = value.partition(":")
        if kind == "random" and rest.isdigit():
            return {"random": int(rest)}
        return {"hub": rest} if kind == "hub" else {"path": value}

    @field_validator("sha256")
    @classmethod
    def _is_hexadecimal(cls, value: str | None) -> str | None:
        if value is None:
            return None
        if not re.fullmatch(r"[0-9a-fA-F]{8,64}", value):
            raise ValueError(f"a SHA-256 is 8 to 64 hexadecimal digits, not {value!r}")
        return value.lower()

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
        title: what they are, in a few words.
        source: who publishes them, and where.
        licence: of the weights, or of the code that they came with, said as such.
        size_bytes: about how large the download is; ``None`` where unknown.
        files: names of the files in a hub repository or a directory, the one that ``sha256`` is of first. Where one of
            several will do, they stand in one string, the best first: ``"model.safetensors|pytorch_model.bin"``.
        optional_files: files that are taken along where they exist.
        url: direct address of the (single) file; ``None`` where no address is known to work.
        hub: repository of the model hub that carries it.
        note: what a user must know beside.
    """

    title: str
    source: str
    licence: str
    size_bytes: int | None
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


def need_of(network: str, part: str, pretrained: Pretrained, public: PublicWeights) -> WeightsNeed:
    """What a configuration needs, described as the public weights unless it names a repository of its own."""
    if pretrained.hub is not None and pretrained.hub != public.hub:
        named = {"title": pretrained.hub, "source": "a model hub", "licence": "see its page", "note": ""}
        public = replace(public, **named, size_bytes=None, hub=None)  # type: ignore[arg-type]
    return WeightsNeed(network, part, pretrained, public)


class NetworkConfig(ExtractorConfig):
    """What the configuration of every frozen network has beside its own settings.

    Attributes:
        pretrained: its weights.
        precision: what the network computes in; the vectors are handed on as float32.
        batch_size: units (frames, patches, texts) of one video a forward pass. A CPU gains nothing by more than the
            default, a large GPU takes 128 and more. Halved by itself where memory doesn't suffice.
        device: ``auto`` (CUDA, then MPS, then CPU) or a torch device such as ``cuda:1``.
    """

    pretrained: Pretrained
    precision: Precision = "float32"
    batch_size: PositiveInt = 32
    device: str = Field(default="auto", pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")

    @abstractmethod
    def weights_needed(self) -> tuple[WeightsNeed, ...]:
        """Every set of weights that this configuration asks for."""

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
        of_weights = {field for field in type(self).model_fields if isinstance(getattr(self, field), Pretrained)}
        settings = self.model_dump(mode="json", exclude=set(self.NOT_IN_FINGERPRINT) | of_weights)
        weights = {need.part: identity(need) for need in self.weights_needed()}
        canonical = json.dumps({"version": self.VERSION, **settings, "weights": weights}, sort_keys=True)
        return hashlib.sha256(canonical.encode()).hexdigest()


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
        return next(iter(digests.values()))
    return hashlib.sha256(json.dumps(digests, sort_keys=True).encode()).hexdigest()


def locate(need: WeightsNeed) -> list[Path]:
    """The local files of these weights, the weights proper first, then optional ones that exist.

    Raises:
        WeightsError: if one is absent; every absent one is named.
    """
    pretrained, public = need.pretrained, need.public
    if pretrained.random is not None:
        return []
    several = len(public.files) > 1
    if pretrained.path is not None:
        root = Path(pretrained.path).expanduser()
        where = str(root)
        if several and root.is_file():
            raise WeightsError(f"{root} is a file; {need.network} needs a directory with {', '.join(public.files)}")
        if not several and root.is_dir():
            raise WeightsError(f"{root} is a directory; {need.network} needs one file of weights")
    else:
        root = None
        where = f"{pretrained.hub} (revision {pretrained.revision}) in the local hub cache"

    def find(name: str) -> Path | None:
        if root is None:
            return _in_hub_cache(pretrained, name)
        path = root / name if several else root
        return path if path.is_file() else None

    found = {names: next(filter(None, map(find, names.split("|"))), None) for names in public.files}
    absent = [names.replace("|", " or ") for names, path in found.items() if path is None]
    if absent:
        raise WeightsError(f"no such file: {where}" if root and not several else f"no {', '.join(absent)} in {where}")
    return [path for path in (*found.values(), *map(find, public.optional_files)) if path is not None]


def directory_of(need: WeightsNeed) -> Path:
    """The local directory that holds the files of a network of several files.

    Raises:
        WeightsError: if one of them is absent.
    """
    return locate(need)[0].parent


def file_sha256(path: Path) -> str:
    """Hex SHA-256 of a file's content; remembered in this process while size and time of change stay."""
    status = path.stat()
    return _sha256(path, status.st_size, status.st_mtime_ns)


def record_of(path: Path) -> Path:
    """Where the digest of a fetched file is kept, in the form that ``sha256sum --check`` reads."""
    return path.with_name(path.name + ".sha256")


def record_sha256(path: Path) -> str:
    """Keep the digest of a file as it is now, beside it: later it must still be the same. Returns the digest."""
    digest = file_sha256(path)
    record_of(path).write_text(f"{digest}  {path.name}\n")
    return digest


def recorded_sha256(path: Path) -> str | None:
    """The digest that a file had when it was fetched, if that was recorded."""
    record = record_of(path)
    return record.read_text().split()[0].lower() if record.is_file() else None


@lru_cache(maxsize=64)
def _sha256(path: Path, size: int, mtime_ns: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _in_hub_cache(pretrained: Pretrained, name: str) -> Path | None:
    # Imported here: only a hub repository needs it.
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(pretrained.hub or "", name, revision=pretrained.revision)
    return Path(found) if isinstance(found, str) else None
