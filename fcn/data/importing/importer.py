"""From a folder in any known form to one in VOC layout."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from voc_layers.facts import VOID
from voc_layers.reading import SampleError

from ..parallel import each
from .coding import Coding, numbered
from .deciding import decide
from .naming import ids_of
from .options import Options
from .report import IGNORED, Record, Report, shown
from .sample import Sample, Source
from .sources import find_source
from .splits import divide
from .survey import survey
from .target import ACCOUNT, ACCOUNT_TEXT, MADE_BY, check_target, staged
from .tree import Tree
from .writing import Writer, Written, write_classes, write_lists

#: Of problems that are listed when an import is refused.
MOST_PROBLEMS = 20


def import_data(source: Path, out: Path, options: Options | None = None, force: bool = False) -> Report:
    """Make `out`, in VOC layout, of what is in `source`, which is only read.

    Args:
        source: a folder, a list of pairs or a COCO file.
        out: a folder that is not there, is empty, or with `force` holds an earlier import.

    Returns:
        What became of each file; it also lies in `out`, as import.txt and import.json.

    Raises:
        Unconfirmed: what the values of labels mean was found out, and has to be confirmed; see `Options.yes`.
        SampleError: what is wrong with the source, all of it in one message; nothing has been written then.
    """
    options = options or Options()
    tree = Tree.of(source)
    check_target(tree.root, out, force)
    found = find_source(tree, options)
    _check_options(found, options)
    if not found.samples:
        raise SampleError(f"{source}: no image has a label\n{_problems([*found.problems, *found.records])}")
    samples, coding, problems = _understand(found, options, tree.root)
    with staged(out) as folder:
        writer = Writer(tree.root, folder, coding, options.exif)
        done, more = _write(writer, samples)
        _judge([*problems, *more], options)
        if not done:
            raise SampleError(f"{source}: no pair can be imported\n{_problems([*problems, *more])}")
        splits, how = divide([one.sample for one in done], [one.id for one in done], options)
        report = Report(str(source), found.form, coding.names, [*found.notes, coding.note, how])
        hidden = [Record(name, IGNORED, "hidden") for name in tree.hidden]
        report.records = [record for one in done for record in one.records]
        report.records += [*found.records, *problems, *more, *hidden]
        report.splits = splits
        _account(report, done, folder)
    return report


def _check_options(source: Source, options: Options) -> None:
    """SampleError for options that have no meaning for a form whose labels are class indices already."""
    given = {
        "--colors": options.table, "--values": options.values, "--threshold": options.threshold,
        "--void": options.void,
    }  # fmt: skip
    if source.fixed and (wrong := [name for name, value in given.items() if value is not None]):
        raise SampleError(f"{', '.join(wrong)}: of no use for {source.form}, whose labels say what they mean")


def _understand(
    source: Source, options: Options, root: Path
) -> tuple[Sequence[Sample], Coding, list[Record]]:
    """The pairs whose labels can be read, what their values mean, and why others can't be read."""
    if source.fixed:
        coding = numbered(source.names, VOID, f"{len(source.names)} classes")
        return source.samples, coding, list(source.problems)
    samples, seen, problems = survey(source.samples, root)
    if not seen:
        raise SampleError(f"none of the {len(source.samples)} labels can be read\n{_problems(problems)}")
    return samples, decide(seen, source, options), [*source.problems, *problems]


def _write(writer: Writer, samples: Sequence[Sample]) -> tuple[list[Written], list[Record]]:
    """Write all pairs; gives those that were written, and why others were not."""
    writer.prepare()
    pairs = list(zip(samples, ids_of([sample.name for sample in samples])))
    results = list(each(lambda pair: writer.write(*pair), pairs, "importing"))
    return [r for r in results if isinstance(r, Written)], [r for r in results if isinstance(r, Record)]


def _judge(problems: Sequence[Record], options: Options) -> None:
    if problems and not options.skip:
        raise SampleError(
            f"{len(problems)} pairs cannot be imported, and nothing was written; mend them, or "
            f"leave them out with --skip\n{_problems(problems)}"
        )


def _problems(records: Sequence[Record]) -> str:
    """A line for each of the first problems, and how many there are."""
    lines = [
        f"  {r.note}" if r.file in r.note else f"  {shown(r.file)}: {r.note}" for r in records[:MOST_PROBLEMS]
    ]
    more = [f"  ... {len(records)} in all"] if len(records) > MOST_PROBLEMS else []
    return "\n".join([*lines, *more])


def _account(report: Report, done: Sequence[Written], folder: Path) -> None:
    """Write lists, classes and the account into the folder."""
    total = np.sum([one.pixels for one in done], axis=0)
    count = len(report.classes)
    report.pixels = [*map(int, total[:count]), int(total[VOID])]
    report.outputs = {one.id: one.files for one in done}
    write_classes(folder, report.classes)
    lists = write_lists(folder, report.splits)
    account = {"made by": MADE_BY, "lists": lists, **report.as_json()}
    (folder / ACCOUNT).write_text(json.dumps(account, indent=1) + "\n", encoding="utf-8")
    (folder / ACCOUNT_TEXT).write_text(report.text(whole=True) + "\n", encoding="utf-8")
