"""What one check found: a verdict, the numbers it rests on, and what to do."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import Enum

log = logging.getLogger("fcn")


class Verdict(str, Enum):
    """UNKNOWN: it could not be checked; the evidence says why."""

    PASS = "PASS"
    FAIL = "FAIL"
    UNKNOWN = "UNKNOWN"


class Suspect(ValueError):
    """A training that was to stop where a known cause of a low score is found."""


@dataclass(frozen=True)
class Finding:
    """One cause looked for. evidence: in numbers, or why it is not known. remedy: of a FAIL."""

    name: str
    verdict: Verdict
    evidence: str
    remedy: str = ""

    @classmethod
    def passed(cls, name: str, evidence: str) -> Finding:
        """The cause is not there."""
        return cls(name, Verdict.PASS, evidence)

    @classmethod
    def failed(cls, name: str, evidence: str, remedy: str) -> Finding:
        """The cause is there."""
        return cls(name, Verdict.FAIL, evidence, remedy)

    @classmethod
    def unknown(cls, name: str, why: str) -> Finding:
        """It can't be said."""
        return cls(name, Verdict.UNKNOWN, why)

    def lines(self, width: int) -> list[str]:
        """For people; names take `width` columns."""
        first = f"{self.verdict.value:7}  {self.name:{width}}  {self.evidence}"
        return [first, f"{'':{width + 9}}  do: {self.remedy}"] if self.remedy else [first]

    def as_json(self) -> dict[str, str]:
        """For programs."""
        return {**asdict(self), "verdict": self.verdict.value}


def settle(findings: Iterable[Finding], strict: bool = False) -> None:
    """Log what failed as one warning; nothing if all is well.

    Raises:
        Suspect: something failed and `strict` is set.
    """
    failed = [found for found in findings if found.verdict is Verdict.FAIL]
    if not failed:
        return
    width = max(len(found.name) for found in failed)
    said = "\n".join(f"  {line}" for found in failed for line in found.lines(width))
    if strict:
        raise Suspect(f"known causes of a low score, and --strict stops for them:\n{said}")
    log.warning("before training, look at these:\n%s", said)
