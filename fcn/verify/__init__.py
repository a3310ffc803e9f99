"""The known causes of a low score or of black output, each looked for in a run: `fcn verify`."""

from __future__ import annotations

from .finding import Finding, Suspect, Verdict, settle
from .inputs import Inputs, check_inputs
from .report import Report, verify
from .subject import Subject
from .trained import check_net, check_start

__all__ = [
    "Finding",
    "Inputs",
    "Report",
    "Subject",
    "Suspect",
    "Verdict",
    "check_inputs",
    "check_net",
    "check_start",
    "settle",
    "verify",
]
