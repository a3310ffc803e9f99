"""Reads the project's own source for `test_architecture.py`: files, imports, functions."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
CORE = "caffe._caffe"
LAYERS = ("nyud_layers", "siftflow_layers", "pascalcontext_layers")
SCRIPTS = (*LAYERS, "solve", "score", "infer", "vis")
TOOLKIT = ("nets", "solvers", "surgery", "voc_layers", "fcn", *SCRIPTS)
FOLDERS = (
    "engine", "nets", "solvers", "surgery", "voc_layers", "fcn", "dev", "tests", "benchmarks", "examples",
)  # fmt: skip


class Import(NamedTuple):
    line: int
    name: str  # dotted and absolute; `from a import b` gives a.b
    typing_only: bool  # under `if TYPE_CHECKING:`
    bound: str  # what it is called there

    @property
    def top(self) -> str:
        return self.name.split(".", 1)[0]


@cache
def sources() -> tuple[Path, ...]:
    """Every Python file of the project but generated and recorded ones."""
    found = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    found += ROOT.glob("*.py")
    found = [path for path in found if not path.is_relative_to(ROOT / "tests" / "golden")]
    return tuple(sorted(path for path in found if not path.name.endswith("_pb2.py")))


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def name_of(path: Path) -> str:
    """The dotted module name: engine/caffe/io.py is caffe.io, nets/__init__.py is nets."""
    relative = path.relative_to(ROOT / "engine" if path.is_relative_to(ROOT / "engine") else ROOT)
    parts = relative.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def where(path: Path, line: int) -> str:
    return f"{path.relative_to(ROOT)}:{line}"


@cache
def imports(path: Path) -> tuple[Import, ...]:
    package = name_of(path).split(".")
    package = package if path.name == "__init__.py" else package[:-1]
    typing_only = {
        id(inner)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.If) and "TYPE_CHECKING" in vars(node.test).values()
        for inner in ast.walk(node)
    }
    found: list[Import] = []
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            base: list[str] = []
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            base = [*base, *([node.module] if node.module else [])]
        else:
            continue
        found += [
            Import(node.lineno, ".".join([*base, a.name]), id(node) in typing_only, a.asname or a.name)
            for a in node.names
        ]
    return tuple(found)


def part(path: Path) -> str:
    """The key of the import tables that a file falls under; empty for tests, tools and the like."""
    dotted = name_of(path)
    if dotted.startswith(f"{CORE}.machine"):
        return "engine/caffe/_caffe/machine"
    if dotted.startswith(CORE):
        return "engine/caffe/_caffe"
    if dotted.startswith("caffe.tools"):
        return "engine/caffe/tools"
    top = dotted.split(".")[0]
    if top == "caffe":
        return "engine/caffe"
    return top if top in TOOLKIT else ""


def members(*parts: str) -> list[Path]:
    return [path for path in sources() if part(path) in parts]


def functions(path: Path) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef, bool]]:
    """(qualified name, node, public) of every function; public: reached through public names only."""

    def visit(node: ast.AST, prefix: str, public: bool) -> Iterator:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                shown = public and (not child.name.startswith("_") or child.name == "__init__")
                is_class = isinstance(child, ast.ClassDef)
                if not is_class:
                    yield prefix + child.name, child, shown
                yield from visit(child, f"{prefix}{child.name}.", shown and is_class)
            else:
                yield from visit(child, prefix, public)

    yield from visit(tree(path), "", True)


def complain(found: Iterable[str]) -> None:
    problems = list(found)
    assert not problems, "\n" + "\n".join(problems)
