"""``extract_features``: blobs of a network, item by item, to databases."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

from .. import _caffe
from .._caffe.data.datum import from_values
from .._caffe.data.db import Writer
from .._caffe.errors import CaffeError
from .._caffe.log import log
from ..proto.caffe_pb2 import TEST
from .command import command, device_wish, parse_flags
from .usage import Program

if TYPE_CHECKING:
    from ..pycaffe import Net

PROGRAM = Program(
    "extract_features",
    """blobs of a network, which reads its own data, to databases: a Datum of floats per item
usage: extract_features WEIGHTS NET BLOB[,BLOB..] DB[,DB..] BATCHES lmdb|leveldb [CPU|GPU] [DEVICE_ID=0]""",
    flags={},
    words=(6, 8),
    misuse=(1, "stderr"),
)
_COMMIT = 1000


@command
def main(argv: Sequence[str]) -> int:
    """Extract the features.

    Raises:
        CaffeError: no such blob, not one database per blob, a database that exists, or whatever is wrong
            with the network.
    """
    _, words = parse_flags(argv, PROGRAM)
    weights, model, blobs, databases, batches, backend, *device = words
    _use(*device)
    from ..pycaffe import Net

    net = Net(model, TEST, weights=weights)
    names, paths = blobs.split(","), databases.split(",")
    if len(names) != len(paths):
        raise CaffeError(f"{len(names)} blobs, but {len(paths)} databases: give one database per blob")
    for name in names:
        if name not in net.blobs:
            known = ", ".join(net.blobs)
            raise CaffeError(f"Unknown feature blob name {name} in the network {model}: it has {known}")
    if not batches.isdecimal():
        raise CaffeError(f"the number of batches is a whole number, not '{batches}'")
    # Progress is at the severity of errors, as in Caffe, so that it stays when the net's log is silenced.
    log.error("Extracting Features")
    with ExitStack() as stack:
        writers = [stack.enter_context(Writer(path, backend)) for path in paths]
        extract(net, names, writers, int(batches))
    log.error("Successfully extracted the features!")
    return 0


def _use(mode: str = "CPU", device_id: str = "0") -> None:
    if mode != "GPU":
        log.error("Using CPU")
        _caffe.set_mode_cpu()
        return
    if device_id.startswith("DEVICE_ID="):
        device_id = device_id.removeprefix("DEVICE_ID=")
    if not device_id.isdecimal():
        raise CaffeError(f"the device id is a whole number, not '{device_id}'")
    log.error("Using GPU, device %s", device_id)
    with device_wish("GPU", "leave that word out to compute on the CPU"):
        _caffe.set_device(int(device_id))
        _caffe.set_mode_gpu()


def extract(net: Net, names: Sequence[str], writers: Sequence[Writer], batches: int) -> None:
    """Run `batches` batches; item i of blob `names[k]` goes to `writers[k]` under the ten digits of i."""
    counts = [0] * len(names)
    for _ in range(batches):
        net.forward()
        for k, (name, writer) in enumerate(zip(names, writers)):
            blob = net.blobs[name]
            items = blob.data.reshape(blob.num, blob.channels, blob.height, blob.width)
            for item in items:
                writer.put(f"{counts[k]:010d}", from_values(item).SerializeToString())
                counts[k] += 1
                if counts[k] % _COMMIT == 0:
                    writer.commit()
                    log.error("Extracted features of %d query images for feature blob %s", counts[k], name)
    for name, count in zip(names, counts):
        log.error("Extracted features of %d query images for feature blob %s", count, name)


if __name__ == "__main__":
    sys.exit(main())
