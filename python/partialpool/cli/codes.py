"""Exit codes, and which of them findings call for."""

from __future__ import annotations

from collections.abc import Iterable

from partialpool.finding import Finding
from partialpool.starting import INTERRUPTED

DONE, UNUSABLE, BAD_INPUT = 0, 1, 2


def judged(findings: Iterable[Finding]) -> int:
    """Give the exit code that findings call for."""
    findings = list(findings)
    if any(finding.code == "interrupted" for finding in findings):
        return INTERRUPTED
    return UNUSABLE if any(finding.level == "error" for finding in findings) else DONE
