"""The rules of the house, as tests: who may import whom, how large things may grow, what loads when.

Every exception is a line in one of the tables below, with its reason; a line that nothing needs any
more fails too.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.source_tree import (
    CORE,
    ROOT,
    SCRIPTS,
    TOOLKIT,
    complain,
    functions,
    imports,
    members,
    name_of,
    part,
    sources,
    tree,
    where,
)  # fmt: skip

# -- the tables ---------------------------------------------------------------------------------------

#: Modules of the core by row; a module imports its own row and those below.
ROWS = (
    ("errors", "log", "threads", "device", "naming"),
    ("formats", "memory", "blob", "filler"),
    ("registry", "layer"),
    ("data", "graph"),
    ("layers", "weights", "watch", "reference"),
    ("net",),
    ("solvers",),
)
#: Upward imports that are allowed, all inside functions.
UPWARD = {
    ("registry", "layers"): "the types register themselves when the first one is asked for",
}
#: What the facade may take from inside `_caffe`: light modules, no tensors.
FACADE_MAY_USE = {"data", "errors", "formats", "graph", "log", "ENGINE"}

#: Third-party packages each part may import; the standard library is free.
THIRD_PARTY = {
    "engine/caffe": {"numpy", "google", "PIL", "scipy", "h5py", "pydot", "skimage", "matplotlib", "lmdb"},
    "engine/caffe/_caffe": {"torch", "numpy", "google", "h5py", "lmdb", "plyvel", "PIL", "scipy"},
    "nets": set(),
    "solvers": {"google"},
    "surgery": {"numpy"},
    "voc_layers": {"numpy", "PIL", "scipy"},
    "fcn": {"numpy", "PIL", "matplotlib"},
    "vis": {"numpy"},
    "solve": set(),
    "score": {"numpy"},
    "infer": set(),
}
#: Packages that one module may import besides, inside its functions.
ONLY_IN = {
    "fcn.weights.exchange": {
        "torch",
        "h5py",
    },  # weights of other frameworks, behind an extra
}
#: The modules of this project that each part of the toolkit may import, `caffe` included.
PROJECT = {
    "nets": {"caffe", "voc_layers"},
    "solvers": {"caffe"},
    "surgery": set(),
    "voc_layers": {"caffe"},
    "vis": set(),
    "fcn": {"caffe", "nets", "solvers", "surgery", "voc_layers", "vis"},
    "score": {"fcn"},
    "solve": {"fcn"},
    "infer": {"fcn"},
}

MODULE_LINES, FUNCTION_LINES, SCRIPT_LINES, EXAMPLE_LINES = 400, 60, 120, 60
#: path or path::function -> (lines allowed, reason)
LARGER: dict[str, tuple[int, str]] = {}

#: The 61 layer types of Caffe and the module each lives in.
LAYER_TYPES = {
    "convolution": "Convolution Deconvolution Im2col",
    "pooling": "Pooling SPP",
    "shape": "Crop Reshape Flatten Tile",
    "routing": "Concat Slice Split Silence Filter BatchReindex",
    "dense": "InnerProduct Embed",
    "activation": "ReLU PReLU ELU Sigmoid TanH BNLL Swish Clip Threshold AbsVal Power Exp Log Softmax",
    "affine": "Scale Bias Parameter",
    "arithmetic": "Eltwise Reduction",
    "normalization": "BatchNorm LRN MVN",
    "noise": "Dropout",
    "recurrent": "RNN LSTM LSTMUnit",
    "loss": "SoftmaxWithLoss MultinomialLogisticLoss InfogainLoss SigmoidCrossEntropyLoss EuclideanLoss "
    "HingeLoss ContrastiveLoss",
    "metric": "Accuracy ArgMax",
    "data_memory": "Input DummyData MemoryData",
    "data_files": "Data ImageData WindowData HDF5Data HDF5Output",
    "python": "Python",
}

# -- who may import whom ------------------------------------------------------------------------------

OURS = {"caffe", *TOOLKIT}


def test_third_party_packages_stay_in_their_part() -> None:
    complain(
        f"{where(path, i.line)}: {part(path)} may not import {i.name}"
        for path in members(*THIRD_PARTY)
        for i in imports(path)
        if i.top
        not in sys.stdlib_module_names | OURS | THIRD_PARTY[part(path)] | ONLY_IN.get(name_of(path), set())
        and not i.name.startswith("__future__")
    )


def test_the_packages_of_one_module_are_needed_and_imported_inside_functions() -> None:
    for path in [path for path in sources() if name_of(path) in ONLY_IN]:
        packages = ONLY_IN[name_of(path)]
        assert packages <= {i.top for i in imports(path)}, (
            f"{name_of(path)}: take what it does not use off ONLY_IN"
        )
        loaded = [node for node in tree(path).body if isinstance(node, (ast.Import, ast.ImportFrom))]
        lines = {node.lineno for node in loaded}
        complain(
            f"{where(path, i.line)}: import {i.name} inside the function that needs it"
            for i in imports(path)
            if i.top in packages and i.line in lines
        )
    assert ONLY_IN.keys() <= {name_of(path) for path in sources()}


def test_the_parts_of_the_toolkit_import_each_other_one_way() -> None:
    complain(
        f"{where(path, i.line)}: {part(path)} may not import {i.name}"
        for path in members(*PROJECT)
        for i in imports(path)
        if i.top in OURS and i.top != part(path) and i.top not in PROJECT[part(path)]
    )


def test_the_toolkit_uses_public_caffe_names_only() -> None:
    complain(
        f"{where(path, i.line)}: {i.name} is private to the engine"
        for path in members(*PROJECT)
        for i in imports(path)
        if i.name.startswith(CORE)
    )


def test_the_engine_imports_nothing_of_the_toolkit() -> None:
    complain(
        f"{where(path, i.line)}: {i.name}"
        for path in members("engine/caffe", "engine/caffe/_caffe")
        for i in imports(path)
        if i.top in TOOLKIT
    )


def test_the_facade_takes_only_exported_names_from_the_core() -> None:
    import caffe._caffe as core

    exported = {"", *FACADE_MAY_USE, *core.__all__}
    complain(
        f"{where(path, i.line)}: {i.name} is not exported by {CORE}"
        for path in members("engine/caffe")
        for i in imports(path)
        if i.name.startswith(CORE) and i.name.removeprefix(CORE).lstrip(".").split(".")[0] not in exported
    )


def test_the_core_does_not_import_the_facade() -> None:
    complain(
        f"{where(path, i.line)}: {i.name}"
        for path in members("engine/caffe/_caffe")
        for i in imports(path)
        if i.top == "caffe" and not i.name.startswith((CORE, "caffe.proto"))
    )


def row_of(dotted: str) -> tuple[int, str]:
    """Row and row module of a name inside the core; row -1 for the package itself."""
    module = dotted.removeprefix(CORE).lstrip(".").split(".")[0]
    for row, modules in enumerate(ROWS):
        if module in modules:
            return row, module
    return -1, module


def test_every_core_module_has_a_row() -> None:
    names = {name_of(path) for path in members("engine/caffe/_caffe")} - {CORE}
    complain([f"{name}: give it a row in ROWS" for name in sorted(names) if row_of(name)[0] < 0])


def test_rows_of_the_core_import_downwards() -> None:
    problems = []
    for path in members("engine/caffe/_caffe"):
        row, module = row_of(name_of(path))
        for i in imports(path):
            other_row, other = row_of(i.name)
            inside = i.name.startswith(CORE + ".") and not i.typing_only and row >= 0
            sideways = other_row == row == 3 and module != other
            if inside and (other_row > row or sideways) and (module, other) not in UPWARD:
                at = where(path, i.line)
                problems.append(f"{at}: {module} (row {row}) imports {other} (row {other_row})")
    complain(problems)


def test_layer_modules_never_import_each_other() -> None:
    layers = CORE + ".layers"
    complain(
        f"{where(path, i.line)}: {i.name}"
        for path in members("engine/caffe/_caffe")
        for i in imports(path)
        if name_of(path).startswith(layers + ".")
        and i.name.startswith(layers)
        and not i.name.startswith(layers + ".checks")  # what several of them ask of their blobs
    )


def test_net_rewriting_is_free_of_tensors() -> None:
    complain(
        f"{where(path, i.line)}: {i.name}"
        for path in members("engine/caffe/_caffe")
        for i in imports(path)
        if name_of(path).startswith(CORE + ".graph") and i.top in ("torch", "numpy")
    )


# -- how large things may grow ------------------------------------------------------------------------


def sizes() -> Iterator[tuple[str, int, int]]:
    """(path or path::function, lines, budget)."""
    for path in sources():
        key = str(path.relative_to(ROOT))
        top = key.split("/")[0]
        is_script = path.parent == ROOT and path.stem in SCRIPTS
        budget = SCRIPT_LINES if is_script else EXAMPLE_LINES if top == "examples" else MODULE_LINES
        yield key, len(path.read_text().splitlines()), budget
        for name, node, _ in functions(path):
            yield f"{key}::{name}", node.end_lineno - node.lineno + 1, FUNCTION_LINES


def test_size_budget() -> None:
    complain(
        f"{key}: {lines} lines, the budget is {budget}"
        for key, lines, budget in sizes()
        if lines >= LARGER.get(key, (budget,))[0]
    )


def test_the_size_allow_list_is_needed() -> None:
    needed = {key for key, lines, budget in sizes() if lines >= budget}
    complain([f"{key}: within the budget, take it off the list" for key in LARGER.keys() - needed])


# -- what the engine says and knows -------------------------------------------------------------------


def test_the_engine_does_not_print() -> None:
    command_line = (ROOT / "engine/caffe/__main__.py", ROOT / "engine/caffe/tools")
    complain(
        f"{where(path, node.lineno)}: use the logger"
        for path in members("engine/caffe", "engine/caffe/_caffe")
        if not any(path == allowed or path.is_relative_to(allowed) for allowed in command_line)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    )


def test_the_engine_knows_nothing_of_segmentation_models() -> None:
    word = re.compile(r"(?<![a-z-])(fcn|voc|sbd+|nyud|sift.?flow|camvid|vgg)(?![a-z])")
    complain(
        f"{where(path, number)}: {line.strip()}"
        for path in members("engine/caffe", "engine/caffe/_caffe")
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if word.search(line.lower().replace("caffe-fcn", ""))  # the name of the package
    )


def test_public_functions_are_annotated() -> None:
    problems = []
    for path in [p for p in sources() if part(p)]:
        for name, node, public in functions(path):
            arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            arguments += [a for a in (node.args.vararg, node.args.kwarg) if a]
            bare = [a.arg for a in arguments if a.annotation is None and a.arg not in ("self", "cls")]
            if public and (bare or (node.returns is None and node.name != "__init__")):
                problems.append(f"{where(path, node.lineno)}: {name}({', '.join(bare)})")
    complain(problems)


def registered(module: ast.Module) -> list[str]:
    """The names in the `@register("Name")` decorators of a layer module."""
    return [
        call.args[0].value
        for node in ast.walk(module)
        if isinstance(node, ast.ClassDef)
        for call in node.decorator_list
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "register"
    ]


def test_sixty_one_layer_types_in_sixteen_modules() -> None:
    expected = {module: sorted(types.split()) for module, types in LAYER_TYPES.items()}
    files = [
        path
        for path in sources()
        if path.parent == ROOT / "engine/caffe/_caffe/layers" and path.stem != "checks"
    ]
    found = {path.stem: sorted(registered(tree(path))) for path in files if path.stem != "__init__"}
    assert found == expected
    assert len(expected) == 16 and sum(map(len, expected.values())) == 61


# -- what loads when ----------------------------------------------------------------------------------

HEAVY = ("torch", "h5py", "scipy", "PIL", "matplotlib", "lmdb")


@pytest.mark.parametrize(
    "program",
    [
        "import caffe",
        "import caffe, caffe.coord_map; n = caffe.NetSpec(); n.x = caffe.layers.Input(); n.to_proto()",
    ],
)
def test_writing_a_net_loads_no_heavy_package(program: str) -> None:
    program += f"; import sys; print([m for m in {HEAVY} if m in sys.modules])"
    command = [sys.executable, "-c", program]
    env = {**os.environ, "PYTHONPATH": str(ROOT / "engine")}
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=True)
    assert done.stdout.strip() == "[]"
