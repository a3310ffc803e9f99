"""Which pairs are trained on and which are scored."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Sequence

from voc_layers.reading import SampleError

from .options import Options
from .sample import Sample

Splits = dict[str, list[str]]


def divide(samples: Sequence[Sample], ids: Sequence[str], options: Options) -> tuple[Splits, str]:
    """Lists of ids, and how they came about.

    Splits of the source are kept. Where it has none to score on, a share of the others, in whole groups, is
    set aside by a seeded draw.

    Raises:
        SampleError: too few pairs, or groups, to divide; a pattern that is none.
    """
    splits: Splits = {"train": [], "val": []}
    loose = []
    for sample, name in zip(samples, ids):
        if sample.split is None or (sample.split == "train" and not _has(samples, "val")):
            loose.append((sample, name))
        else:
            splits.setdefault(sample.split, []).append(name)
    if not loose:
        note = "splits as in the source"
    elif _has(samples, "val"):
        splits["train"] += [name for _, name in loose]
        note = "splits as in the source"
    else:
        splits["train"], splits["val"], note = _draw(loose, options)
    if not splits["train"]:
        raise SampleError(
            "the source has pairs to score on (val) and none to train on; name its folders or lists train "
            "and val, or import the folder of one of them by itself"
        )
    order = {name: i for i, name in enumerate(ids)}
    ordered = {split: sorted(names, key=order.__getitem__) for split, names in splits.items()}
    return {**ordered, "trainval": sorted(ordered["train"] + ordered["val"], key=order.__getitem__)}, note


def _has(samples: Sequence[Sample], split: str) -> bool:
    return any(sample.split == split for sample in samples)


def _draw(loose: Sequence[tuple[Sample, str]], options: Options) -> tuple[list[str], list[str], str]:
    """Groups in random order go to val until it has its share."""
    groups: dict[str, list[str]] = defaultdict(list)
    for sample, name in loose:
        groups[_group(sample, options.group_by)].append(name)
    if len(groups) < 2:
        what = f"groups by {options.group_by}" if options.group_by else "pairs of image and label"
        raise SampleError(
            f"expected two or more {what}, at least one to train on and one to score on; found {len(groups)}"
        )
    order = sorted(groups)
    random.Random(options.seed).shuffle(order)
    wanted = max(1, round(options.val * len(loose)))
    val: list[str] = []
    taken = 0
    while taken < len(order) - 1 and len(val) < wanted:
        val += groups[order[taken]]
        taken += 1
    train = [name for group in order[taken:] for name in groups[group]]
    note = f"split drawn with seed {options.seed}: {len(val)} of {len(loose)} to score on"
    return train, val, note + (f", in {len(order)} groups by {options.group_by}" if options.group_by else "")


def _group(sample: Sample, by: str | None) -> str:
    """What a pair has in common with those that must stay on its side; its name if nothing is asked for."""
    if by is None:
        return sample.name
    if by == "folder":
        return sample.name.rpartition("/")[0]
    found = re.search(by, sample.name)
    if found is None:
        raise SampleError(
            f"--group-by {by}: does not match '{sample.name}'; it has to match every image's path"
        )
    return found[1] if found.re.groups else found[0]
