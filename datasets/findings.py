"""What is wrong with a file, where, and how to mend it."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Severity = Literal["error", "warning", "note"]


def printable(text: object) -> str:
    """`text` on one line, without control characters: names in a file are not to be trusted."""
    line = str(text)
    return line if line.isprintable() else ascii(line)[1:-1]


@dataclass(frozen=True)
class Finding:
    """One thing about one field of a file. `index` counts from zero and says where, in words.

    A file for which one `stops_training` can be read, but not be learned from.
    """

    severity: Severity
    field: str
    found: str
    expected: str
    remedy: str
    index: str = ""
    stops_training: bool = False

    def __str__(self) -> str:
        place = f"{self.field} ({self.index})" if self.index else self.field
        return printable(f"{place}: found {self.found}, expected {self.expected}; {self.remedy}")


def error(field: str, found: str, expected: str, remedy: str, index: str = "") -> Finding:
    """A finding that makes the file unusable."""
    return Finding("error", field, found, expected, remedy, index)


class DataError(ValueError):
    """A file that cannot be used. The message is its first error on one line."""

    def __init__(self, path: Path | str, findings: Iterable[Finding]) -> None:
        self.path = Path(path)
        self.findings = tuple(findings)
        first = next(f for f in self.findings if f.severity == "error")
        super().__init__(f"{printable(path)}: {first}")


@dataclass(frozen=True)
class CheckReport:
    """What is in a file (`contents`, one line each) and what is to be said about it."""

    path: Path
    contents: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def errors(self) -> tuple[Finding, ...]:
        return tuple(f for f in self.findings if f.severity == "error")

    @property
    def ok(self) -> bool:
        """Whether the file can be read; warnings and notes do not count."""
        return not self.errors

    def lines(self) -> list[str]:
        """The report for a person: contents, findings by severity, verdict."""
        order = ("error", "warning", "note")
        ranked = sorted(self.findings, key=lambda f: order.index(f.severity))
        return [
            printable(self.path),
            *(f"  {line}" for line in self.contents),
            *(f"  {f.severity}: {f}" for f in ranked),
            f"  {self._verdict}",
        ]

    @property
    def _verdict(self) -> str:
        if not self.ok:
            return f"not usable: {len(self.errors)} error(s)"
        if any(f.stops_training for f in self.findings):
            return "readable, but gnsim discover and gnsim train refuse it: see the warnings"
        return "usable"

    def __str__(self) -> str:
        return "\n".join(self.lines())
