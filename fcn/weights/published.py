"""Published weights by name: where they lie, what tells the right file, and which copies only people can get.

The addresses and digests are those that their authors and converters gave; most servers are old and often
down. No size or digest was ever published for VGG16's caffemodel and those of the FCNs: what came is opened,
and its layers are held against the net.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..engine import open_net
from ..fetching import FetchError, Source, fetch
from . import caffemodel, exchange
from .wire import Shape

_BVLC = "http://dl.caffe.berkeleyvision.org/"
_VGG = "http://www.robots.ox.ac.uk/~vgg/software/very_deep/caffe/"
_TORCH = "https://download.pytorch.org/models/"


@dataclass(frozen=True)
class DriveCopy:
    """A converted copy on Google Drive, which only a browser gets; `digest` may be of an earlier upload."""

    id: str
    file: str
    digest: str | None = None

    def __str__(self) -> str:
        check = f" ({self.digest})" if self.digest else ""
        return f"save https://drive.google.com/file/d/{self.id}/view with a browser as {self.file}{check}"


@dataclass(frozen=True)
class Published:
    """A file of weights.

    Attributes:
        net: the model whose layers it has.
        copies: the same weights, converted, where only a browser gets them.
        others: names of this table to try instead.
        then: what to do with the file, where it is no caffemodel.
    """

    source: Source
    net: str
    copies: tuple[DriveCopy, ...] = ()
    others: tuple[str, ...] = ()
    then: str | None = None


def _bvlc(name: str, file: str, *digests: str, **known: object) -> Published:
    return Published(Source(name, (_BVLC + file,), file, None, digests), **known)  # type: ignore[arg-type]


def _fcn(name: str, file: str, *copies: DriveCopy) -> Published:
    return _bvlc(name, f"{file}.caffemodel", net=name, copies=copies)


def _pytorch(name: str, file: str, urls: Sequence[str], digest: str) -> Published:
    then = f"fcn weights import {file} --model vgg16 -o vgg16.caffemodel"
    return Published(Source(name, tuple(urls), file, None, (digest,)), net="vgg16", then=then)


def _drive(file: str, id: str, md5: str | None = None) -> DriveCopy:
    return DriveCopy(id, file, f"md5:{md5}" if md5 else None)


def _rows() -> Iterator[Published]:
    """The table; the copies on Google Drive are wkentaro's."""
    vgg = "VGG_ILSVRC_16_layers.caffemodel"
    yield Published(
        Source("vgg16", (_VGG + vgg,), vgg),
        net="vgg16",
        others=("vgg16-jcjohnson", "vgg16-torchvision"),
        copies=(
            _drive(
                "vgg16_from_caffe.pth",
                "1adDBTGY3GcEB_47dvcibajyzi872RAs3",
                "aa75b158f4181e7f6230029eb96c1b13",
            ),
            _drive("vgg16_from_caffe.npz", "1lKjYpFOc9EAPIt7foOO2nbaOWIpIZRaw"),
        ),
    )
    jcjohnson = "vgg16-00b39a1b.pth"
    yield _pytorch(
        "vgg16-jcjohnson",
        jcjohnson,
        [
            f"https://web.eecs.umich.edu/~justincj/models/{jcjohnson}",
            f"https://s3-us-west-2.amazonaws.com/jcjohns-models/{jcjohnson}",
        ],
        "sha256:00b39a1b",
    )
    torchvision = "vgg16-397923af.pth"
    digest = "sha256:397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0"
    yield _pytorch("vgg16-torchvision", torchvision, [_TORCH + torchvision], digest)
    caffenet, alexnet = "bvlc_reference_caffenet.caffemodel", "bvlc_alexnet.caffemodel"
    sha = {
        caffenet: "sha1:4c8d77deb20ea792f84eb5e6d0a11ca0a8660a46",
        alexnet: "sha1:9116a64c0fbe4459d18f4bb6b56d647b63920377",
    }
    yield _bvlc("caffenet", caffenet, sha[caffenet], net="caffenet")
    yield _bvlc("alexnet", alexnet, sha[alexnet], net="caffenet")  # its layers come in another order only
    googlenet = "sha1:405fc5acd08a3bb12de8ee5e23a96bec22f08204"
    yield _bvlc("googlenet", "bvlc_googlenet.caffemodel", googlenet, net="googlenet")
    yield _fcn(
        "voc-fcn32s",
        "fcn32s-heavy-pascal",
        _drive(
            "fcn32s_from_caffe.pth", "11k2Q0bvRQgQbT6-jYWeh6nmAsWlSCY3f", "d3eb467a80e7da0468a20dfcbc13e6c8"
        ),
        _drive("fcn32s_from_caffe.npz", "1l5Ubj7zflQAwaNI7G35DzNcMoTf8CDLW"),
    )
    yield _fcn(
        "voc-fcn16s",
        "fcn16s-heavy-pascal",
        _drive(
            "fcn16s_from_caffe.pth", "1bctu58B6YH9bu6lBBSBB2rUeGlGhYLoP", "a2d4035f669f09483b39c9a14a0d6670"
        ),
        _drive("fcn16s_from_caffe.npz", "1kwLpLz1jzQqqF5QxQphsO4-aObQIQMWS"),
    )
    yield _fcn(
        "voc-fcn8s",
        "fcn8s-heavy-pascal",
        _drive(
            "fcn8s_from_caffe.pth", "1ieXWyoG68xqoHJPWdyrDyaIaaWlfmUxI", "de93e540ec79512f8770033849c8ae89"
        ),
        _drive("fcn8s_from_caffe.npz", "1l_5RK28JRL19wpT22B-DY9We3TVXnnQQ"),
    )
    yield _fcn(
        "voc-fcn8s-atonce",
        "fcn8s-atonce-pascal",
        _drive(
            "fcn8s-atonce_from_caffe.pth", "0B9P1L--7Wd2vblE1VUIxV1o2d2M", "bfed4437e941fef58932891217fe6464"
        ),
        _drive("fcn8s-atonce_from_caffe.npz", "1lNHAz5QEo-OoHL8uAUuBPki-8xrEArhs"),
    )
    yield _fcn("voc-fcn-alexnet", "fcn-alexnet-pascal")
    for data in ("siftflow", "pascalcontext"):
        for stride in ("32s", "16s", "8s"):
            yield _fcn(f"{data}-fcn{stride}", f"{data}-fcn{stride}-heavy")
    for kind in ("color", "hha", "color-hha"):
        yield _fcn(f"nyud-fcn32s-{kind}", f"nyud-fcn32s-{kind}-heavy")


#: name -> what is known of the file.
PUBLISHED: Mapping[str, Published] = {row.source.name: row for row in _rows()}


def get(name: str, to: Path, mirrors: Sequence[str] = (), offline: bool = False) -> Path:
    """The file of published weights in the folder `to`: downloaded where it is not there, and checked.

    Args:
        name: one of PUBLISHED.
        mirrors, offline: see `fcn.fetching.fetch`.

    Raises:
        FetchError: no server has it, with what else may be tried.
        FileNotFoundError: offline, and it is not there.
        ValueError: an unknown name, or a file whose layers are not the net's.
    """
    if name not in PUBLISHED:
        raise ValueError(f"no published weights are called '{name}'; there are {', '.join(PUBLISHED)}")
    row = PUBLISHED[name]
    try:
        path = fetch(row.source, to, mirrors, offline)
    except (FetchError, FileNotFoundError) as error:
        raise type(error)("\n".join([str(error), *instead(name)])) from error
    check(path, row)
    return path


def instead(name: str) -> list[str]:
    """What else gives the weights that no server gave, a line each."""
    row = PUBLISHED[name]
    lines = [f"another file, other numbers: fcn weights get {other}" for other in row.others]
    lines += [f"by hand: {copy}, then: {_import(copy, name)}" for copy in row.copies]
    return [*lines, "whoever has the file: put it there, or name a server that has it by --mirror"]


def check(path: Path, row: Published) -> None:
    """Raise ValueError where the layers of a file are not those of the net that it is for."""
    if row.then is None:
        found = caffemodel.shapes(path)
    else:
        layers = exchange.read(path).layers
        found = {layer: [array.shape for array in arrays] for layer, arrays in layers.items()}
    wrong = [
        f"  layer '{layer}': {'none' if not found.get(layer) else found[layer][0]}, expected {shape}"
        for layer, shape in _expected(row).items()
        if not found.get(layer) or caffemodel.bare(found[layer][0]) != caffemodel.bare(shape)
    ]
    if wrong:
        more = [f"  ... and {len(wrong) - 6} more"] if wrong[6:] else []
        raise ValueError("\n".join([f"{path}: is not {row.source.name}:", *wrong[:6], *more]))


def _expected(row: Published) -> Mapping[str, Shape]:
    return {layer: tuple(blobs[0].data.shape) for layer, blobs in open_net(None, row.net).params.items()}


def _import(copy: DriveCopy, name: str) -> str:
    values = " --values caffe" if name == "vgg16" and copy.file.endswith(".pth") else ""
    return f"fcn weights import {copy.file} --model {name}{values} -o {name}.caffemodel"
