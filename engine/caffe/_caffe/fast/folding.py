"""Gradients of maps whose equal rows and columns are kept once: summed over the rows that are one."""

from __future__ import annotations

import numpy as np

from ..machine import passing
from ..machine.simd import bits
from ..machine.workers import Jobs, shared, workers
from .operation import Kept
from .planes import Plane, PlaneLayout, whole

PARTS = 4  # of a row that may stand for many
Tables = tuple[np.ndarray, ...]  #: of `passing.Folding`, in its order


def opened(layout: PlaneLayout) -> PlaneLayout:
    """The layout of the same map with every row and column."""
    batch, channels, height, width = layout.dims
    return layout if layout.whole else whole(batch, channels, height, width, layout.lanes)


class Folder:
    """Sums gradients for products with a map that keeps equal rows and columns once.

    Args:
        folded: where the sums are made.
    """

    def __init__(self, folded: Plane) -> None:
        self._folded = folded
        self._tables: Kept[tuple[PlaneLayout, PlaneLayout, PlaneLayout], Tables] = Kept()

    def fold(self, result: Plane, grad: Plane, layout: PlaneLayout, slope: float) -> Plane:
        """A plane of this layout with the sums of `grad`, which has every row and column.

        Args:
            result: of the layer, in any layout.
            slope: what gradients of results that are not above zero are multiplied with, in `grad` too.
        """
        if result.layout == layout == grad.layout:
            if slope != 1:
                work = passing.Masking(result.address, grad.address, layout.lanes, bits(slope))
                pixels = layout.count // layout.lanes
                workers.do(Jobs([shared(passing.mask, work, pixels, layout.lanes)]))
            return grad
        self._folded.lay_out(layout)
        tables = self._tables.get((result.layout, grad.layout, layout), _tables)
        fold = passing.Folding(
            result.address,
            grad.address,
            self._folded.address,
            layout.lanes,
            PARTS,
            bits(slope),
            len(tables[-1]),
            *(int(table.ctypes.data) for table in tables),
        )
        parts = PARTS * layout.batch * (layout.stored[1] - 1)
        workers.do(Jobs([shared(passing.fold, fold, parts, grad.layout.count // parts)]))
        return self._folded


def _tables(key: tuple[PlaneLayout, PlaneLayout, PlaneLayout]) -> Tables:
    values, grads, folded = key
    batch, (rows, columns) = folded.batch, (np.array(folded.rows), np.array(folded.columns))
    by_row, by_column = (np.argsort(axis, kind="stable") for axis in (rows, columns))
    row_starts, column_starts = (
        np.searchsorted(np.sort(axis), np.arange(axis.max() + 2)) for axis in (rows, columns)
    )
    images = np.arange(batch)[:, None]
    starts = np.append((images * len(rows) + row_starts[:-1]).ravel(), batch * len(rows))
    first_row, first_column = by_row[row_starts[:-1]], by_column[column_starts[:-1]]
    tables = (
        values.row_offsets(by_row[:, None]).ravel(),
        grads.row_offsets(by_row[:, None]).ravel(),
        starts,
        values.column_offsets(by_column),
        grads.column_offsets(by_column),
        column_starts,
        folded.row_offsets(first_row[:, None]).ravel(),
        folded.column_offsets(first_column),
    )
    return tuple(np.ascontiguousarray(table, np.int64) for table in tables)
