"""Segment images: for each, the label map, an overlay and a legend.

    python infer.py cat.jpg dog.jpg --weights runs/voc-fcn8s -o out
    python infer.py photos/ 'more/2011_*.jpg' --weights runs/voc-fcn8s -o out
    python infer.py cat.jpg --weights fcn8s-heavy-pascal.caffemodel --model voc-fcn8s -o out

For cat.jpg, `out` gets cat.png (class index per pixel, VOC palette), cat_overlay.png and cat_legend.png.
"""

from __future__ import annotations

import argparse
import glob
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from fcn.dataset import VOC_CLASSES
from fcn.evaluate import save_label
from fcn.figures import legend, shares
from fcn.predict import Predictor, Source, use_device
from vis import make_palette, vis_seg
from voc_layers.reading import IMAGE_SUFFIXES, ClassList, DataError, read_classes, read_image


def segment(net: Predictor, path: Path, out: Path, classes: Sequence[str], alpha: float = 0.5) -> np.ndarray:
    """Segment one image file, write the three pictures into `out`; returns the label map, uint8 H x W."""
    image = read_image(path)
    label = net.labels(image)
    save_label(label, out / f"{path.stem}.png")
    overlay = vis_seg(image, label, make_palette(len(classes)), alpha)
    Image.fromarray(overlay).save(out / f"{path.stem}_overlay.png")
    legend(label, classes).save(out / f"{path.stem}_legend.png")
    return label


def find_images(arguments: Sequence[str]) -> list[Path]:
    """The image files that are meant: files as they are, all images of a folder, and patterns (``*.jpg``).

    DataError for a folder without images and for two files whose pictures would get the same names.
    """
    found: list[Path] = []
    for argument in arguments:
        path = Path(argument)
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)
            if not inside:
                raise DataError(f"{path}: expected images ({', '.join(IMAGE_SUFFIXES)}), found none")
            found += inside
        else:
            found += [path] if path.exists() else map(Path, sorted(glob.glob(argument)) or [argument])
    repeated = sorted(name for name, count in Counter(path.stem for path in found).items() if count > 1)
    if repeated:
        raise DataError(
            f"the pictures of {', '.join(repeated)} would overwrite each other: images need different names"
        )
    return found


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="infer.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="file, folder or pattern")
    parser.add_argument("--weights", type=Path, required=True, help="weights file, or the folder of a run")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="DIR", help="where the pictures go")
    net = parser.add_mutually_exclusive_group()
    net.add_argument("--net", type=Path, help="deploy prototxt (default: that of the weights' run)")
    net.add_argument("--model", help="model id, for weights that lie in no run: voc-fcn8s")
    parser.add_argument("--classes", type=Path, help="class names, one a line (default: PASCAL VOC's)")
    parser.add_argument("--alpha", type=float, default=0.5, help="opacity of the overlay")
    device = parser.add_mutually_exclusive_group()
    device.add_argument("--gpu", type=int, help="which GPU to run on")
    device.add_argument("--cpu", action="store_true", help="run on the CPU (default)")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    args = parse(argv)
    try:
        run(args)
    except (ValueError, RuntimeError) as error:
        print(f"infer.py: {error}", file=sys.stderr)
        return 1
    return 0


def run(args: argparse.Namespace) -> None:
    """Segment all images of the command line; prints what is in each."""
    images = find_images(args.images)
    source = Source.find(args.weights, args.net, args.model)
    listed = read_classes(args.classes) if args.classes else source.listed or ClassList(VOC_CLASSES)
    use_device(args.gpu)
    net = source.load(len(listed.names), listed.mean)
    if net.classes != len(listed.names):
        raise DataError(
            f"the net gives {net.classes} scores, but there are {len(listed.names)} class names; "
            "name the classes with --classes FILE"
        )
    for path in images:
        label = segment(net, path, args.out, listed.names, args.alpha)
        found = (f"{name} {100 * share:.1f} %" for name, share in shares(label, listed.names).items())
        print(f"{path}: {', '.join(found)}")


if __name__ == "__main__":
    sys.exit(main())
