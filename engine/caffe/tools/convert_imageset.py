"""``convert_imageset [flags] ROOT/ LIST DB``: images and labels to a database of Datums."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Mapping, Sequence

from .. import _caffe
from .._caffe.data.datum import from_file
from .._caffe.data.db import Writer
from .._caffe.errors import CaffeError, DataError
from .._caffe.log import log
from ..proto.caffe_pb2 import Datum
from .command import command, parse_flags
from .flags import Flag, Value
from .usage import Program

FLAGS = {
    "gray": Flag(False, "read the images as grey ones"),
    "shuffle": Flag(False, "put them in random order"),
    "backend": Flag("lmdb", "lmdb or leveldb"),
    "resize_width": Flag(0, "width to resize to, together with resize_height"),
    "resize_height": Flag(0, "height to resize to, together with resize_width"),
    "check_size": Flag(False, "refuse images of different sizes"),
    "encoded": Flag(False, "store encoded images, not pixels"),
    "encode_type": Flag("", "format to encode in, such as png (implies -encoded); default: the file's"),
}
PROGRAM = Program(
    "convert_imageset",
    """images and their labels to a database that Data layers read
usage: convert_imageset [flags] ROOT/ LIST DB

  ROOT/  put in front of every path of LIST, as it stands
  LIST   a text file: a path and an integer label per line
  DB     the database to make; nothing may be there yet""",
    FLAGS,
    words=(3, 3),
)
_COMMIT = 1000


@command
def main(argv: Sequence[str]) -> int:
    """Make the database; images that cannot be read are reported and left out.

    Raises:
        CaffeError: the list cannot be read, the database exists, or `-check_size` found another size.
    """
    values, (root, listing, path) = parse_flags(argv, PROGRAM)
    lines = _caffe.read_list(listing)
    if values["shuffle"]:
        log.info("Shuffling data")
        random.Random().shuffle(lines)
    log.info("A total of %d images.", len(lines))
    count, size = 0, None
    with Writer(path, str(values["backend"])) as database:
        for index, (name, label) in enumerate(lines):
            try:
                datum = _read(root + name, label, values)
            except DataError as error:
                log.error("%s", error)
                continue
            if values["check_size"] and not datum.encoded:
                size = size or len(datum.data)
                if len(datum.data) != size:
                    found = f"{len(datum.data)} values in '{root}{name}', {size} in the first image"
                    raise CaffeError(f"Incorrect data field size: {found}")
            key = f"{index:08d}_{name}".encode(errors="surrogateescape")
            database.put(key, datum.SerializeToString())
            count += 1
            if count % _COMMIT == 0:
                database.commit()
                log.info("Processed %d files.", count)
    if count % _COMMIT:
        log.info("Processed %d files.", count)
    return 0


def _read(path: str, label: int, values: Mapping[str, Value]) -> Datum:
    encoding = str(values["encode_type"])
    if values["encoded"] and not encoding:
        encoding = os.path.splitext(path)[1][1:].lower()
        if not encoding:
            log.warning("Failed to guess the encoding of '%s'", path)
    height, width = (max(0, int(values[name])) for name in ("resize_height", "resize_width"))
    return from_file(path, label, height, width, not values["gray"], encoding)


if __name__ == "__main__":
    sys.exit(main())
