"""The names of modalities and of expressions are declared once in `src`: all else is made from those declarations."""

import ast
import re
from collections import Counter
from pathlib import Path

from mgn_ma.eev.targets import EEV
from mgn_ma.modalities import MODALITIES

SRC = Path(__file__).parents[1] / "src/mgn_ma"
TABLE = SRC / "modalities.py"
OTHER_MEANINGS = {"video", "audio", "title"}
"""Sources of extractors, streams and columns are called so, too."""


def strings(node):
    return [part.value for part in ast.walk(node) if isinstance(part, ast.Constant) and isinstance(part.value, str)]


def modules(*, but=()):
    """The syntax tree of every module by its path, without what is in folders or files called ``but``."""
    trees = {path.relative_to(SRC): ast.parse(path.read_text()) for path in sorted(SRC.rglob("*.py"))}
    return {path: tree for path, tree in trees.items() if not {*but} & {*path.parts}}


def test_every_expression_is_quoted_once():
    found = Counter(value for tree in modules().values() for value in strings(tree) if value in EEV.names)
    assert found == Counter(EEV.names)
    pages = "".join(path.read_text() for path in SRC.rglob("*.*") if path.suffix in {".js", ".html", ".css"})
    assert not [name for name in EEV.names if re.search(rf"\b{name}\b", pages)]


def test_every_modality_is_declared_in_the_table_once():
    calls = [node for node in ast.walk(ast.parse(TABLE.read_text())) if isinstance(node, ast.Call)]
    declared = [call.args[0].value for call in calls if getattr(call.func, "id", None) == "Modality"]
    assert sorted(declared) == sorted(modality.name for modality in MODALITIES)


def test_no_other_module_quotes_a_modality_or_lists_several():
    names = {modality.name for modality in MODALITIES}
    # The sample calls its signals so, and by these names seeds what it draws.
    for path, tree in modules(but=("sample", TABLE.name)).items():
        assert not (names - OTHER_MEANINGS) & {*strings(tree)}, path
        for node in ast.walk(tree):
            if isinstance(node, ast.Tuple | ast.List | ast.Set | ast.Dict):
                listed = {getattr(item, "value", None) for item in getattr(node, "elts", getattr(node, "keys", []))}
                # Not even two, unless captions are among them, or types of streams: that is a list of sources.
                assert len(listed & names) < 2 or "media" in path.parts or "captions" in listed, (path, node.lineno)
