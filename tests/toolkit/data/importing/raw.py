"""Raw data in the forms that people have it in: small, written as the programs write it that make them.

Every form holds the same images and labels, so that an import can be compared pixel by pixel.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import scipy.io
from PIL import Image

HEIGHT, WIDTH, COUNT = 40, 56, 6
NAMES = ("background", "road", "car")
COLOURS = np.array([(0, 0, 0), (200, 30, 30), (20, 20, 220)], np.uint8)


def truth(i: int) -> np.ndarray:
    """Label number i: two rectangles, the second over the first."""
    label = np.zeros((HEIGHT, WIDTH), np.uint8)
    label[5:25, 4 + i : 30] = 1
    label[22:35, 10 : 50 - i] = 2
    return label


def photo(i: int) -> Image.Image:
    """Image number i: coarse noise with the objects brightened."""
    rng = np.random.default_rng(i)
    coarse = rng.integers(0, 150, (10, 14, 3), np.uint8).repeat(4, 0).repeat(4, 1)
    return Image.fromarray(coarse + 50 * truth(i)[..., None])


def png(path: Path, values: np.ndarray, depth: int) -> None:
    """A grey PNG of 2 or 4 bits a pixel, which Pillow does not write."""

    def chunk(tag: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + tag + data + struct.pack(">I", zlib.crc32(tag + data))

    bits = (values[..., None] >> np.arange(depth)[::-1] & 1).reshape(len(values), -1).astype(np.uint8)
    rows = b"".join(b"\0" + np.packbits(row).tobytes() for row in bits)
    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], depth, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


def pairs(
    root: Path, images: str, labels: str, save: Callable[[Path, int], None], suffix: str = ".jpg"
) -> None:
    """Images as `images`, labels as `labels`, formats with a number; `save` writes a label."""
    for i in range(COUNT):
        image, label = root / (images.format(i) + suffix), root / labels.format(i)
        for path in (image, label):
            path.parent.mkdir(parents=True, exist_ok=True)
        photo(i).save(image, format="JPEG" if suffix.lower() == ".jpg" else None)
        save(label, i)


def grey(path: Path, i: int) -> None:
    Image.fromarray(truth(i)).save(path)


def coloured(path: Path, i: int) -> None:
    Image.fromarray(COLOURS[truth(i)]).save(path)


def own_palette(path: Path, i: int) -> None:
    """Each label numbers the colours in its own order."""
    order = np.random.default_rng(i).permutation(3)
    label = Image.fromarray(order[truth(i)].astype(np.uint8))
    palette = np.zeros((256, 3), np.uint8)
    palette[order] = COLOURS
    label.putpalette(palette.ravel().tolist())
    label.save(path)


def smooth(path: Path, i: int) -> None:
    """The objects in white, drawn four times as large and scaled down a little off the grid: grey edges."""
    large = Image.fromarray((truth(i) > 0).astype(np.uint8) * 255).resize((4 * WIDTH, 4 * HEIGHT))
    shifted = large.transform(large.size, Image.Transform.AFFINE, (1, 0, 1, 0, 1, 1))
    shifted.resize((WIDTH, HEIGHT), Image.Resampling.BOX).save(path)


def flat(root: Path) -> None:
    pairs(root, "images/im{}", "masks/im{}.png", grey)
    (root / "classes.txt").write_text("".join(f"{name}\n" for name in NAMES))


def palettes(root: Path) -> None:
    pairs(root, "train/images/im{}", "train/masks/im{}.png", own_palette)


def four_bits(root: Path) -> None:
    pairs(root, "images/train/im{}", "annotations/train/im{}.png", lambda path, i: png(path, truth(i), 4))


def colours(root: Path) -> None:
    pairs(root, "img/im{}", "labels/im{}_L.png", coloured)
    lines = [f"{r} {g} {b}\t{name}\n" for (r, g, b), name in zip(COLOURS.tolist(), NAMES)]
    (root / "label_colors.txt").write_text("".join(lines))


def black_and_white(root: Path) -> None:
    pairs(root, "im{}", "im{}_mask.PNG", smooth, ".JPG")


def numpy_arrays(root: Path) -> None:
    pairs(root, "images/im{}", "masks/im{}.npy", lambda path, i: np.save(path, truth(i).astype(np.int64)))


def matlab_arrays(root: Path) -> None:
    pairs(
        root, "images/im{}", "gt/im{}.mat", lambda path, i: scipy.io.savemat(path, {"mask": truth(i), "k": 3})
    )


def listed(root: Path) -> None:
    """Lists with paths of the computer where they were made, and of two folders with the same names."""
    pairs(root, "day/{}", "day_labels/{}.png", grey)
    pairs(root, "night/{}", "night_labels/{}.png", grey)
    for split, numbers in (("train", range(4)), ("val", range(4, COUNT))):
        lines = [
            f"/home/me/set/{d}/{i}.jpg /home/me/set/{d}_labels/{i}.png\n"
            for d in ("day", "night")
            for i in numbers
        ]
        (root / f"{split}.txt").write_text("".join(lines))


def boxes(i: int) -> list[tuple[str, list[list[float]]]]:
    """Class and outline of each object, in the order in which they are drawn."""
    first = [[4 + i, 5], [30, 5], [30, 25], [4 + i, 25]]
    second = [[10, 22], [50 - i, 22], [50 - i, 35], [10, 35]]
    return [("road", first), ("car", second)]


def labelme(root: Path) -> None:
    root.mkdir(parents=True, exist_ok=True)
    for i in range(COUNT):
        photo(i).save(root / f"im{i}.jpg")
        (_, first), (_, second) = boxes(i)
        shapes = [
            {"label": "road", "points": first, "shape_type": "polygon", "group_id": None, "flags": {}},
            {"label": "car", "points": [second[0], second[2]], "shape_type": "rectangle", "flags": {}},
        ]
        document = {
            "version": "5.2.1", "flags": {}, "shapes": shapes, "imagePath": f"..\\photos\\im{i}.jpg",
            "imageData": None, "imageHeight": HEIGHT, "imageWidth": WIDTH,
        }  # fmt: skip
        (root / f"im{i}.json").write_text(json.dumps(document, indent=2))


def runs(mask: np.ndarray) -> list[int]:
    """COCO's run lengths, column after column, the first of them outside."""
    flat = mask.T.ravel().astype(np.int8)
    ends = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff([0, *ends, flat.size]).tolist()
    return [0, *counts] if flat[0] else counts


def compressed(counts: list[int]) -> str:
    """pycocotools' string of run lengths."""
    text = ""
    for k, count in enumerate(counts):
        value = count - counts[k - 2] if k > 2 else count
        while True:
            digit, value = value & 31, value >> 5
            done = value == (-1 if digit & 16 else 0)
            text += chr((digit if done else digit | 32) + 48)
            if done:
                break
    return text


def coco(root: Path) -> None:
    """Objects as polygons, as run lengths and as compressed ones; category numbers with a gap, as COCO's."""
    (root / "annotations").mkdir(parents=True)
    (root / "images").mkdir()
    images, annotations = [], []
    for i in range(COUNT):
        photo(i).save(root / f"images/im{i}.jpg")
        images.append({"id": 10 + i, "file_name": f"im{i}.jpg", "height": HEIGHT, "width": WIDTH})
        for number, (name, outline) in zip((7, 3), boxes(i)):
            (left, top), (right, bottom) = outline[0], outline[2]
            mask = np.zeros((HEIGHT, WIDTH), bool)
            mask[top:bottom, left:right] = True
            counts = runs(mask)
            forms = (
                [[n for point in outline for n in point]],
                {"size": [HEIGHT, WIDTH], "counts": counts},
                {"size": [HEIGHT, WIDTH], "counts": compressed(counts)},
            )
            annotations.append({
                "id": len(annotations), "image_id": 10 + i, "category_id": number, "iscrowd": int(i % 3 > 0),
                "segmentation": forms[i % 3], "area": 600.0 if name == "road" else 400.0,
                "bbox": [left, top, right - left, bottom - top],
            })  # fmt: skip
    categories = [{"id": 3, "name": "car"}, {"id": 7, "name": "road"}]
    document = {"images": images, "annotations": annotations, "categories": categories}
    (root / "annotations/instances.json").write_text(json.dumps(document))


def cityscapes(root: Path) -> None:
    ids = np.array([4, 7, 26], np.uint8)  # static, which is void; road; car
    for i in range(COUNT):
        split, city = ("train", "aachen") if i < 4 else ("val", "lindau")
        stem = f"{city}_{i:06d}_000019"
        for part, ending in (("leftImg8bit", "leftImg8bit"), ("gtFine", "gtFine_labelIds")):
            path = root / part / split / city / f"{stem}_{ending}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            (photo(i) if part == "leftImg8bit" else Image.fromarray(ids[truth(i)])).save(path)
        Image.fromarray(truth(i)).save(path.with_name(f"{stem}_gtFine_instanceIds.png"))


def camvid(root: Path) -> None:
    """As SegNet's tutorial has it: 11 is unlabelled."""
    ids = np.array([11, 3, 8], np.uint8)
    for split, numbers in (("train", range(4)), ("test", range(4, 5)), ("val", range(5, 6))):
        for i in numbers:
            for folder, image in ((split, photo(i)), (f"{split}annot", Image.fromarray(ids[truth(i)]))):
                (root / folder).mkdir(parents=True, exist_ok=True)
                image.save(root / folder / f"im{i}.png")
