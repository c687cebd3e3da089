"""What a target's device was at the campaign's first good sample, kept in `meta.json`; a device that changes shows."""

from __future__ import annotations

from dataclasses import replace

from paraedge.archive.write import Archive
from paraedge.core.device import Target
from paraedge.core.outcome import Measurement, Outcome

FACTS = ("port", "link", "link_mbit_per_s", "runtime", "runtime_version")
"""Of a device: what must stay the same for its rows to be of one kind."""


class FirstDevice:
    """The device of one target: as its first good sample has it, in whichever call of the campaign that was."""

    def __init__(self, book: Archive, target: Target) -> None:
        self._book = book
        self._label = target.label()
        self._kept = any(key.target.alone() == target.alone() for key in book.done - book.failed)

    def compare(self, outcome: Outcome) -> Outcome:
        """The outcome, with a warning for each fact of its device that differs from the first; unknown never does."""
        if not self._kept or not isinstance(outcome, Measurement):
            return outcome
        first = self._book.meta.get("devices", {}).get(self._label, {})
        found = [(name, getattr(outcome.device, name), first.get(name)) for name in FACTS]
        changes = [f"{name} is {now}, was {was} at the first sample" for name, now, was in found if _differ(now, was)]
        return replace(outcome, warnings=(*outcome.warnings, *changes))

    def keep(self, outcome: Outcome) -> None:
        """Put the outcome's device into `meta.json`, if it is the first."""
        if not self._kept and isinstance(outcome, Measurement):
            self._kept = True
            self._book.update_meta(devices={**self._book.meta.get("devices", {}), self._label: outcome.device})


def _differ(now: object, was: object) -> bool:
    return now is not None and was is not None and now != was
