"""What `score.py` was asked to score, and against what."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from fcn.dataset import VOC_CLASSES, Dataset, open_dataset
from fcn.evaluate import score_folder, score_net
from fcn.inputs import Inputs
from fcn.predict import Source, use_device
from fcn.report import Report
from fcn.runs import Run
from voc_layers.reading import DataError, read_classes, read_split

log = logging.getLogger("fcn")


def score_target(args: argparse.Namespace) -> tuple[Report, Path | None]:
    """The report on `args.target`, and the folder to write it to. Arguments as in `score.py --help`."""
    target: Path = args.target
    if target.is_dir() and not Run(target).net("deploy").is_file():
        return _predictions(args), args.out
    source = Source.find(target, args.net, args.model)
    run = Run(target) if target.is_dir() else None
    voc_dir, its_split = (args.voc_dir, None) if args.voc_dir else _of_run(run)
    if voc_dir is None:
        raise DataError("which images? Give --voc-dir, a folder in VOC layout")
    data = open_dataset(voc_dir)
    split = args.split or its_split or data.default_split()
    names = data.ids(split)[: args.limit]
    sbd = Inputs.pascal(voc_dir, args.sbd_dir) if args.sbd_dir else None
    _warn_of_leak(sbd.list_file("train") if sbd else _list(run, "train"), names, split)
    use_device(args.gpu)
    net = source.load(len(data.classes), data.mean)
    if net.classes != len(data.classes):
        raise DataError(
            f"{source.net or source.model}: gives {net.classes} scores, but {data.root} has "
            f"{len(data.classes)} classes ({', '.join(data.classes[:4])} ...)"
        )
    hist, void = score_net(net, data, names, args.save)
    title = f"{source.model or source.weights.name} on {data.root.name} {split}"
    report = Report(title, hist, data.classes, len(names), void, source.model)
    return report, args.out or (run.path / f"score-{split}" if run else None)


def _of_run(run: Run | None) -> tuple[str | None, str | None]:
    """Folder and list of the images that a run was scored on while it was trained."""
    scored_on = _list(run, "val")
    return (run.read_info().get("voc_dir") if run else None), scored_on.stem if scored_on else None


def _list(run: Run | None, form: str) -> Path | None:
    """The list of images that a run was trained ('train') or scored ('val') on."""
    info = run.read_info() if run else {}
    path = info.get("data", {}).get(form, {}).get("list")
    return Path(path) if path else None


def _predictions(args: argparse.Namespace) -> Report:
    """Saved predictions against a split of a data set, or against a plain folder of labels."""
    if args.labels is None and args.voc_dir is None:
        raise DataError(
            f"{args.target}: no run (it has no deploy.prototxt); to score it as a folder of "
            "predictions, give --labels or --voc-dir"
        )
    if args.labels is None:
        data = open_dataset(args.voc_dir)
        split = args.split or data.default_split()
        names, against = data.ids(split), f"{data.root.name} {split}"
    else:
        data, against = _LabelFolder.open(args.labels, args.classes), str(args.labels)
        names = sorted(path.stem for path in args.labels.glob("*.png"))
        if not names:
            raise DataError(f"{args.labels}: expected label maps ID.png, found none")
    names = names[: args.limit]
    hist, void = score_folder(args.target, data, names, args.save)
    return Report(f"{args.target} against {against}", hist, data.classes, len(names), void, args.model)


class _LabelFolder(Dataset):
    """Labels lie in the root itself; there are no images."""

    @classmethod
    def open(cls, root: Path, classes: Path | None) -> _LabelFolder:
        if classes is None:
            return cls(root, VOC_CLASSES)
        listed = read_classes(classes)
        return cls(root, listed.names, listed.mean, listed.void)

    def label_path(self, name: str) -> Path:
        return self.root / f"{name}.png"


def _warn_of_leak(trained_on: Path | None, names: list[str], split: str) -> None:
    if trained_on and trained_on.is_file():
        shared = sorted(set(read_split(trained_on)) & set(names))
        if shared:
            log.warning(
                "%d of the %d images of %s are also in %s (%s ...): the score is too good",
                len(shared),
                len(names),
                split,
                trained_on,
                shared[0],
            )
