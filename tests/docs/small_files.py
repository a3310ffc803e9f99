"""The folder in which the commands of the documents are run: small files under the names that they use.

What of a command is made smaller (a training), and which commands are not run, stands here and nowhere else.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from fcn.__main__ import main as fcn
from tests.docs.pages import Block

#: What trainings are given, where they do not say it: narrow nets, one step, a folder without runs.
WIDTH, STEPS, RUNS = ("--width", "0.05"), ("--iters", "1"), ("--runs", "trained")

NETWORK = "brings files from other servers; tests/toolkit/fetching and getting serve them from this machine"
SET = "needs others' data set; tests/toolkit/train/test_data_sets.py trains and scores on small ones"
CAMVID = "needs CamVid, and an hour; the page has what they gave"
PUBLISHED = "needs published weights of half a GB; tests/toolkit/train and score do it with narrow ones"
#: Words, one of which a command has -> why no test runs it as a document has it. The first that fits counts.
LEFT_OUT = {
    "make": "a target of the Makefile, which calls these commands; .ci/run calls test, slow, types and demo",
    "get": NETWORK,
    "serve": "ends with Ctrl-C; tests/toolkit/serve runs it, in a browser",
    "--camera": "ends with Ctrl-C; tests/toolkit/infer/test_films.py plays into it",
    "fcn8s-heavy-pascal.caffemodel": PUBLISHED,
    "submit": "needs a net of PASCAL VOC's classes; tests/toolkit/submit has one",
    "fcnscore": "needs the protocol's weights; tests/toolkit/cityscapes scores with small ones",
    "camvid": CAMVID,
    "runs/camvid/voc-fcn8s": CAMVID,
    "runs/camvid-32s/voc-fcn32s": CAMVID,
    "runs/siftflow-fcn8s": SET,
    "runs/nyud-fcn32s-color-hha": SET,
    "0,1,2,3": "needs four GPUs; tests/toolkit/train/test_ranks.py has two processes under one command",
    "-gpu": "needs GPUs; tests/engine has several processes under one caffe train",
    "--max-hours": "goes on with a training; tests/toolkit/train stops and resumes them",
}


def reason(words: list[str]) -> str | None:
    """Why a command is not run; None where it is."""
    return next((why for word, why in LEFT_OUT.items() if word in words), None)


def to_run(block: Block) -> list[list[str]]:
    """The commands of a block that are run, as they are run."""
    return [smaller(words) for words in block.commands if not block.mark and not reason(words)]


def smaller(words: list[str]) -> list[str]:
    """A command as it is run: a training is of a narrow net, and ends after a step."""
    if words[:2] != ["fcn", "train"]:
        return words
    more = [word for option in (WIDTH, STEPS, RUNS) if option[0] not in words for word in option]
    is_told = "--from" in words or words[2].startswith("voc-")  # which net
    return [*words, *more, *([] if is_told else ["voc-fcn32s"])]


def prepare() -> None:
    """Make the files in the working folder."""
    call("data", "draw", "my-data", "--train", "4", "--val", "2", "--class-images", "1")
    lists = Path("my-data/ImageSets/Segmentation")
    shutil.copy(lists / "val.txt", lists / "test.txt")
    call("weights", "random", "vgg16", *WIDTH, "-o", "vgg16.caffemodel")
    call("weights", "random", "vgg16", "--width", "0.25", "-o", "vgg16-quarter.caffemodel")
    for name in ("VGG_ILSVRC_16_layers.caffemodel", "vgg.caffemodel"):
        shutil.copy("vgg16.caffemodel", name)
    call("train", "--data", "my-data", "--weights", "vgg16.caffemodel", *WIDTH, *STEPS)
    run = Path("runs/voc-fcn8s")
    shutil.copytree("runs/voc-fcn32s", "slow/voc-fcn32s")
    shutil.copy(run / "deploy.prototxt", "deploy.prototxt")
    shutil.copy(run / "snapshot/train_iter_1.caffemodel", "my.caffemodel")
    call("score", str(run), "--save", "predictions")
    _images()
    _data_sets()
    _solver()


def call(*words: str) -> None:
    """A command that has to work."""
    assert fcn(list(words)) == 0, words


def _images() -> None:
    """Photographs, and masks of some, from the drawn scenes; a clip of noise."""
    shutil.copytree("my-data/JPEGImages", "photos-and-masks/images")
    shutil.copytree("my-data/SegmentationClass", "photos-and-masks/masks")
    shutil.copy("my-data/classes.txt", "photos-and-masks")
    Path("labels").mkdir()
    for path in Path("predictions").iterdir():
        shutil.copy(f"my-data/SegmentationClass/{path.name}", "labels")
    shutil.copy("my-data/classes.txt", "classes.txt")
    scene = next(Path("my-data/JPEGImages").iterdir())
    for name in ("photo.jpg", "cat.jpg", "photos/a.jpg", "more/b.jpg", "more-photos/c.jpg"):
        Path(name).parent.mkdir(exist_ok=True)
        shutil.copy(scene, name)
    with Image.open(scene) as image:
        image.convert("RGB").save("scan.tif")
    import cv2

    writer = cv2.VideoWriter("clip.mp4", cv2.VideoWriter.fourcc(*"mp4v"), 10, (64, 48))
    for frame in np.random.default_rng(0).integers(0, 256, (2, 48, 64, 3), np.uint8):
        writer.write(frame)
    writer.release()


def _data_sets() -> None:
    """The drawn scenes where a document has PASCAL VOC."""
    for folder in ("VOCdevkit/VOC2011", "VOCdevkit/VOC2012", "data/VOCdevkit/VOC2012"):
        shutil.copytree("my-data", folder)


def _solver() -> None:
    """A solver and a net of Caffe's own layers."""
    Path("solver.prototxt").write_text('net: "train.prototxt" base_lr: 0.01 lr_policy: "fixed" max_iter: 1 '
                                       'snapshot_prefix: "s" solver_mode: CPU\n')  # fmt: skip
    Path("train.prototxt").write_text("""
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 32 dim: 32 } } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1" convolution_param {
        num_output: 2 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "loss" type: "Reduction" bottom: "conv1" top: "loss" loss_weight: 1 }
""")
