"""Writes `parameters.md`, every parameter from the Pydantic classes that check it; `make docs` runs it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import griffe
from kedro.config import OmegaConfigLoader
from kedro.framework.project import pipelines
from kedro.framework.startup import bootstrap_project
from kedro.validation.type_extractor import TypeExtractor
from pydantic import BaseModel, RootModel
from pydantic.fields import FieldInfo

from mgn_ma.extractors.registry import EXTRACTORS, config_class

HEADER = """# Every parameter

What the parameters of `conf/base` may be, from the classes that check them. A key that is not here is refused by name.
`kedro run --params training.epochs=3` sets one for a run, a file in `conf/<environment>` for an environment.
"""
ROOT = Path(__file__).parents[1]


class Docstrings:
    """What the source says of classes and of their attributes, in attribute docstrings and in sections "Attributes"."""

    def __init__(self) -> None:
        self._package = griffe.load("mgn_ma", search_paths=[str(ROOT / "src")], docstring_parser="google")

    def summary(self, of: type) -> str:
        """The first line of a class's docstring."""
        return (of.__doc__ or "").partition("\n")[0]

    def attribute(self, of: type, name: str) -> str:
        """What an attribute is; classes that it inherits from are asked, too."""
        for parent in (each for each in of.__mro__ if each.__module__.startswith("mgn_ma")):
            found = self._package[f"{parent.__module__}.{parent.__qualname__}".removeprefix("mgn_ma.")]
            member = found.members.get(name)
            if member is not None and member.docstring is not None:
                return " ".join(member.docstring.value.split())
            sections = found.docstring.parsed if found.docstring is not None else []
            for section in sections:
                if section.kind is griffe.DocstringSectionKind.attributes:
                    for attribute in section.value:
                        if attribute.name == name:
                            return " ".join(attribute.description.split())
        return ""


def rows(model: type[BaseModel], prefix: str, values: Any, docstrings: Docstrings) -> Iterator[tuple[str, ...]]:
    """Name, type, value in ``conf/base`` and meaning of every field, those of nested models in its place."""
    kinds = model.model_json_schema()["properties"]
    for name, field in model.model_fields.items():
        value = values.get(name, MISSING) if isinstance(values, Mapping) else MISSING
        meaning = docstrings.attribute(model, name)
        nested = [each for each in _leaves(field.annotation) if isinstance(each, type) and issubclass(each, BaseModel)]
        if not nested:
            yield f"{prefix}.{name}", _kind(kinds[name]), _text(field, value), meaning
        for each in nested:
            inner = "" if each is field.annotation else ".…"
            if meaning:
                yield f"{prefix}.{name}", "", "", meaning
            yield from rows(each, f"{prefix}.{name}{inner}", value, docstrings)


MISSING = object()


def _leaves(annotation: Any) -> Iterator[Any]:
    arguments = get_args(annotation)
    if not arguments:
        yield annotation
    for argument in arguments:
        yield from _leaves(argument)


def _kind(schema: Mapping[str, Any]) -> str:
    """A JSON schema in words."""
    if "anyOf" in schema:
        return " or ".join(map(_kind, schema["anyOf"]))
    if "enum" in schema or "const" in schema:
        return ", ".join(json.dumps(value) for value in schema.get("enum", [schema.get("const")]))
    if "prefixItems" in schema:
        return f"list of {', '.join(map(_kind, schema['prefixItems']))}"
    of = schema.get("items") or schema.get("additionalProperties")
    inner = f" of {_kind(of)}" if isinstance(of, Mapping) and of else ""
    limits = "".join(f" {symbol} {schema[name]:g}" for name, symbol in LIMITS.items() if name in schema)
    return WORDS.get(schema.get("type", ""), schema.get("type", "anything")) + inner + limits


LIMITS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
WORDS = {"array": "list", "boolean": "true or false", "object": "mapping", "string": "text"}


def _text(field: FieldInfo, value: Any) -> str:
    if value is MISSING:
        if field.is_required():
            return "required"
        value = field.get_default(call_default_factory=True)
    return json.dumps(value, default=str, ensure_ascii=False)


def _table(lines: Iterator[tuple[str, ...]]) -> str:
    cells = (" | ".join(cell.replace("|", "\\|") for cell in line) for line in lines)
    return "| parameter | what it may be | in `conf/base` | meaning |\n|---|---|---|---|\n" + "\n".join(
        f"| {c} |" for c in cells
    )


def page() -> str:
    """The whole page, in Markdown."""
    bootstrap_project(ROOT)
    classes = TypeExtractor(dict(pipelines)).extract_types_from_pipelines()
    given = OmegaConfigLoader(str(ROOT / "conf"), base_env="base", default_run_env="base")["parameters"]
    docstrings = Docstrings()
    parts = [HEADER]
    for name, model in sorted(classes.items()):
        if issubclass(model, RootModel):
            (model,) = (each for each in _leaves(model.model_fields["root"].annotation) if issubclass(each, BaseModel))
            name, given_here = f"{name}.…", {}
        else:
            given_here = given.get(name, {})
        parts.append(
            f"## {name}\n\n{docstrings.summary(model)}\n\n{_table(rows(model, name, given_here, docstrings))}\n"
        )
    for extractor in EXTRACTORS:
        model = config_class(extractor)
        lines = rows(model, f"….settings.{extractor}", {}, docstrings)
        parts.append(f"## modalities: {extractor}\n\n{docstrings.summary(model)}\n\n{_table(lines)}\n")
    return "\n".join(parts)


if __name__ == "__main__":
    (ROOT / "docs/parameters.md").write_text(page(), encoding="utf-8")
