"""Import of images and labels from the forms that people have them in.

`sources` reads each form as samples: an image and where its label comes from. `survey` looks at all labels,
`deciding` says what their values mean, `writing` writes each pair, `target` makes the folder whole or not.
"""

from __future__ import annotations

from .deciding import Unconfirmed
from .importer import import_data
from .options import Options
from .report import Record, Report
from .sources import FORMS
from .table import Table, parse_key, read_table

__all__ = [
    "FORMS",
    "Options",
    "Record",
    "Report",
    "Table",
    "Unconfirmed",
    "import_data",
    "parse_key",
    "read_table",
]
