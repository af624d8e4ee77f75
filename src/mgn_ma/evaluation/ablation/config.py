"""What is compared with what: variants of the network, the tables that they stand in, and how often each is trained."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from mgn_ma.configuration import Configuration
from mgn_ma.evaluation.reaction import ReactionMethod
from mgn_ma.evaluation.scoring import ORACLE
from mgn_ma.training.config import NetworkChanges

VariantName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]*$")]
Seed = Annotated[int, Field(ge=0, lt=1000)]


class Variant(NetworkChanges):
    """What differs from the parameters ``model`` and ``training``, for the latter on top of what all variants share.

    Attributes:
        ensemble_of: a variant, and then this one is the chain's ensemble, with that variant as its ``model`` and
            ``training``: as many members, of the same variants, combined by the same method.
        reaction: what makes viewers' reactions of its curves (`mgn_ma.evaluation.reaction`), fitted on validation;
            ``None``: nothing, and of an ensemble what ``ensembling.reaction`` says.
        control: ``shuffled_labels``, trained on labels exchanged between videos, which must score about 0; or
            ``reversed_time``, predicting videos that run backwards, where only what sees time says something else.
    """

    ensemble_of: VariantName | None = None
    reaction: ReactionMethod | None = None
    control: Literal["shuffled_labels", "reversed_time"] | None = None

    @model_validator(mode="after")
    def _an_ensemble_changes_nothing(self) -> Self:
        if self.ensemble_of and (self.model or self.training):
            raise ValueError(f"an ensemble takes the networks of {self.ensemble_of} as they are: change them there")
        if self.ensemble_of and self.control:
            raise ValueError(f"a control is one network, not the ensemble of {self.ensemble_of}")
        return self


class TableRow(Configuration):
    """One row of a table.

    Attributes:
        row: what the reader sees.
        variant: whose scores these are.
        paper_eev_test: what the paper reports for it on EEV's test set.
        over: the variant that this one is to beat; the row above where it isn't given.
    """

    row: str
    variant: VariantName
    paper_eev_test: float | None = None
    over: VariantName | None = None


class AblationConfig(Configuration):
    """The parameter ``ablation``; the tables' rows decide which variants are trained.

    Attributes:
        seeds: how many times each variant is trained (seeds 0, 1, …), or with which seeds.
        training: changes of ``training`` that all variants share.
        variants: by name, which is also how their runs are called.
        table_1: the paper's: what each modality adds.
        table_2: the paper's: classifier, fusion, ensemble.
        other: further tables, by name.
    """

    seeds: Annotated[int, Field(ge=1, le=1000)] | Annotated[tuple[Seed, ...], Field(min_length=1)] = 5
    training: dict[str, Any] = Field(default_factory=dict)
    variants: dict[VariantName, Variant]
    table_1: tuple[TableRow, ...]
    table_2: tuple[TableRow, ...]
    other: dict[str, tuple[TableRow, ...]] = Field(default_factory=dict)

    @property
    def seed_numbers(self) -> tuple[int, ...]:
        """The seeds one by one: 0, 1, … where only their number is set."""
        return tuple(range(self.seeds)) if isinstance(self.seeds, int) else self.seeds

    @property
    def tables(self) -> dict[str, tuple[TableRow, ...]]:
        """All tables by name, the paper's first."""
        return {"table_1": self.table_1, "table_2": self.table_2, **self.other}

    @property
    def wanted(self) -> dict[str, Variant]:
        """The variants that some table needs, in the order of the configuration."""
        named = {name for _, name in self._names()}
        return {name: variant for name, variant in self.variants.items() if name in named}

    @model_validator(mode="after")
    def _every_name_is_known(self) -> Self:
        for place, name in self._names():
            if name not in self.variants:
                raise ValueError(f"{place} names the variant {name!r}, which is not among {', '.join(self.variants)}")
        if ORACLE in self.variants:
            raise ValueError(f"a variant can't be called {ORACLE!r}: that is the noise-free signal's row")
        for name, variant in self.variants.items():
            of = variant.ensemble_of
            if of is not None and (of not in self.variants or self.variants[of].ensemble_of):
                raise ValueError(f"{name} is an ensemble of {of!r}, which is no variant that is a single network")
        if len(set(self.seed_numbers)) != len(self.seed_numbers):
            raise ValueError(f"ablation.seeds names a seed twice: {list(self.seed_numbers)}")
        return self

    def _names(self) -> Iterator[tuple[str, str]]:
        """Where a variant is named, and its name."""
        for table, rows in self.tables.items():
            for row in rows:
                yield f"ablation.{table}, row {row.row!r},", row.variant
                if row.over is not None:
                    yield f"ablation.{table}, row {row.row!r},", row.over
