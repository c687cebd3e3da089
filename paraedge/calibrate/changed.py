"""A hardware with other values."""

from __future__ import annotations

import dataclasses

from paraedge.simulate.constants import Hardware


def changed(hardware: Hardware, **values: float) -> Hardware:
    """The hardware with these values, in its constants' records too; their old intervals are dropped."""
    sources = dict(hardware.sources)
    for name, value in values.items():
        sources[name] = dataclasses.replace(sources[name], value=value, low=None, high=None)
    return dataclasses.replace(hardware, **values, sources=sources)  # type: ignore[arg-type]
