"""Sizes, shares and ops as people read them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

BEGINNING = 3
"""Letters of a word that are enough to tell which one it begins."""


def quantity_bytes(count: float | None) -> str:
    """Bytes: `3.4 MiB`; nothing for an unknown count."""
    if count is None:
        return ""
    for unit in ("B", "KiB", "MiB"):
        if abs(count) < 1024:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.2f} GiB"


def quantity(count: float) -> str:
    """A number of things, four digits of it: `5.6 thousand`."""
    for word in ("", " thousand", " million"):
        if abs(count) < 1000:
            return f"{count:.4g}{word}"
        count /= 1000
    return f"{count:.4g} billion"


def plural(count: int, noun: str) -> str:
    """`1 op`, `2 ops`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def milliseconds(value: float) -> str:
    """Three significant digits, and all of a number above 1000: `0.286`, `8.31`, `1846`."""
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def percent(share: float) -> str:
    """`72 %`, of 0.72."""
    return f"{100 * share:.0f} %"


def op_name(index: int, op: str) -> str:
    """A layer by its index, which is no count: `op 4 (CONV_2D)`."""
    return f"op {index} ({op})"


def grouped(ops: Iterable[tuple[int, str, str]]) -> list[str]:
    """A line for each op and reason, from index, op and reason: `op 4 (CAST): why`, or `CAST x3: why` of several."""
    groups: dict[tuple[str, str], list[int]] = {}
    for index, op, reason in ops:
        groups.setdefault((op, reason), []).append(index)
    return [
        f"{op_name(indices[0], op) if len(indices) == 1 else f'{op} x{len(indices)}'}{': ' if reason else ''}{reason}"
        for (op, reason), indices in groups.items()
    ]


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that an unknown one was probably meant to be, or None; the first that begins with it, if any."""
    names = list(known)
    begun = [name for name in names if len(word) >= BEGINNING and name.startswith(word)]
    near = begun or difflib.get_close_matches(word, names, n=1)
    return near[0] if near else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """What would have been right in place of an unknown word: `did you mean 'host'? One of bus, host`."""
    names = list(known)
    if not names:
        return "there are none"
    near = nearest(word, names)
    return f"{f'did you mean {near!r}? One' if near else 'one'} of {', '.join(names)}"
