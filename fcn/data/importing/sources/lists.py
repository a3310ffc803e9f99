"""Lists with an image and its label on each line, as Caffe's users and MMSegmentation's keep them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from voc_layers.files import IMAGE_SUFFIXES, has_suffix
from voc_layers.reading import SampleError, read_text

from ..options import Options
from ..rasters import RASTER_SUFFIXES, RasterLabel
from ..report import LEFT_OUT, Record, shown
from ..sample import Sample, Source
from ..tree import Tree, split_named
from .folders import colour_file, names_file, place_of

Pair = tuple[str, str]


def find(tree: Tree, options: Options) -> Source | None:
    """Read every list of pairs; None where there is none."""
    samples: list[Sample] = []
    problems: list[Record] = []
    seen: set[Pair] = set()
    files = [name for name in tree.with_suffix(".txt", ".lst", ".csv") if _is_list(tree, name)]
    for name in sorted(files, key=lambda name: ("trainval" in name, name)):
        split = split_named(name.rpartition("/")[2].rpartition(".")[0])
        for number, line in _lines(tree, name):
            found = _pair(tree, line, name.rpartition("/")[0])
            if found is None:
                problems.append(Record(f"{shown(name)}:{number}", LEFT_OUT, _why(tree, line)))
            elif found not in seen:
                seen.add(found)
                image, label = (tree.path(part) for part in found)
                where = place_of(found[0]).name
                samples.append(Sample(image, RasterLabel(label, options.mat_name), where, split))
    if not files:
        return None
    listed = names_file(tree)
    note = f"lists of pairs: {', '.join(map(shown, files))}"
    return Source(
        "lists of pairs",
        tuple(samples),
        listed.names,
        colour_file(tree),
        listed.void,
        problems=tuple(problems),
        notes=(note,),
    )


def _lines(tree: Tree, name: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(read_text(tree.path(name)).splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            yield number, line.strip()


def _is_list(tree: Tree, name: str) -> bool:
    """Whether the first line holds two paths: an image's and a label's."""
    if tree.path(name).stat().st_size > 1 << 28:
        return False
    try:
        first = next(_lines(tree, name), (0, ""))[1]
    except SampleError:
        return False
    beside = name.rpartition("/")[0]
    return any(
        has_suffix(a, IMAGE_SUFFIXES)
        and has_suffix(b, RASTER_SUFFIXES)
        and bool(tree.find(a, beside) or tree.find(b, beside))
        for a, b in _parts(first)
    )


def _parts(line: str) -> Iterator[Pair]:
    """The ways to part a line in two: at a tab, comma or semicolon, or at each of its blanks."""
    for mark in ("\t", ",", ";"):
        if line.count(mark) == 1:
            a, b = line.split(mark)
            yield a.strip(" \"'"), b.strip(" \"'")
    for blank in re.finditer(r"\s+", line):
        yield line[: blank.start()].strip("\"'"), line[blank.end() :].strip("\"'")


def _pair(tree: Tree, line: str, beside: str) -> Pair | None:
    for a, b in _parts(line):
        image, label = tree.find(a, beside), tree.find(b, beside)
        if image and label and has_suffix(image, IMAGE_SUFFIXES) and has_suffix(label, RASTER_SUFFIXES):
            return image, label
    return None


def _why(tree: Tree, line: str) -> str:
    a, b = next(_parts(line), (line, ""))
    if not b:
        return f"expected an image and a label, found '{shown(line)}'"
    missing = [shown(name) for name in (a, b) if tree.find(name) is None]
    return f"not below {shown(tree.root)}: {', '.join(missing)}"
