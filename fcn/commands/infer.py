"""Segment images: for each, the label map, an overlay and a legend.

    fcn infer cat.jpg dog.jpg --weights runs/voc-fcn8s -o out
    fcn infer photos/ 'more/2011_*.jpg' --weights runs/voc-fcn8s -o out
    fcn infer cat.jpg --weights fcn8s-heavy-pascal.caffemodel --model voc-fcn8s -o out

For cat.jpg, `out` gets cat.png (class index per pixel, VOC palette), cat_overlay.png and cat_legend.png.
Nets of SIFT Flow say two things of a pixel: cat_geo.png and so on are the second. Nets that look at depth or
HHA too find that of images/NAME.png in depth/NAME.png and hha/NAME.png beside that folder, as in NYUDv2.
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
from voc_layers.files import IMAGE_SUFFIXES, has_suffix
from voc_layers.reading import ClassList, SampleError, read_classes

from ..data.names import check_names, names_in
from ..figures import drawn, legend, shares
from ..outputs import check_folder, refuse_inputs
from ..predictor import Predictor
from ..score import save_label
from ..trained import Trained
from .options import add_device, add_net, add_precision, carry_out, computing, parser, tell

log = logging.getLogger("fcn")


#: A labeling of a net: what the names of its pictures end in, its blob of scores, its classes.
Said = tuple[str, str, Sequence[str]]


def segment(
    net: Predictor, files: Sequence[Path], out: Path, said: Sequence[Said], alpha: float = 0.5
) -> np.ndarray:
    """Segment one image, write three pictures into `out` for each labeling; the first label map, uint8 H x W.

    files: of each input of the net; the first gives the pictures their name.
    """
    views = [one.read(path) for one, path in zip(net.inputs, files)]
    labels = []
    for end, layer, classes in said:
        label, stem = net.of(layer).labels(*views), f"{files[0].stem}{end}"
        save_label(label, out / f"{stem}.png")
        overlay, key = out / f"{stem}_overlay.png", out / f"{stem}_legend.png"
        _draw(overlay, key, (views[0], label), classes, alpha)
        labels.append(label)
    first: np.ndarray = labels[0]
    return first


def _draw(
    overlay: Path, key: Path, pair: tuple[np.ndarray, np.ndarray], classes: Sequence[str], alpha: float
) -> None:
    blended = vis_seg(*pair, make_palette(len(classes)), alpha)
    drawn(overlay, lambda: Image.fromarray(blended).save(overlay))
    drawn(key, lambda: legend(pair[1], classes).save(key))


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


def pictures(images: Sequence[Path], out: Path, said: Sequence[str] = ("",)) -> list[Path]:
    """Where the three pictures of each image go; SampleError where two would get the same name."""
    ends = [f"{labeling}{end}" for labeling in said for end in ("", "_overlay", "_legend")]
    made = {path: [out / f"{path.stem}{end}.png" for end in ends] for path in images}
    count = Counter(file for files in made.values() for file in files)
    repeated = sorted({path.stem for path, files in made.items() if any(count[file] > 1 for file in files)})
    if repeated:
        raise SampleError(
            f"the pictures of {', '.join(repeated)} would overwrite each other: images need different names"
        )
    return list(count)


def class_list(trained: Trained, file: Path | None) -> ClassList:
    """The class names: of a file, else of the net's run, else of its model's data set.

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
    return ClassList(names or trained.folder.classes)


def labelings(trained: Trained, classes: Sequence[str]) -> list[Said]:
    """All that the net says of a pixel; `classes` are those of its first labeling."""
    first, *others = trained.labelings
    more = [(one.suffix, one.score, trained.folder.labeled(one.name).classes) for one in others]
    return [("", first.score, classes), *more]


def parse(argv: Sequence[str] | None, prog: str) -> argparse.Namespace:
    command = parser(prog, __doc__)
    command.add_argument("images", nargs="+", metavar="IMAGE", help="file, folder or pattern")
    command.add_argument("--weights", type=Path, required=True, help="weights file, or the folder of a run")
    command.add_argument("-o", "--out", type=Path, required=True, metavar="DIR", help="the pictures go there")
    add_net(command)
    command.add_argument(
        "--classes", type=Path, help="class names (default: those of the run or the data set)"
    )
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
    said = labelings(trained, listed.names)
    refuse_inputs(pictures(images, args.out, [end for end, _, _ in said]), [*images, *filter(None, given)])
    check_folder(args.out)
    with computing(args.gpu, args.precision):
        return segment_all(images, trained, listed, said, args)


def segment_all(
    images: Sequence[Path],
    trained: Trained,
    listed: ClassList,
    said: Sequence[Said],
    args: argparse.Namespace,
) -> int:
    """Segment the images into `args.out`; 1 where one could not be.

    Raises:
        SampleError: the net gives another number of scores than there are class names.
    """
    net = trained.load(len(listed.names), listed.mean)
    if net.classes != len(listed.names):
        raise SampleError(
            f"the net gives {net.classes} scores, but there are {len(listed.names)} class names; "
            "name the classes with --classes FILE"
        )
    args.out.mkdir(parents=True, exist_ok=True)
    failed = 0
    for path in images:
        try:
            files = trained.folder.companions(path)
            label = segment(net, files, args.out, said, args.alpha)
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
