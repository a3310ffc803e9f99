"""Every field of every parameter message is read by the layers it is for, or known to be without effect.

The recorded cases of a real Caffe are run with layer parameters that note which fields are looked at.
"""

from __future__ import annotations

import ast
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import caffe
from caffe._caffe import Layer
from caffe._caffe.registry import layer_types
from caffe.proto import caffe_pb2
from tests.engine.support import golden

CORE = Path(caffe.__file__).parent / "_caffe"
LAYER_FIELDS = caffe_pb2.LayerParameter.DESCRIPTOR.fields_by_name
Read = set[tuple[str, str, str]]  # (layer type, message, field)


class Noted:
    """A message that notes the fields asked of it; its class has the enums of the message's class."""

    def __new__(cls, message: object, type_: str, read: Read) -> Noted:
        enums = {enum.name: getattr(message, enum.name) for enum in message.DESCRIPTOR.enum_types}
        return super().__new__(type("Noted", (Noted,), enums))

    def __init__(self, message: object, type_: str, read: Read) -> None:
        self.__dict__.update(_message=message, _type=type_, _read=read)

    def _note(self, field: str) -> None:
        self._read.add((self._type, self._message.DESCRIPTOR.name, field))

    def HasField(self, field: str) -> bool:
        self._note(field)
        return self._message.HasField(field)

    def __getattr__(self, name: str) -> object:
        value = getattr(self._message, name)
        if name in self._message.DESCRIPTOR.fields_by_name:
            self._note(name)
            if hasattr(value, "DESCRIPTOR"):
                return Noted(value, self._type, self._read)
        return value

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self._message, name, value)


#: What no recorded case shows: a layer, the inputs it is given, and the fields it is here for.
MORE = (
    'type: "Pooling" pooling_param { kernel_h: 2 kernel_w: 2 stride_h: 1 stride_w: 1 pad_h: 1 pad_w: 1 }',
    'type: "Pooling" pooling_param { global_pooling: true }',
    'type: "SPP" spp_param { pyramid_height: 1 }',
    'type: "Im2col" convolution_param { kernel_size: 2 }',
    *(
        f'type: "InnerProduct" inner_product_param {{ num_output: 3 weight_filler {{ type: "{name}" }} }}'
        for name in ("uniform", "gaussian", "xavier", "msra", "positive_unitball", "constant")
    ),
)


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Read]:
    """(type, message, field) of everything that is looked at while nets are built and run."""
    found: Read = set()
    construct = Layer.__init__

    def noting(self: Layer, layer_param: caffe_pb2.LayerParameter) -> None:
        construct(self, layer_param)
        self.layer_param = Noted(layer_param, layer_param.type, found)

    folder = tmp_path_factory.mktemp("fields")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Layer, "__init__", noting)
        patch.chdir(folder)
        patch.syspath_prepend(str(golden.GOLDEN / "layers" / "py"))
        for section in ("layers", "data"):
            shutil.copytree(golden.GOLDEN / section / "files", folder, dirs_exist_ok=True)
            for name in golden.names(section):
                build_and_run(*golden.load(section, name))
        for text in MORE:
            Path("net.prototxt").write_text(
                'layer { name: "x" type: "Input" top: "x" '
                "input_param { shape { dim: 1 dim: 2 dim: 4 dim: 4 } } }"
                f'layer {{ name: "y" bottom: "x" top: "y" {text} }}'
            )
            caffe.Net("net.prototxt", caffe.TEST)
        yield found
    for name in [name for name, module in sys.modules.items() if _from(module, folder)]:
        del sys.modules[name]


def _from(module: object, folder: Path) -> bool:
    return str(folder) in str(getattr(module, "__file__", ""))


def build_and_run(case: golden.Case, meta: dict) -> None:
    """The case's net, forward and backward on what its blobs hold; errors here are other tests' business."""
    net = golden.make_net(case, meta)
    for key, value in golden.keys(case, "in."):
        net.blobs[key].data[...] = value
    if "mem.data" in case:
        net.set_input_arrays(case["mem.data"], case["mem.labels"])
    net.forward()
    if meta.get("backward", "none") != "none":
        net.backward()


def rows() -> list[tuple[str, str]]:
    """(layer type, message field of LayerParameter) of all that some type reads."""
    return [(type_, message) for type_, cls in sorted(layer_types().items()) for message in cls.reads or ()]


@pytest.mark.parametrize(("type_", "message"), rows())
def test_every_field_of_a_layer_is_read(read, type_, message):
    descriptor = LAYER_FIELDS[message].message_type
    fields = {field.name for field in descriptor.fields}
    if (type_, message) in (("ImageData", "data_param"), ("WindowData", "data_param")):
        fields = {"prefetch"}  # all that Caffe takes from there
    if (type_, message) in (("HDF5Data", "transform_param"), ("MemoryData", "transform_param")):
        fields = set()  # refused, or said to be without effect, as a whole
        assert ("LayerParameter", message) in {(m, f) for t, m, f in read if t == type_}
    if type_ == "Python":  # which class it is is read before there is a layer to give noted parameters to
        fields -= names_in(CORE / "layers" / "python.py", CORE / "layer.py")
    missing = fields - {f for t, m, f in read if (t, m) == (type_, descriptor.name)}
    without = {field for field in missing if f"{message}.{field}" in layer_types()[type_].without_effect}
    assert missing == without, f"{type_} never looks at {sorted(missing - without)}"


def test_every_field_of_a_filler_is_read(read):
    fields = {field.name for field in caffe_pb2.FillerParameter.DESCRIPTOR.fields}
    assert fields == {f for _, m, f in read if m == "FillerParameter"}


def test_what_is_listed_as_without_effect_is_not_read(read):
    """Else the list would tell people not to wait for an effect that there is."""
    looked_at = {(t, m, f) for t, m, f in read}
    for type_, cls in layer_types().items():
        for message, field in (setting.split(".") for setting in cls.without_effect):
            assert (type_, LAYER_FIELDS[message].message_type.name, field) not in looked_at


# -- the fields of all layers, of nets and of solvers ------------------------------------------------


def names_in(*places: Path) -> set[str]:
    """Every attribute and every word of every string constant in some modules."""
    found: set[str] = set()
    for path in [p for place in places for p in (place.rglob("*.py") if place.is_dir() else [place])]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute):
                found.add(node.attr)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
                found.add(node.value)
    return found


#: (message, where it is read, what has no effect there)
ELSEWHERE = (
    ("NetParameter", (CORE / "net.py", CORE / "graph", CORE / "weights", CORE / "formats"), set()),
    ("LayerParameter", (CORE,), {name for name in LAYER_FIELDS if name.endswith("_param")}),
    ("ParamSpec", (CORE / "graph", CORE / "net.py"), set()),
    ("NetState", (CORE / "graph", CORE / "net.py"), set()),
    ("NetStateRule", (CORE / "graph",), set()),
    ("SolverParameter", (CORE / "solvers", CORE / "graph", CORE.parent / "tools"), set()),
)


@pytest.mark.parametrize(("message", "places", "exempt"), ELSEWHERE, ids=[row[0] for row in ELSEWHERE])
def test_every_field_outside_the_layers_is_named_in_the_code(message, places, exempt):
    fields = {field.name for field in getattr(caffe_pb2, message).DESCRIPTOR.fields}
    missing = fields - exempt - names_in(*places)
    assert not missing, f"nothing reads {message}.{sorted(missing)}"
