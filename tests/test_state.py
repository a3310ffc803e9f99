"""What the project keeps for the whole process: every place is listed here, with its reason.

A table is written where it is made and never changed. Whatever else lives at module or class level is
state that all nets of a process share, and so is what is changed in other libraries.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.source_tree import TOOLKIT, complain, imports, name_of, part, sources, tree

#: module.name -> why it has to be there. A line that nothing needs any more fails too.
KEPT = {
    "caffe.globals": "names that were asked for once are found at once",
    "caffe._caffe.globals": "names that were asked for once are found at once",
    "caffe._caffe.data.db._leveldbs": "LevelDB lets a process open a database once: its readers share it",
    "caffe._caffe.data.db._opening": "two threads that open one LevelDB must find one handle",
    "caffe._caffe.device._state": "mode, device, seed, rank: pycaffe sets them for the process",
    "caffe._caffe.memory.scalar": "computed from its arguments: a tensor of one number",
    "caffe._caffe.log._initialised": "glog is initialised once, and refuses a second time",
    "caffe._caffe.log.log": "the logger `caffe`: its handlers and level are the log's settings",
    "caffe._caffe.ranks.joining._joined": "torch has one group of processes, and a process joins it once",
    "caffe._caffe.registry._TYPES": "the layer types; caffe.register_layer adds to them",
    "caffe._caffe.registry._BUILT_IN": "which of them are Caffe's own",
    "caffe._caffe.machine.compiling._stamp": "computed from the sources, which do not change",
    "caffe._caffe.machine.transforms.toom.short": "computed from its arguments: matrices of an algorithm",
    "caffe._caffe.machine.workers.workers": "the fast path's threads: one set, as PyTorch has",
    "caffe._caffe.fast.choice._measured": "what was timed once is not timed again",
    "caffe._caffe.fast.operations.convolve.cache_size": "of the processor, which does not change",
    "caffe._caffe.formats.schema.fields": "computed from caffe.proto, which does not change",
    "caffe._caffe.formats.schema.homes": "computed from caffe.proto, which does not change",
    "caffe._caffe.formats.schema.required": "computed from caffe.proto, which does not change",
    "caffe._caffe.formats.wire._ways": "computed from caffe.proto, which does not change",
    "fcn.outputs.sweep": "a folder is swept once: what is left there later is of processes that still run",
    "caffe.net_spec.layers": "pycaffe's names for layers: makes them, remembers none",
    "caffe.net_spec.params": "pycaffe's names for parameters: makes them, remembers none",
}
#: module.call or module.attribute -> why another library's or the process's own state is changed.
CHANGED = {
    "caffe._caffe.rounding: torch.backends.cudnn.allow_tf32": "during a pass on a GPU; put back after it",
    "caffe._caffe.rounding: torch.backends.cuda.matmul.allow_tf32": "during a pass on a GPU; put back after",
    "caffe._caffe.device: torch.cuda.set_device": "what caffe.set_device is for",
    "caffe._caffe.ranks.joining: atexit.register": "a process group of torch must be left before the end",
    "caffe._caffe.ranks.joining: atexit.unregister": "it has been left",
    "caffe._caffe.machine.workers: atexit.register": "no thread runs machine code that is being taken away",
    "fcn.__main__: os.environ": "before PyTorch reads it: a lost process is one line, no C++ stack",
    "caffe._caffe.machine.compiling: gc.isenabled": "asked, to be put back",
    "caffe._caffe.machine.compiling: gc.disable": "while Numba compiles, which makes objects that stay",
    "caffe._caffe.machine.compiling: gc.enable": "put back after it",
    "caffe.tools.commands.train: signal.signal": "Ctrl-C takes a snapshot or stops, as in Caffe's command",
    "fcn.commands.serve: signal.signal": "SIGTERM ends the server as Ctrl-C does",
    "fcn.commands.demo: logging.basicConfig": "a command line: it shows its progress",
    "fcn.commands.data: signal.signal": "SIGTERM ends an import, and removes what is half done",
    "fcn.infer.films: signal.signal": "Ctrl-C waits until a camera's frame is written; put back after it",
    "fcn.infer.images: warnings.simplefilter": "Pillow's warning of large images that are wanted; put back",
    "fcn.sharding: os.environ": "the processes that are started get their part of the cores; put back",
    "fcn.sharding: signal.signal": "while processes start, Ctrl-C is noted; put back",
    "fcn.sharding: signal.pthread_sigmask": "while processes start, which inherit it; put back",
    "fcn.sharding: signal.raise_signal": "the Ctrl-C that was noted",
    "fcn.ranks.launch: signal.signal": "signals are handed on to the processes that it starts",
    "fcn.ranks.shares: signal.signal": "while images are shared: SIGTERM names what is missing; put back",
    "fcn.train.stopping: signal.signal": "Ctrl-C stops after the present step, with a snapshot",
    "fcn.train.keeping.loopstate: random.getstate": "kept beside a snapshot; nothing is changed",
    "fcn.train.keeping.loopstate: np.random.get_state": "kept beside a snapshot; nothing is changed",
    "fcn.train.keeping.loopstate: random.setstate": "users' layers draw from it: a resumed run goes on",
    "fcn.train.keeping.loopstate: np.random.set_state": "users' layers draw from it: a resumed run goes on",
    "fcn.commands.options: logging.basicConfig": "a command line: it shows its progress",
    "caffe._caffe.machine.compiling: numba.config.CACHE_DIR": "Numba asks there; put back at once",
    "caffe._caffe.machine.compiling: numba.config.OPT": "Numba asks there under its lock; put back",
    "caffe._caffe.machine.workers: os.register_at_fork": "a forked process has none of the threads",
    "caffe._caffe.threads: os.register_at_fork": "a forked process has none of OpenMP's threads",
    "caffe._caffe.threads: torch.set_num_threads": "in a forked process, where OpenMP is old",
}

#: Makers of what cannot change, by the name they are called by; frozen classes of the project come besides.
CONSTANT = {
    "FloatType", "IntType", "NamedUniTuple", "Path", "Struct", "TypeVar", "VectorType",
}  # fmt: skip
#: Functions that make what is there to change.
STATEFUL = {"bytearray", "count", "cycle", "deque", "defaultdict", "iter", "local", "open"}
MUTATORS = {
    "add", "append", "appendleft", "clear", "discard", "extend", "insert", "pop", "popitem", "popleft",
    "remove", "reverse", "setdefault", "sort", "update",
}  # fmt: skip
#: Functions that change something for the whole process, by how their names begin.
PROCESS_WIDE = (
    "atexit.", "gc.", "locale.setlocale", "logging.basicConfig", "logging.disable", "np.random.", "os.chdir",
    "os.putenv", "os.register_at_fork", "os.umask", "random.", "signal.", "sys.set", "torch.cuda.set_",
    "torch.distributed.init", "torch.manual_seed", "torch.set_", "torch.use_", "warnings.",
)  # fmt: skip
PRIVATE = {
    "np.random.Generator", "np.random.PCG64", "np.random.RandomState", "np.random.default_rng",
    "random.Random", "signal.Signals", "signal.getsignal", "warnings.catch_warnings", "warnings.warn",
}  # fmt: skip

OURS = ("caffe", *TOOLKIT)
MODULES = [path for path in sources() if part(path)]


def test_state_of_the_process_is_listed() -> None:
    found = {name for path in MODULES for name in (*made(path), *mutated(path))}
    complain(
        [
            f"{name}: the whole process shares it; put it into an object"
            for name in sorted(found - KEPT.keys())
        ]
        + [f"{name}: there is no such state, take it off KEPT" for name in sorted(KEPT.keys() - found)]
    )


def test_changes_of_other_libraries_are_listed() -> None:
    found = {f"{name_of(path)}: {what}" for path in MODULES for what in changed(path)}
    complain(
        [f"{name}: the whole process feels it" for name in sorted(found - CHANGED.keys())]
        + [f"{name}: this is not there, take it off CHANGED" for name in sorted(CHANGED.keys() - found)]
    )


# -- what is made to be changed -----------------------------------------------------------------------


def made(path: Path) -> Iterator[str]:
    """Names at module or class level that hold such a thing, names declared `global`, cached functions."""
    classes = [node for node in ast.walk(tree(path)) if isinstance(node, ast.ClassDef)]
    bodies = [("", tree(path).body), *((f"{node.name}.", node.body) for node in classes)]
    for prefix, body in bodies:
        for node in body:
            names: list[str] = []
            if isinstance(node, ast.Assign) and is_state(node.value):
                names = [ast.unparse(target) for target in node.targets]
            elif isinstance(node, ast.AnnAssign) and node.value is not None and is_state(node.value):
                names = [ast.unparse(node.target)]
            elif isinstance(node, ast.FunctionDef) and not prefix and "cache" in decorators(node):
                names = [node.name]
            yield from (f"{name_of(path)}.{prefix}{name}" for name in names)
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Global):
            yield from (f"{name_of(path)}.{name}" for name in node.names)


def decorators(node: ast.FunctionDef | ast.ClassDef) -> str:
    return " ".join(ast.unparse(decorator) for decorator in node.decorator_list)


def is_state(value: ast.expr) -> bool:
    """Whether it is an object that is not known to stay as it is; `mutated` watches containers."""
    if not isinstance(value, ast.Call):
        return False
    maker = ast.unparse(value.func).split(".")[-1]
    is_class = maker.lstrip("_")[:1].isupper()
    return maker in STATEFUL or (is_class and maker not in CONSTANT | frozen_classes())


@cache
def frozen_classes() -> set[str]:
    """The classes of the project whose instances cannot be changed."""
    classes = [node for path in MODULES for node in ast.walk(tree(path)) if isinstance(node, ast.ClassDef)]
    bases = {node.name: {ast.unparse(base) for base in node.bases} for node in classes}
    frozen = {node.name for node in classes if "frozen=True" in decorators(node)}
    return frozen | {name for name, found in bases.items() if found & {"NamedTuple", "int", "str", "Enum"}}


# -- what is changed ----------------------------------------------------------------------------------


def changes(path: Path) -> Iterator[tuple[ast.expr, set[str]]]:
    """What functions change, an item or an attribute of it, with the names that are local there."""

    def visit(node: ast.AST, local: set[str] | None) -> Iterator[tuple[ast.expr, set[str]]]:
        if isinstance(node, (ast.FunctionDef, ast.Lambda)):
            local = (local or set()) | names_of(node)
        if local is not None:
            yield from ((target, local) for target in targets(node))
        for child in ast.iter_child_nodes(node):
            yield from visit(child, local)

    yield from visit(tree(path), None)


def names_of(function: ast.FunctionDef | ast.Lambda) -> set[str]:
    """The names that belong to a function."""
    inside = list(ast.walk(function))
    declared = {name for node in inside if isinstance(node, ast.Global) for name in node.names}
    stored = {n.id for n in inside if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    return (stored | {node.arg for node in inside if isinstance(node, ast.arg)}) - declared


def targets(node: ast.AST) -> Iterator[ast.expr]:
    """The objects that one node changes."""
    if isinstance(node, (ast.Subscript, ast.Attribute)) and isinstance(node.ctx, (ast.Store, ast.Del)):
        yield node.value if isinstance(node, ast.Subscript) else node
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in MUTATORS:
        yield node.func.value
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "setattr":
        yield node.args[0]


def mutated(path: Path) -> Iterator[str]:
    """The names of module level that functions change, wherever they were made."""
    own = {
        name.id
        for node in tree(path).body
        if isinstance(node, (ast.Assign, ast.AnnAssign))
        for name in ast.walk(node)
        if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)
    }
    imported = {i.name.split(".")[-1]: i.name for i in imports(path) if i.name.startswith(OURS)}
    for target, local in changes(path):
        words = ast.unparse(target).split(".")
        if words == ["globals()"]:
            yield f"{name_of(path)}.globals"
        elif words[0] in own - local:
            yield f"{name_of(path)}.{words[0]}"
        elif words[0] in imported.keys() - local:
            yield ".".join([imported[words[0]], *words[1:2]])


def changed(path: Path) -> Iterator[str]:
    """Calls and assignments that change another library, or the process."""
    foreign = {i.top for i in imports(path) if not i.name.startswith(OURS)}
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if (
                name.startswith(PROCESS_WIDE)
                and name.split("(")[0] not in PRIVATE
                and name.split(".")[0] in foreign | {"np"}
            ):
                yield name
    for target, local in changes(path):
        name = ast.unparse(target)
        if "." in name and name.split(".")[0] in (foreign | {"np"}) - local:
            yield name
