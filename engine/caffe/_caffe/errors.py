"""The exception hierarchy: one class per place a person has to go and look.

Where BVLC Caffe stops the process with a failed check, this engine raises one of these. All are
``RuntimeError`` (what pycaffe raises for files it cannot open), so ``except RuntimeError`` written
for pycaffe keeps working. A message says what is wrong, where, and how to mend it.
"""

from __future__ import annotations


class CaffeError(RuntimeError):
    """Anything this engine refuses to do."""


class ParseError(CaffeError):
    """A prototxt, caffemodel or solverstate that cannot be read as its message."""


class NetError(CaffeError):
    """The wiring of a net: names, phases, sharing, loss weights."""


class LayerError(CaffeError):
    """One layer: its parameters, the shapes it is given, the data it reads."""


class BlobError(CaffeError):
    """A blob used outside what its shape allows."""


class DataError(CaffeError):
    """Samples: a database, list or image that cannot be read or written. A layer says it as LayerError."""


class WeightsError(CaffeError):
    """Parameters that do not fit the net they are loaded into, or cannot be read or written."""


class SolverError(CaffeError):
    """A solver's settings, or a state that does not belong to it."""


class DeviceError(CaffeError):
    """A device that is not there, or cannot do what was asked."""


def install_command(extra: str) -> str:
    """The shell command that adds an optional extra of this package."""
    return f"pip install 'caffe-fcn[{extra}]'"


class MissingExtraError(CaffeError):
    """An optional dependency that is not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package '{package}', which is not installed: {install_command(extra)}"
        )
