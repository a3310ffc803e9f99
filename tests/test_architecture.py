"""The rules of the house, as tests: who may import whom, how much a folder holds, what loads when.

Every exception is a line in one of the tables below, with its reason; a line that nothing needs any
more fails too. How complex a function may be and how many arguments it takes is ruff's to say.
"""

from __future__ import annotations

import ast
import importlib
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.source_tree import (
    CORE,
    LAYERS,
    ROOT,
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
    ("formats", "memory", "rounding", "markup", "blob", "filler", "machine"),
    ("registry", "layer"),
    ("data", "graph"),
    ("layers", "weights", "watch", "ranks", "reference", "checkpoint"),
    ("fast",),
    ("net",),
    ("solvers",),
)
#: Upward imports that are allowed, all inside functions.
UPWARD = {
    ("registry", "layers"): "the types register themselves when the first one is asked for",
}
#: Rooms of the core that `caffe.tools` uses besides exported names.
TOOLS_MAY_USE = ("data", "errors", "formats", "graph", "log")

#: Third-party packages each part may import; the standard library is free.
THIRD_PARTY = {
    "engine/caffe": {"numpy", "PIL", "scipy", "pydot"},
    "engine/caffe/tools": {"numpy", "google", "h5py", "matplotlib"},
    "engine/caffe/_caffe": {"torch", "numpy", "google", "h5py", "PIL"},
    "engine/caffe/_caffe/machine": {"torch", "numpy", "numba", "llvmlite"},
    "nets": set(),
    "solvers": set(),
    "surgery": {"numpy"},
    "voc_layers": {"numpy", "PIL"},
    "fcn": {"numpy", "PIL", "matplotlib", "tqdm"},
    "vis": {"numpy"},
    **{layers: set() for layers in LAYERS},
    "solve": set(),
    "score": {"numpy"},
    "infer": set(),
}
#: Packages that one module may import besides, inside its functions.
ONLY_IN = {
    "fcn.weights.archives": {"torch", "safetensors", "onnx", "google"},  # weights of other frameworks
    "fcn.commands.completion": {"shtab"},
    "fcn.weights.hdf5": {"h5py"},
    "fcn.score.trimap": {"scipy"},  # distances to a boundary
    "fcn.report.page": {"jinja2"},
    "fcn.train.events": {"tensorboardX"},
    "voc_layers.hdf5": {"h5py"},
    "voc_layers.matfile": {"h5py"},  # MATLAB's version 7.3
    "fcn.export.formats": {"onnxruntime"},  # runs what was written
    "fcn.export.converters": {"ncnn", "MNN"},
    "fcn.serve.server": {"waitress"},
    "fcn.infer.geometry": {"google"},  # reads a prototxt without making the net
}
#: Modules that are made of such packages, and that others import inside functions only.
LOADED_LATE = {
    "fcn.export.torch_layers": {"torch"},
    "fcn.export.torch_module": {"torch"},
    "fcn.export.torch_export": {"torch"},
    "fcn.export.onnx_layers": {"onnx"},
    "fcn.export.onnx_model": {"onnx"},
    "fcn.infer.video.opencv": {"cv2"},
    "fcn.serve.app": {"flask", "werkzeug"},
    "fcn.serve.channel": {"waitress"},
}
#: The modules of this project that each part of the toolkit may import, `caffe` included.
PROJECT = {
    "nets": {"caffe", "voc_layers"},
    "solvers": {"caffe"},
    "surgery": set(),
    "voc_layers": {"caffe"},
    "vis": set(),
    **{layers: {"voc_layers"} for layers in LAYERS},
    "fcn": {"caffe", "nets", "solvers", "surgery", "voc_layers", "vis"},
    "score": {"fcn"},
    "solve": {"fcn"},
    "infer": {"fcn"},
}

#: What one module may import of this project besides, inside its functions.
PROJECT_ONLY_IN = {
    "nets.__main__": {"fcn"},  # a command line, which writes files as all of them do
    "solvers.__main__": {"fcn"},
}

#: The most modules of one folder, and the folders that may hold more.
MODULES = 15
MORE_MODULES = {
    "fcn/commands": "a module for each command",
    "engine/caffe/_caffe/layers": "a module for each kind of layer",
    "tests/engine/layers": "a file for each module of layers",
}
#: pycaffe's own names with an underscore, which its users call.
PYCAFFE = {"_blobs", "_blob_names", "_forward", "_layer_names", "_top_ids"}
#: Underscored names of other libraries that they document.
LIBRARIES = {
    "_exit",
    "_fields",
    "_is_view",
    "_replace",
    "_slow_conv2d_backward",
    "_slow_conv2d_forward",
    "_softmax_backward_data",
    "_version",
}
#: Of argparse, which has no other way to walk through a parser.
LIBRARIES |= {"_actions", "_SubParsersAction"}

# -- who may import whom ------------------------------------------------------------------------------

OURS = {"caffe", *TOOLKIT}
CORE_PARTS = ("engine/caffe/_caffe", "engine/caffe/_caffe/machine")
ENGINE = ("engine/caffe", "engine/caffe/tools", *CORE_PARTS)


def test_third_party_packages_stay_in_their_part() -> None:
    complain(
        f"{where(path, i.line)}: {part(path)} may not import {i.name}"
        for path in members(*THIRD_PARTY)
        for i in imports(path)
        if i.top not in sys.stdlib_module_names | OURS | THIRD_PARTY[part(path)] | allowed(name_of(path))
        and not i.name.startswith("__future__")
    )


def allowed(module: str) -> set[str]:
    """The packages that one module may import besides those of its part."""
    return ONLY_IN.get(module, set()) | LOADED_LATE.get(module, set())


def test_modules_made_of_optional_packages_are_loaded_when_they_are_needed() -> None:
    complain(
        f"{where(path, node.lineno)}: import it inside the function that needs it"
        for path in sources()
        if part(path) and name_of(path) not in LOADED_LATE
        for node in tree(path).body
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for i in imports(path)
        if i.line == node.lineno and i.name.startswith(tuple(LOADED_LATE))
    )
    for name, packages in LOADED_LATE.items():
        (path,) = [path for path in sources() if name_of(path) == name]
        assert packages <= {i.top for i in imports(path)}, (
            f"{name}: take what it does not use off LOADED_LATE"
        )


def test_every_allowed_package_is_used() -> None:
    used = {key: {i.top for path in members(key) for i in imports(path)} for key in THIRD_PARTY}
    complain(
        f"{key}: nothing imports {name}, take it off THIRD_PARTY"
        for key, names in THIRD_PARTY.items()
        for name in sorted(names - used[key])
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
        if i.top in OURS and i.top != part(path)
        if i.top not in PROJECT[part(path)] | PROJECT_ONLY_IN.get(name_of(path), set())
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
        for path in members(*ENGINE)
        for i in imports(path)
        if i.top in TOOLKIT
    )


def test_the_facade_takes_only_exported_names_from_the_core() -> None:
    import caffe._caffe as core

    exported = {CORE, *(f"{CORE}.{name}" for name in (*core.__all__, "ENGINE"))}
    complain(
        f"{where(path, i.line)}: {i.name} is not exported by {CORE}"
        for path in members("engine/caffe")
        for i in imports(path)
        if i.name.startswith(CORE) and i.name not in exported and not i.typing_only
    )


@pytest.mark.parametrize("package", ["caffe", CORE])
def test_type_checkers_see_what_is_loaded_when_first_used(package: str) -> None:
    module = importlib.import_module(package)
    seen = {i.bound: i.name for i in imports(Path(str(module.__file__))) if i.typing_only}
    program = f"import {package} as p; print(*(set(dir(p)) - set(vars(p))))"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert set(done.stdout.split()) <= seen.keys() <= set(dir(module))
    for bound, name in seen.items():
        origin, _, attribute = name.rpartition(".")
        assert getattr(module, bound) is getattr(importlib.import_module(origin), attribute), name


def test_the_tools_take_what_files_and_messages_need_from_the_core() -> None:
    """A net, a layer and a solver they use as anybody does."""
    import caffe._caffe as core

    exported = {CORE, *(f"{CORE}.{name}" for name in core.__all__)}
    rooms = tuple(f"{CORE}.{room}." for room in TOOLS_MAY_USE)
    found = [
        (path, i)
        for path in members("engine/caffe/tools")
        for i in imports(path)
        if i.name.startswith(CORE) and i.name not in exported and not i.typing_only
    ]
    complain(
        [f"{where(path, i.line)}: {i.name}" for path, i in found if not i.name.startswith(rooms)]
        + [f"{room} is not used" for room in rooms if not any(i.name.startswith(room) for _, i in found)]
    )


def test_the_core_does_not_import_the_facade() -> None:
    complain(
        f"{where(path, i.line)}: {i.name}"
        for path in members(*CORE_PARTS)
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
    names = {name_of(path) for path in members(*CORE_PARTS)} - {CORE}
    complain([f"{name}: give it a row in ROWS" for name in sorted(names) if row_of(name)[0] < 0])


def test_rows_of_the_core_import_downwards() -> None:
    problems = []
    for path in members(*CORE_PARTS):
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
        for path in members(*CORE_PARTS)
        for i in imports(path)
        if name_of(path).startswith(layers + ".")
        and i.name.startswith(layers)
        # what several of them ask of their blobs, and what convolutions are made of
        and not i.name.startswith((layers + ".checks", layers + ".columns"))
    )


def test_net_rewriting_is_free_of_tensors() -> None:
    complain(
        f"{where(path, i.line)}: {i.name}"
        for path in members(*CORE_PARTS)
        for i in imports(path)
        if name_of(path).startswith(CORE + ".graph") and i.top in ("torch", "numpy")
    )


def test_nothing_imports_itself_in_a_circle() -> None:
    """Imports for type checkers count: a circle of types is one of thoughts."""
    names = {name_of(path) for path in sources()}
    arrows = {
        name_of(path): {m for i in imports(path) if (m := module_of(i.name, names)) and m != name_of(path)}
        for path in sources()
        if part(path)
    }
    while leaves := {name for name, to in arrows.items() if not to & arrows.keys()}:
        arrows = {name: to for name, to in arrows.items() if name not in leaves}
    # What is left leads into a circle; what nothing left imports only leads to it.
    while roots := arrows.keys() - {name for to in arrows.values() for name in to}:
        arrows = {name: to for name, to in arrows.items() if name not in roots}
    complain(f"{name} imports {', '.join(sorted(to & arrows.keys()))}" for name, to in sorted(arrows.items()))


def module_of(name: str, names: set[str]) -> str | None:
    """The module that an imported name is, or is in."""
    while name and name not in names:
        name = name.rpartition(".")[0]
    return name or None


def test_nobody_reaches_into_somebody_elses_object() -> None:
    problems = []
    for path in [path for path in sources() if part(path)]:
        own = set(re.findall(r"(?:def |class |self\.|^\s*)(_[a-z]\w*)", path.read_text(), re.M))
        for node in ast.walk(tree(path)):
            if not (isinstance(node, ast.Attribute) and re.match("_[a-zA-Z]", node.attr)):
                continue
            if node.attr not in own | PYCAFFE | LIBRARIES:
                problems.append(f"{where(path, node.lineno)}: {ast.unparse(node)}")
    complain(problems)


# -- the rooms ----------------------------------------------------------------------------------------


def modules_per_folder() -> dict[str, int]:
    """folder -> how many modules it holds, `__init__` and `__main__` not counted."""
    kept = [path for path in sources() if not path.stem.startswith("__")]
    return dict(Counter(str(path.parent.relative_to(ROOT)) for path in kept))


def test_no_folder_is_a_drawer() -> None:
    crowded = {folder for folder, count in modules_per_folder().items() if count > MODULES}
    complain(
        [
            f"{folder}: more than {MODULES} modules; make rooms of them"
            for folder in crowded - MORE_MODULES.keys()
        ]
        + [f"{folder}: not crowded, take it off MORE_MODULES" for folder in MORE_MODULES.keys() - crowded]
    )


def test_the_tree_in_the_documents_is_the_real_one() -> None:
    """docs/architecture.md names every module of the core and of `fcn`, and nothing that is not there."""
    text = (ROOT / "docs/architecture.md").read_text()
    for title, root in (("The core at a glance", "engine/caffe/_caffe"), ("`fcn` at a glance", "fcn")):
        block = text.split(f"### {title}\n", 1)[1].split("```")[1]
        named, room = set(), ""
        for line in block.strip().splitlines():
            words = re.split(r"  +", line.strip())[0].split()
            if not line.startswith(" "):
                room = words.pop() if words[0].endswith("/") else ""
            named |= {f"{room}{name}" for name in words}
        there = {
            str(path.relative_to(ROOT / root).with_suffix(""))
            for path in (ROOT / root).rglob("*.py")
            if not path.stem.startswith("__")
        }
        assert named == there, f"{title}: {sorted(named ^ there)}"


# -- what the engine says and knows -------------------------------------------------------------------


def test_the_engine_does_not_print() -> None:
    command_line = (ROOT / "engine/caffe/__main__.py", ROOT / "engine/caffe/tools")
    complain(
        f"{where(path, node.lineno)}: use the logger"
        for path in members(*ENGINE)
        if not any(path == allowed or path.is_relative_to(allowed) for allowed in command_line)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    )


def test_the_engine_knows_nothing_of_segmentation_models() -> None:
    word = re.compile(r"(?<![a-z-])(fcn|voc|sbd+|nyud|sift.?flow|camvid|vgg)(?![a-z])")
    complain(
        f"{where(path, number)}: {line.strip()}"
        for path in members(*ENGINE)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if word.search(line.lower().replace("caffe-fcn", ""))  # the name of the package
    )


def bare(node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """What of a function has no annotation: arguments, and 'return'."""
    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    arguments += [a for a in (node.args.vararg, node.args.kwarg) if a]
    found = [a.arg for a in arguments if a.annotation is None and a.arg not in ("self", "cls")]
    return found + (["return"] if node.returns is None and node.name != "__init__" else [])


def test_public_functions_are_annotated() -> None:
    complain(
        f"{where(path, node.lineno)}: {name}: {', '.join(bare(node))}"
        for path in sources()
        if part(path)
        for name, node, public in functions(path)
        if public and bare(node)
    )


def test_helpers_and_fixtures_of_tests_are_annotated() -> None:
    complain(
        f"{where(path, node.lineno)}: {node.name}: {', '.join(bare(node))}"
        for path in sources()
        if path.is_relative_to(ROOT / "tests") and not path.is_relative_to(ROOT / "tests/stand_in")
        for node in tree(path).body
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("test_") and bare(node)
    )


def registered(module: ast.Module) -> list[str]:
    """The names in the `@register("Name")` decorators of a layer module."""
    return [
        call.args[0].value
        for node in ast.walk(module)
        if isinstance(node, ast.ClassDef)
        for call in node.decorator_list
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "register"
    ]


def test_layer_modules_register_layers_and_the_package_loads_them_all() -> None:
    from caffe._caffe.layers import MODULES as loaded

    files = [path for path in sources() if path.parent == ROOT / "engine/caffe/_caffe/layers"]
    assert {path.stem for path in files if registered(tree(path))} == set(loaded)


# -- what loads when ----------------------------------------------------------------------------------

HEAVY = ("torch", "h5py", "scipy", "PIL", "matplotlib", "lmdb", "numba", "llvmlite")


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
