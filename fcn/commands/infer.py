"""Segment images: for each, the label map, an overlay and a legend.

    fcn infer cat.jpg dog.jpg --weights runs/voc-fcn8s -o out
    fcn infer photos/ 'more/2011_*.jpg' --weights runs/voc-fcn8s -o out
    fcn infer cat.jpg --weights fcn8s-heavy-pascal.caffemodel --model voc-fcn8s -o out

For cat.jpg, `out` gets cat.png (class index per pixel, VOC palette), cat_overlay.png and cat_legend.png.
"""

from __future__ import annotations

import argparse
import glob
import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from nets.arguments import real
from vis import make_palette, vis_seg
from voc_layers.facts import VOC_CLASSES
from voc_layers.files import IMAGE_SUFFIXES, has_suffix
from voc_layers.reading import ClassList, SampleError, read_classes, read_image

from ..data.names import check_names, names_in
from ..figures import drawn, legend, shares
from ..outputs import check_folder, refuse_inputs
from ..predictor import Predictor
from ..score import save_label
from ..trained import Trained
from .options import add_device, add_net, add_precision, carry_out, computing, parser, tell

log = logging.getLogger("fcn")


def segment(net: Predictor, path: Path, out: Path, classes: Sequence[str], alpha: float = 0.5) -> np.ndarray:
    """Segment one image file, write the three pictures into `out`; returns the label map, uint8 H x W."""
    image = read_image(path)
    label = net.labels(image)
    save_label(label, out / f"{path.stem}.png")
    overlay, key = out / f"{path.stem}_overlay.png", out / f"{path.stem}_legend.png"
    blended = vis_seg(image, label, make_palette(len(classes)), alpha)
    drawn(overlay, lambda: Image.fromarray(blended).save(overlay))
    drawn(key, lambda: legend(label, classes).save(key))
    return label


def find_images(arguments: Sequence[str]) -> list[Path]:
    """The image files that are meant: files as they are, all images of a folder, and patterns (`*.jpg`).

    Raises:
        SampleError: a folder without images.
    """
    found: list[Path] = []
    for argument in arguments:
        path = Path(argument)
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if has_suffix(p, IMAGE_SUFFIXES))
            if not inside:
                raise SampleError(f"{path}: expected images ({', '.join(IMAGE_SUFFIXES)}), found none")
            found += inside
        else:
            found += [path] if path.exists() else map(Path, sorted(glob.glob(argument)) or [argument])
    return found


def pictures(images: Sequence[Path], out: Path) -> list[Path]:
    """Where the three pictures of each image go; SampleError where two would get the same name."""
    made = {path: [out / f"{path.stem}{end}.png" for end in ("", "_overlay", "_legend")] for path in images}
    count = Counter(file for files in made.values() for file in files)
    repeated = sorted({path.stem for path, files in made.items() if any(count[file] > 1 for file in files)})
    if repeated:
        raise SampleError(
            f"the pictures of {', '.join(repeated)} would overwrite each other: images need different names"
        )
    return list(count)


def class_list(trained: Trained, file: Path | None) -> ClassList:
    """The class names: of a file, else of the net's run, else PASCAL VOC's.

    A run's data may name other classes by now; then a warning says so.

    Raises:
        SampleError: the file has the classes of the run in another order, or under other names.
    """
    names = trained.class_names
    if file is not None:
        found = read_classes(file)
        check_names(names or found.names, found.names, file)
        return found
    split = trained.job.split("train") if trained.job else None
    if names and split:
        try:
            check_names(names, names_in(split.folder), split.folder.root)
        except SampleError as error:
            log.warning("the names of the run are used: %s", error)
    return ClassList(names or VOC_CLASSES)


def parse(argv: Sequence[str] | None, prog: str) -> argparse.Namespace:
    command = parser(prog, __doc__)
    command.add_argument("images", nargs="+", metavar="IMAGE", help="file, folder or pattern")
    command.add_argument("--weights", type=Path, required=True, help="weights file, or the folder of a run")
    command.add_argument("-o", "--out", type=Path, required=True, metavar="DIR", help="the pictures go there")
    add_net(command)
    command.add_argument("--classes", type=Path, help="class names (default: the run's, or PASCAL VOC's)")
    command.add_argument("--alpha", type=real(0, 1), default=0.5, help="opacity of the overlay")
    add_device(command)
    add_precision(command)
    return command.parse_args(argv)


def run(args: argparse.Namespace) -> int:
    """Segment all images of the command line, and print what is in each; 1 where one could not be."""
    images = find_images(args.images)
    trained = Trained.find(args.weights, args.net, args.model)
    listed = class_list(trained, args.classes)
    given = [trained.weights, trained.net, args.classes]
    refuse_inputs(pictures(images, args.out), [*images, *filter(None, given)])
    check_folder(args.out)
    with computing(args.gpu, args.precision):
        return segment_all(images, trained.load(len(listed.names), listed.mean), listed, args)


def segment_all(images: Sequence[Path], net: Predictor, listed: ClassList, args: argparse.Namespace) -> int:
    """Segment the images into `args.out`; 1 where one could not be.

    Raises:
        SampleError: the net gives another number of scores than there are class names.
    """
    if net.classes != len(listed.names):
        raise SampleError(
            f"the net gives {net.classes} scores, but there are {len(listed.names)} class names; "
            "name the classes with --classes FILE"
        )
    args.out.mkdir(parents=True, exist_ok=True)
    failed = 0
    for path in images:
        try:
            label = segment(net, path, args.out, listed.names, args.alpha)
        except (ValueError, RuntimeError) as error:  # of this image; the others may be well
            failed += 1
            tell(str(error))
            continue
        found = (f"{name} {100 * share:.1f} %" for name, share in shares(label, listed.names).items())
        print(f"{path}: {', '.join(found)}")
    if failed:
        tell(f"{failed} of {len(images)} images could not be segmented")
    return int(failed > 0)


def main(argv: Sequence[str] | None = None, prog: str = "fcn infer") -> int:
    """Segment the images that the arguments name; returns the exit status."""
    args = parse(argv, prog)
    return carry_out(prog, lambda: run(args))
