"""``caffe doctor``: what is installed, which `caffe` is imported, which devices there are, what is missing.

The last line is OK, or the one command to run next.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import importlib.util
import os
import platform
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ..._caffe.errors import CaffeError, install_command

OURS = Path(__file__).resolve().parents[2]
LEAST_PYTHON = (3, 10)
#: module to import -> distribution it comes from
REQUIRED = {
    "torch": "torch",
    "numpy": "numpy",
    "google.protobuf": "protobuf",
    "PIL": "pillow",
    "h5py": "h5py",
    "scipy": "scipy",
    "tqdm": "tqdm",
}


class Extra(NamedTuple):
    """An optional extra: its name, the modules it adds (module -> distribution), what they are for."""

    name: str
    modules: dict[str, str]
    purpose: str


EXTRAS = (
    Extra("lmdb", {"lmdb": "lmdb"}, "Data layers and tools on LMDB"),
    Extra("leveldb", {"plyvel": "plyvel"}, "Data layers and tools on LevelDB"),
    Extra("draw", {"pydot": "pydot"}, "caffe.draw, draw_net"),
    Extra("fast", {"numba": "numba"}, "inference on the CPU by faster algorithms"),
    Extra("report", {"matplotlib": "matplotlib", "jinja2": "jinja2"}, "figures, report pages"),
    Extra("tensorboard", {"tensorboardX": "tensorboardX"}, "training curves as TensorBoard events"),
    Extra("serve", {"flask": "flask", "waitress": "waitress"}, "the local web page"),
    Extra("video", {"cv2": "opencv-python-headless"}, "videos and cameras"),
    Extra(
        "notebook",
        {"nbclient": "nbclient", "nbformat": "nbformat", "ipykernel": "ipykernel"},
        "running the notebooks",
    ),
    Extra("completion", {"shtab": "shtab"}, "commands completed by the shell"),
    Extra("onnx", {"onnx": "onnx", "onnxruntime": "onnxruntime"}, "nets and weights as ONNX files"),
    Extra("safetensors", {"safetensors": "safetensors"}, "weights in .safetensors files"),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Print the report. Returns 0 if the last line is OK, else 1."""
    argparse.ArgumentParser(prog="caffe doctor", description=__doc__).parse_args(argv)
    lines, advice = report()
    sys.stdout.write("\n".join([*lines, advice or "OK", ""]))
    return 1 if advice else 0


def report() -> tuple[list[str], str]:
    """The report and the next command to run, empty if all is well."""
    sections = (_python, _packages, _imports, _devices, _extras, _fast)
    lines, advice = [], []
    for section in sections:
        for line, command in section():
            lines.append(line)
            advice += [command] if command else []
    return lines, advice[0] if advice else ""


Findings = Iterator[tuple[str, str]]  # a line, and the command that mends what it says (or empty)


def _row(name: str, value: str, rest: str = "") -> str:
    return f"{name:<13} {value:<16} {rest}".rstrip()


def _python() -> Findings:
    least = ".".join(map(str, LEAST_PYTHON))
    old = sys.version_info[:2] < LEAST_PYTHON
    yield (
        _row("python", platform.python_version(), sys.executable),
        f"install Python {least} or newer" if old else "",
    )
    yield _row("system", platform.system(), f"{platform.machine()}, {os.cpu_count()} CPU cores"), ""


def _packages() -> Findings:
    for module, distribution in REQUIRED.items():
        version, problem = _probe(module, distribution)
        yield _row(distribution, version, problem), f"pip install {distribution}" if problem else ""


def _probe(module: str, distribution: str) -> tuple[str, str]:
    """The version of a package, and what is wrong with it (empty: it imports)."""
    try:
        importlib.import_module(module)
    except ImportError as error:
        return "missing", str(error)
    except OSError as error:  # a shared library that is not there
        return "broken", str(error)
    try:
        return importlib.metadata.version(distribution), ""
    except importlib.metadata.PackageNotFoundError:
        return getattr(importlib.import_module(module), "__version__", "unknown"), ""


# -- which caffe --------------------------------------------------------------------------------------


def caffes(path: Sequence[str] | None = None) -> list[Path]:
    """Every regular package or module named `caffe` on `path` (sys.path), in the order of importing.

    A folder without `__init__.py`, such as a checkout of Caffe's sources, hides nobody.
    """
    found: list[Path] = []
    for entry in sys.path if path is None else path:
        folder = Path(entry or ".").resolve()
        for candidate in (folder / "caffe" / "__init__.py", folder / "caffe.py"):
            where = candidate.parent if candidate.name == "__init__.py" else candidate
            if candidate.is_file() and where not in found:
                found.append(where)
    return found


def _imports() -> Findings:
    from ... import __engine__, __version__

    yield _row("caffe", __version__, f"{OURS} (this engine)"), ""
    yield _row("engine", __engine__), ""
    found = caffes()
    if OURS not in found:
        yield _row("", "", "not on sys.path under this name"), ""
    before = found[: found.index(OURS)] if OURS in found else found
    for other in found:
        if other in before:
            yield _row("", "SHADOWED", f"`import caffe` gives {other} instead"), _uncover(other)
        elif other != OURS:
            yield _row("", "another", f"{other} (comes later on sys.path, not used)"), ""


def _uncover(other: Path) -> str:
    """The command after which `other` does not hide this engine."""
    listed = [Path(entry).resolve() for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    if other.parent in listed:
        return f"unset PYTHONPATH   # it names {other.parent}"
    if "site-packages" in other.parts:
        return f"{sys.executable} -m pip uninstall caffe   # it lies in {other}"
    return f"cd somewhere other than {other.parent}"


# -- devices and extras -------------------------------------------------------------------------------


def _devices() -> Findings:
    try:
        from ..._caffe import device_summary
    except (ImportError, OSError):
        yield _row("devices", "unknown", "PyTorch does not import"), ""
        return
    for number, (name, rest) in enumerate(device_summary()):
        yield _row("" if number else "devices", name, rest), ""
    fallback = os.environ.get("CAFFE_FALLBACK")
    if fallback:
        yield _row("", "CAFFE_FALLBACK", fallback), ""


def _extras() -> Findings:
    for number, extra in enumerate(EXTRAS):
        missing = [module for module in extra.modules if importlib.util.find_spec(module) is None]
        text = f"missing: {install_command(extra.name)}" if missing else "present"
        yield _row("" if number else "extras", extra.name, f"{text}   ({extra.purpose})"), ""


def _fast() -> Findings:
    """What the fast path computes with, where its extra is there."""
    if importlib.util.find_spec("numba") is None:
        return
    try:
        from ..._caffe import fast_summary

        yield _row("fast path", *fast_summary()), ""
    except (ImportError, OSError) as error:
        yield _row("fast path", "broken", str(error)), install_command("fast")
    except CaffeError as error:
        yield _row("fast path", "unknown", str(error)), "unset CAFFE_ALGORITHMS"


if __name__ == "__main__":
    sys.exit(main())
