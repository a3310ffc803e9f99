"""What the values of labels mean: said by whoever imports, by a file of the source, or found and shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from vis import make_palette
from voc_layers.facts import VOID
from voc_layers.reading import SampleError

from .coding import Coding, Tabled, Threshold, numbered
from .options import Options
from .sample import Source
from .survey import Seen
from .table import VOID_NAMES, Table, as_text, packed

#: Of masks of two classes: what is at least this bright is the object.
LEVEL = 128
#: PASCAL VOC's colours by class index, and the colour in which its labels are void.
_VOC = packed(make_palette(VOID)).tolist()
_VOC_VOID = 0xE0E0C0
#: Label values up to this may be class indices with gaps between them: a small set lacks some classes.
SMALL = 20


class Unconfirmed(SampleError):
    """What values mean was found out, and has to be seen by whoever knows the data."""

    def __init__(self, table: Table, remarks: Sequence[str], why: str) -> None:
        super().__init__(why)
        self.table, self.remarks, self.why = table, tuple(remarks), why

    @property
    def text(self) -> str:
        """The table, as a file to edit."""
        return self.table.text(self.remarks)


def decide(seen: Sequence[Seen], source: Source, options: Options) -> Coding:
    """Find out what the values of the labels mean.

    Raises:
        Unconfirmed: a table of colours or values that nobody has confirmed.
        SampleError: values that contradict what was said of them.
    """
    if options.table is not None:
        _refuse(options, "--colors", "--classes", "--values", "--threshold", "--void")
        return _by_table(options.table, seen, f"classes by the table {options.table.origin}")
    coloured = options.values == "color" or (options.values is None and _in_colours(seen))
    if options.values is None and source.table and (coloured or _fits(source.table, seen)):
        _refuse(options, f"the table {source.table.origin}", "--classes", "--threshold", "--void")
        return _by_table(source.table, seen, f"classes by the table {source.table.origin}")
    if coloured:
        _refuse(options, "labels in colours", "--threshold", "--void N")
        return _proposed(_propose(seen, source, options, coloured=True), seen, options)
    _refuse(options, "labels of one channel", "--void #rrggbb")
    return _by_value(seen, source, options)


def _refuse(options: Options, what: str, *names: str) -> None:
    """SampleError for options that would have no effect."""
    given = {
        "--classes": options.classes or None, "--values": options.values, "--threshold": options.threshold,
        "--void": options.void, "--void N": options.void_value, "--void #rrggbb": options.void_colour,
    }  # fmt: skip
    if wrong := [name for name in names if given[name] is not None]:
        raise SampleError(f"{', '.join(wrong)}: of no use for {what}; leave it out")


def _fits(table: Table, seen: Sequence[Seen]) -> bool:
    """Whether a table names all that is in the labels."""
    if not table.coloured and any(one.coloured for one in seen):
        return False
    return _total(seen, table.coloured).keys() <= table.classes().keys()


def _in_colours(seen: Sequence[Seen]) -> bool:
    """Whether colours tell the classes: in RGB, or in palettes that differ from file to file."""
    if any(one.coloured for one in seen):
        return True
    colour: dict[int, int] = {}
    return any(
        colour.setdefault(value, now) != now
        for one in seen if one.palette
        for value in one.counts
        for now in [colour_of_seen(one, value)]
    )  # fmt: skip


def colour_of_seen(one: Seen, value: int) -> int:
    """The packed colour of a value in the palette of its file."""
    part = (*one.palette[3 * value : 3 * value + 3], 0, 0, 0)[:3]
    return part[0] << 16 | part[1] << 8 | part[2]


def _by_table(table: Table, seen: Sequence[Seen], note: str) -> Tabled:
    """The coding of a table; SampleError with all that it does not name."""
    counts = _total(seen, table.coloured)
    if strange := {key: n for key, n in counts.items() if key not in table.classes()}:
        first = next(one for one in seen if strange.keys() & _counts(one, table.coloured).keys())
        raise SampleError(
            f"{table.origin or 'the table'}: expected a line for each {_kind(table.coloured)} in the labels, "
            f"found none for {_listed(strange, table.coloured)}, first in {first.file}; add them, as void if "
            "they are no class"
        )
    return Tabled(table.names, table.classes(), table.coloured, note)


def _proposed(found: Unconfirmed, seen: Sequence[Seen], options: Options) -> Tabled:
    if not options.yes:
        raise found
    kind = _kind(found.table.coloured)
    return _by_table(found.table, seen, f"classes by {kind}, as found ({len(found.table.rows)} of them)")


def _by_value(seen: Sequence[Seen], source: Source, options: Options) -> Coding:
    counts = _total(seen, coloured=False)
    names = options.classes or source.names
    forced = options.values == "binary" or options.threshold is not None
    if forced or (options.values is None and options.void_value is None and _two_valued(counts, len(names))):
        return _threshold(counts, names, options)
    return _as_indices(counts, seen, source, options)


def _two_valued(counts: Mapping[int, int], classes: int) -> bool:
    """Whether masks are black and white, if need be with grey edges, light and dark, and fewer than white.

    classes: how many are named; 0 where none are.
    """
    between = {value: n for value, n in counts.items() if 0 < value < 255}
    if 255 not in counts or min(counts) < 0 or max(counts) > 255:
        return False
    if not between:
        return classes in (0, 2)
    if max(between) < classes:
        return False
    return max(between) >= LEVEL > min(between) and sum(between.values()) < counts[255]


def _threshold(counts: Mapping[int, int], names: Sequence[str], options: Options) -> Threshold:
    names = tuple(names) or ("background", "object")
    if len(names) != 2:
        raise SampleError(
            f"--classes: expected 2 names for masks of two values, found {len(names)}; --values index reads "
            "the values as classes"
        )
    level = options.threshold or LEVEL
    grey = sum(n for value, n in counts.items() if value not in (0, 255))
    edges = f"; {grey} of {sum(counts.values())} pixels are grey" if grey else ""
    return Threshold(names, level, f"two classes: from {level} on '{names[1]}', below '{names[0]}'{edges}")


def _as_indices(counts: Mapping[int, int], seen: Sequence[Seen], source: Source, options: Options) -> Coding:
    void = _void(counts, source, options)
    values = sorted(value for value in counts if value != void)
    if not values:
        raise SampleError(f"every pixel of the {len(seen)} labels is {void}, which is void")
    names = options.classes or source.names
    most = len(names) - 1 if names else max(SMALL, 2 * len(values))
    if values[0] >= 0 and values[-1] <= most and values[-1] < VOID:
        named = names or default_names(values[-1] + 1)
        said = "" if void is None or void not in counts else f"; {void} is void"
        return numbered(named, void, f"label values are class indices{said}")
    if options.values == "index":
        expected = f"0 .. {len(names) - 1}" if names else f"0 .. {VOID - 1}"
        raise SampleError(
            f"expected label values {expected}, found "
            f"{_listed({v: counts[v] for v in values if not 0 <= v <= (len(names) or VOID) - 1}, False)}"
        )
    return _proposed(_propose(seen, source, options, coloured=False), seen, options)


def _void(counts: Mapping[int, int], source: Source, options: Options) -> int | None:
    """The label value that is void: the one that was said, or by custom 255, or -1."""
    if options.void_value is not None:
        return options.void_value
    if source.void not in (None, VOID):
        return source.void
    return -1 if -1 in counts and VOID not in counts else VOID


def _propose(seen: Sequence[Seen], source: Source, options: Options, coloured: bool) -> Unconfirmed:
    """What is in the labels as a table: background, black or 0, first; then as VOC has it, or by share."""
    counts = _total(seen, coloured)
    if len(counts) > VOID:
        raise SampleError(
            f"expected at most {VOID} different {_kind(coloured)}s, one a class, found {len(counts)}: "
            "were the labels scaled with smoothing, or compressed as JPEG? Export them again without either, "
            "or name what the classes are with --colors"
        )
    void, of_voc = options.void_colour if coloured else options.void_value, False
    if coloured:
        of_voc = counts.keys() <= {*_VOC, _VOC_VOID}
        void = _VOC_VOID if void is None and of_voc else void
    elif void is None:
        void = VOID
    rank = {key: i for i, key in enumerate(_VOC)} if of_voc else {}
    keys = sorted(
        counts, key=lambda key: (key == void, key != 0, rank.get(key, 0), -counts[key] if coloured else key)
    )
    names = _names(keys, void, source, options)
    total = sum(counts.values())
    remarks = [
        f"{100 * counts[key] / total:.2f} % of the pixels, first in {_first(seen, key, coloured)}"
        for key in keys
    ]
    why = f"{len(keys)} {_kind(coloured)}s are in the labels, and nothing says which classes they are"
    return Unconfirmed(Table(tuple(zip(keys, names)), coloured, "found in the labels"), remarks, why)


def _names(keys: Sequence[int], void: int | None, source: Source, options: Options) -> list[str]:
    """A name for each key: as was said, in this order; else as the source says, if it names as many."""
    classes = [key for key in keys if key != void]
    if options.classes and len(options.classes) != len(classes):
        raise SampleError(
            f"--classes: expected {len(classes)} names, one for each colour or value in the labels, found "
            f"{len(options.classes)}; with --colors FILE each is named beside its colour"
        )
    names = options.classes or source.names
    if len(names) != len(classes):
        names = default_names(len(classes), background=0 in classes)
    named = dict(zip(classes, names))
    return [named.get(key, VOID_NAMES[0]) for key in keys]


def default_names(count: int, background: bool = True) -> tuple[str, ...]:
    """Names for classes that nobody named: background, class_1, ..."""
    numbers = tuple(f"class_{index}" for index in range(count))
    return ("background", *numbers[1:]) if background else numbers


def _kind(coloured: bool) -> str:
    return "colour" if coloured else "value"


def _counts(one: Seen, coloured: bool) -> Mapping[int, int]:
    if coloured:
        return one.colours()
    if one.coloured:
        raise SampleError(f"{one.file}: expected one channel, found colours; --values color reads those")
    return one.counts


def _total(seen: Sequence[Seen], coloured: bool) -> Counter[int]:
    """value or colour -> pixels, of all labels."""
    total: Counter[int] = Counter()
    for one in seen:
        total.update(_counts(one, coloured))
    return total


def _first(seen: Sequence[Seen], key: int, coloured: bool) -> str:
    return next(one.file for one in seen if key in _counts(one, coloured))


def _listed(counts: Mapping[int, int], coloured: bool) -> str:
    some = [f"{as_text(key, coloured)} ({counts[key]} pixels)" for key in sorted(counts)[:8]]
    return ", ".join(some) + (f", ... {len(counts)} in all" if len(counts) > 8 else "")
