"""Compile engine/caffe/proto/caffe.proto into caffe_pb2.py and its types, caffe_pb2.pyi, beside it.

    python -m venv build/protoc
    build/protoc/bin/pip install 'grpcio-tools==1.62.3' setuptools
    build/protoc/bin/python dev/generate_proto.py

The compiler is pinned to an old release on purpose: generated code runs on every later protobuf
runtime but on no earlier one, and later releases check the version of the runtime at import.
"""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path

COMPILER = ("grpcio-tools", "1.62.3")
PROTO = Path(__file__).resolve().parent.parent / "engine" / "caffe" / "proto"


def compile_proto(source: Path, folder: Path) -> None:
    """Write the module of the messages in `source`, and its types, to `folder`."""
    from grpc_tools import protoc

    places = [f"-I{source.parent}", f"--python_out={folder}", f"--pyi_out={folder}"]
    if status := protoc.main(["protoc", *places, source.name]):
        raise SystemExit(f"{source}: the compiler refused it (status {status})")


def main() -> None:
    package, wanted = COMPILER
    try:
        found = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        found = "none"
    if found != wanted:
        sys.exit(f"needs {package}=={wanted}, found {found} in {sys.executable}; see the head of this file")
    compile_proto(PROTO / "caffe.proto", PROTO)
    sys.stdout.write(f"wrote {PROTO}/caffe_pb2.py and caffe_pb2.pyi\n")


if __name__ == "__main__":
    main()
