"""Compile engine/caffe/proto/caffe.proto into caffe_pb2.py beside it.

    python -m venv build/protoc
    build/protoc/bin/pip install 'grpcio-tools==1.62.3' setuptools
    build/protoc/bin/python dev/generate_proto.py

The compiler is pinned to an old release on purpose: generated code runs on every later protobuf
runtime but on no earlier one, and later releases check the version of the runtime at import.
"""

from __future__ import annotations

import importlib.metadata
import sys
import tempfile
from pathlib import Path

COMPILER = ("grpcio-tools", "1.62.3")
PROTO = Path(__file__).resolve().parent.parent / "engine" / "caffe" / "proto"


def compile_proto(source: Path) -> str:
    """The Python module that the pinned compiler makes of `source`, as text."""
    from grpc_tools import protoc

    with tempfile.TemporaryDirectory() as folder:
        status = protoc.main(["protoc", f"-I{source.parent}", f"--python_out={folder}", source.name])
        if status:
            raise SystemExit(f"{source}: the compiler refused it (status {status})")
        return (Path(folder) / f"{source.stem}_pb2.py").read_text()


def main() -> None:
    package, wanted = COMPILER
    try:
        found = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        found = "none"
    if found != wanted:
        sys.exit(f"needs {package}=={wanted}, found {found} in {sys.executable}; see the head of this file")
    target = PROTO / "caffe_pb2.py"
    target.write_text(compile_proto(PROTO / "caffe.proto"))
    sys.stdout.write(f"wrote {target}\n")


if __name__ == "__main__":
    main()
