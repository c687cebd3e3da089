"""`devices` and `doctor`: what is here, what is not and why, and the command that would mend it."""

from __future__ import annotations

from paraedge.cli.options import JsonOption
from paraedge.cli.output import emit_json, say, table
from paraedge.core.device import Absence


def devices(json: JsonOption = False) -> None:
    """List the devices that are here, and why others are not."""
    from paraedge.devices import registry

    here = [info for _, info in registry.present().values()]
    missing = [*registry.absent(), *_without_driver()]
    if json:
        emit_json(
            [*({"here": True, **vars(info)} for info in here), *({"here": False, **vars(gap)} for gap in missing)]
        )
        return
    rows = [
        {
            "device": info.id,
            "origin": info.origin.value,
            "batch": info.batch_mode,
            "link": info.link,
            "runtime": " ".join(filter(None, (info.runtime, info.runtime_version))),
        }
        for info in here
    ]
    table(rows)
    for gap in missing:
        say(f"\nnot here: {gap.id}: {gap.reason}")
        if gap.remedy:
            say(f"  to mend it: {gap.remedy}")


def _without_driver() -> list[Absence]:
    """Devices that a user may look for and that no driver offers yet."""
    return [Absence(id="gpu", reason="no driver for GPUs yet")]


def doctor(json: JsonOption = False) -> None:
    """Check this machine, and say how to mend what is wrong.

    Looks for what is missing or would spoil a measurement. Opens no device.
    """
    from paraedge.doctor import diagnose

    findings = diagnose()
    if json:
        emit_json(list(findings))
        return
    width = max(len(finding.check) for finding in findings)
    for finding in findings:
        say(f"{finding.status:<8} {finding.check:<{width}}  {finding.found}")
        if finding.remedy:
            say(f"{'':<8} {'':<{width}}  -> {finding.remedy}")
