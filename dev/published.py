"""Digests of the reference release's nets and solvers, to which our models are held.

A digest keeps the wiring of a net in the open (names, types, bottoms, tops) and the first digits of a hash
for every other field, so that each clone can prove that a generated net is the published one, and name the
layer and the field where it is not, without a copy of the release.

`python -m dev.published FOLDER` writes tests/golden/published from FOLDER/<model>/<file>.json: the messages
of the release's prototxts in protobuf's JSON mapping, with proto field names.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from google.protobuf import json_format

FOLDER = Path(__file__).resolve().parent.parent / "tests" / "golden" / "published"

#: What a layer shows in the open; everything else is hashed field by field.
WIRING = ("name", "type", "bottom", "top")


def message(proto: Any) -> dict[str, Any]:
    """A protobuf message in the form that a digest is made of."""
    return json_format.MessageToDict(proto, preserving_proto_field_name=True)


def digest(content: dict[str, Any]) -> dict[str, Any]:
    """The digest of a NetParameter or SolverParameter.

    Args:
        content: the message as `message` gives it; `param_str` may be parsed already.

    Returns:
        `fields`: the hash of every field but the layers;
        `layers`: name, type, bottoms, tops and the hashes of the rest, of each.
    """
    fields = {name: _hash(value) for name, value in content.items() if name != "layer"}
    return {"fields": fields, "layers": [_layer(layer) for layer in content.get("layer", [])]}


def _layer(layer: dict[str, Any]) -> list[Any]:
    hashed = {}
    for name, value in layer.items():
        if name == "python_param":
            hashed.update(_python(value))
        elif name not in WIRING:
            hashed[name] = _hash(value)
    return [layer["name"], layer["type"], layer.get("bottom", []), layer.get("top", []), hashed]


def _python(param: dict[str, Any]) -> dict[str, str]:
    """The fields of a Python layer, those of `param_str` one by one; where data lie and the seed are free."""
    hashed = {name: _hash(value) for name, value in param.items() if name != "param_str"}
    settings = param.get("param_str", {})
    settings = ast.literal_eval(settings) if isinstance(settings, str) else settings
    for name, value in settings.items():
        if name != "seed":
            hashed[f"param_str.{name}"] = "a folder" if name.endswith("_dir") else _hash(value)
    return hashed


def _hash(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def differences(found: dict[str, Any], published: dict[str, Any]) -> Iterator[str]:
    """What distinguishes two digests, one line each with the layer and the field."""
    yield from _fields("", found["fields"], published["fields"])
    ours = {layer[0]: layer for layer in found["layers"]}
    theirs = {layer[0]: layer for layer in published["layers"]}
    yield from (f"layer {name}: is missing" for name in theirs if name not in ours)
    yield from (f"layer {name}: the published net has no such layer" for name in ours if name not in theirs)
    for name in [name for name in theirs if name in ours]:
        for place, what in enumerate(WIRING):
            if ours[name][place] != theirs[name][place]:
                yield f"layer {name}: {what} {ours[name][place]}, published {theirs[name][place]}"
        yield from _fields(f"layer {name}: ", ours[name][-1], theirs[name][-1])
    if list(ours) != list(theirs) and ours.keys() == theirs.keys():
        yield f"the order of the layers: {list(ours)}, published {list(theirs)}"


def _fields(prefix: str, ours: dict[str, str], theirs: dict[str, str]) -> Iterator[str]:
    for name in sorted(ours.keys() | theirs.keys()):
        if name not in ours:
            yield f"{prefix}{name} is missing"
        elif name not in theirs:
            yield f"{prefix}{name} is not in the published one"
        elif ours[name] != theirs[name]:
            yield f"{prefix}{name} has another value than the published one"


def of_folder(folder: Path) -> dict[str, dict[str, Any]]:
    """model -> file -> digest, of all `<model>/<file>.json` below `folder`."""
    return {
        model.name: {path.stem: digest(json.loads(path.read_text())) for path in sorted(model.glob("*.json"))}
        for model in sorted(path for path in folder.iterdir() if path.is_dir())
    }


def text(digests: dict[str, Any]) -> str:
    """The file of one model: JSON with a line per layer."""
    files = []
    for name, one in digests.items():
        layers = ",\n".join(f"   {json.dumps(layer)}" for layer in one["layers"])
        layers = f"[\n{layers}\n  ]" if layers else "[]"
        files.append(f' "{name}": {{\n  "fields": {json.dumps(one["fields"])},\n  "layers": {layers}\n }}')
    return "{\n" + ",\n".join(files) + "\n}\n"


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="the published messages, FOLDER/<model>/<file>.json")
    for model, digests in of_folder(parser.parse_args(argv).folder).items():
        (FOLDER / f"{model}.json").write_text(text(digests))
        sys.stdout.write(f"{model}: {', '.join(digests)}\n")


if __name__ == "__main__":
    main()
