"""Commands that write files, and what they read: each makes a result in the place of an earlier one."""

from __future__ import annotations

import os
import signal
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path
from typing import cast

import numpy as np
from PIL import Image

import infer
from fcn.__main__ import main as fcn
from fcn.fetching import Source
from fcn.getting import DATA_SETS
from fcn.getting.catalogue import DataSet
from nets.__main__ import main as write_nets
from solvers.__main__ import main as write_solvers

from .trainings import INTERVAL, MODEL, WIDTH, Training, ended, forked

#: Where commands write, in the folder that they are carried out in.
OUT = "out"
_DRAWN = "drawn"

Main = Callable[[list[str]], int]
_PROGRAMS: dict[Main, str] = {
    fcn: "fcn",
    infer.main: "infer.py",
    write_nets: "nets",
    write_solvers: "solvers",
}


@dataclass(frozen=True)
class Command:
    """What writes into `OUT`. before: makes an earlier result; then: is tried, and takes its place."""

    name: str
    before: Callable[[], int]
    then: Callable[[], int]


def commands(inputs: Path, mirror: str) -> list[Command]:
    """All of them. inputs: where `prepare` was; mirror: where its files are served."""
    run, given = f"IN/runs/{MODEL}", "IN/given%d.npz"
    own, others = (".caffemodel", ".caffemodel.h5"), (".pth", ".safetensors", ".onnx")
    net = f"--net {run}/deploy.prototxt"
    imported, converted, exported = (f"weights {verb}" for verb in ("import", "convert", "export"))
    rows: list[tuple[Main, str, str | None, str]] = [
        (write_nets, f"{MODEL} --out out", "--classes 3", "--classes 4"),
        (write_solvers, f"{MODEL} --out out", "--recipe light", "--recipe heavy"),
        (fcn, "data draw out --train 2 --val 1 --class-images 8", "--seed 1", "--seed 2"),
        (fcn, "data import -o out --force --yes", "IN/pairs1", "IN/pairs2"),
        (fcn, f"data get {_DRAWN} -o out --mirror {mirror}", None, ""),
        (fcn, f"weights random vgg16 --width {WIDTH} -o out/w.npz", "--seed 1", "--seed 2"),
        *((fcn, f"{imported} {net} -o out/w{end}", given % 1, given % 2) for end in own),
        *((fcn, f"{converted} -o out/w{end}", given % 1, given % 2) for end in own),
        *((fcn, f"{exported} {net} -o out/w{end}", given % 1, given % 2) for end in others),
        (fcn, f"plot {run} -o out/curves.png", "", "--smooth 2"),
        (fcn, f"score {run} --data IN/data --save out/maps --out out/s --report out/page", "--limit 1", ""),
        (fcn, f"compare {run} {run} --data IN/data --out out/c.json", "--seed 1", "--seed 2"),
        (infer.main, f"IN/photos --weights {run} -o out --scores", "--alpha 0.8", "--alpha 0.2"),
        (fcn, "submit --voc-dir IN/voc -o out", "IN/maps1", "IN/maps2"),
    ]  # fmt: skip
    return [
        Command(
            _name(main, words),
            _nothing if before is None else partial(main, _argv(inputs, words, before)),
            partial(main, _argv(inputs, words, then)),
        )
        for main, words, before, then in rows
    ]


def _nothing() -> int:
    """Leaves no earlier result: there is nothing to do where one is."""
    return 0


def _argv(inputs: Path, *texts: str) -> list[str]:
    return [word.replace("IN/", f"{inputs}/") for text in texts for word in text.split()]


def _name(main: Main, words: str) -> str:
    """A command as one types it, but for paths of what it reads."""
    kept = (word for word in words.split() if "IN/" not in word and "://" not in word)
    return " ".join([_PROGRAMS[main], *kept])


def prepare(inputs: Path) -> None:
    """Make what the commands read."""
    training = Training(inputs)
    training.finish("runs", 2 * INTERVAL)
    for number in (1, 2):
        weights = training.run("runs").snapshots()[number * INTERVAL]
        words = ["weights", "convert", str(weights), "-o", str(inputs / f"given{number}.npz")]
        assert ended(forked(partial(fcn, words), inputs)) == 0
        _pairs(inputs / f"pairs{number}", number)
        _picture(inputs / f"maps{number}/a.png", number, labels=True)
    _picture(inputs / "photos/cat.jpg", 0)
    _picture(inputs / "voc/JPEGImages/a.jpg", 0)
    _listed(inputs / "voc/ImageSets/Segmentation/test.txt", "a\n")
    packed = inputs / _DRAWN
    _pairs(packed, 3)
    _listed(packed / "train.txt", "a\nb\n")
    with tarfile.open(inputs / "drawn.tar", "w") as tar:
        tar.add(packed, _DRAWN)
    source = Source("a drawn set", ("http://127.0.0.1:9/drawn.tar",), "drawn.tar")
    files = ("images/{}.png", "labels/{}.png")
    known = cast(dict[str, DataSet], DATA_SETS)
    known[_DRAWN] = DataSet("a drawn set", source, _DRAWN, files, counts={"train": 2})


def _pairs(folder: Path, number: int) -> None:
    for name in "abc":
        _picture(folder / f"images/{name}.png", number)
        _picture(folder / f"labels/{name}.png", number, labels=True)


def _picture(path: Path, number: int, labels: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    drawn = np.random.default_rng(number)
    shape, most = ((30, 40), 3) if labels else ((30, 40, 3), 255)
    image = Image.fromarray(drawn.integers(0, most, shape, np.uint8))
    image.save(path)


def _listed(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """A process that serves the files of a folder on this machine; its address."""
    with HTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(folder))) as server:

        def serve() -> int:
            server.serve_forever()
            return 0

        process = forked(serve, folder)
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            os.kill(process, signal.SIGTERM)
            ended(process)
