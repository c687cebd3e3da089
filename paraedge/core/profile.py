"""Profile: where a model's time goes, op by op."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from paraedge.core.device import Origin, Target


@dataclass(frozen=True, kw_only=True)
class OpTime:
    """Ops of a model that are alike, and the time that one of them takes alone, or its part of a prediction.

    op: TFLite's name; names joined by ` + ` for ops that can't be cut apart. indices: where they are, the first of each
    piece; the first of them is the one that was timed. length: ops in a piece. macs: of one piece, None where unknown.
    latency_ms: of one, with its 95 % interval where there is one; None where it can't run alone or where a prediction
    leaves it out, and `error` says why.
    terms: of a simulated op, what its latency is made of.
    """

    op: str
    indices: tuple[int, ...]
    length: int = 1
    macs: int | None
    latency_ms: float | None
    low_ms: float | None = None
    high_ms: float | None = None
    terms: Mapping[str, float] = field(default_factory=dict)
    error: str | None = None

    @property
    def total_ms(self) -> float | None:
        """Of all of them."""
        return None if self.latency_ms is None else self.latency_ms * len(self.indices)

    @property
    def total_macs(self) -> int | None:
        """Of all of them."""
        return None if self.macs is None else self.macs * len(self.indices)


@dataclass(frozen=True, kw_only=True)
class Profile:
    """A model's ops on a device, and the whole of it.

    other_ms: of a simulated device, what belongs to no op: transfers and overhead. whole_ms: of an invoke of the whole
    model, with its interval. least_ms: its fastest block, if measured. untimed: what the whole leaves out too.
    """

    target: Target
    origin: Origin
    ops: tuple[OpTime, ...]
    other_ms: Mapping[str, float]
    whole_ms: float
    low_ms: float | None
    high_ms: float | None
    least_ms: float | None = None
    untimed: tuple[str, ...] = ()

    @property
    def pieces(self) -> int:
        """Ops, those that can't be cut apart as one."""
        return sum(len(one.indices) for one in self.ops)

    @property
    def failed(self) -> tuple[OpTime, ...]:
        """Ops that have no time: `added_ms` is without them."""
        return tuple(one for one in self.ops if one.latency_ms is None)

    @property
    def added_ms(self) -> float:
        """All ops, and what belongs to none."""
        return sum(one.total_ms or 0.0 for one in self.ops) + sum(self.other_ms.values())

    @property
    def fixed_ms(self) -> float:
        """Of each op's time, what an invoke takes whatever it does; 0 where ops have parts of a prediction."""
        quickest_ms = min((one.latency_ms for one in self.ops if one.latency_ms is not None), default=0.0)
        is_measured = self.origin is Origin.MEASURED and not self.failed
        return fixed_invoke_ms(self.added_ms, self.whole_ms, self.pieces, quickest_ms) if is_measured else 0.0

    def share(self, chosen: Iterable[OpTime]) -> float:
        """What of the sum over all ops, without the fixed time of each, is theirs: from 0 to 1."""
        fixed_ms = self.fixed_ms
        own_ms = self.added_ms - fixed_ms * self.pieces
        total_ms = sum((one.latency_ms - fixed_ms) * len(one.indices) for one in chosen if one.latency_ms is not None)
        return total_ms / own_ms if own_ms > 0 else 0.0


def fixed_invoke_ms(added_ms: float, whole_ms: float, pieces: int, quickest_ms: float) -> float:
    """What an invoke takes whatever it does, as pieces timed alone have it once each, and the whole once.

    What the pieces take together beyond the whole, spread over all of them but one; at most what the quickest takes.
    """
    return min(max(0.0, added_ms - whole_ms) / max(pieces - 1, 1), quickest_ms) if pieces > 1 else 0.0


@dataclass(frozen=True, kw_only=True)
class KindTime:
    """All ops of a kind. share: as `Profile.share` gives it. macs: None where they are unknown for any."""

    op: str
    count: int
    total_ms: float
    share: float
    macs: int | None

    @property
    def gops_per_s(self) -> float | None:
        """2 x MACs by time, 1e9 a second; None for ops that have none."""
        return 2e-6 * self.macs / self.total_ms if self.macs and self.total_ms > 0 else None


def by_kind(profile: Profile) -> tuple[KindTime, ...]:
    """The ops by their kind, the slowest kind first; those that have no time are left out."""
    groups: dict[str, list[OpTime]] = {}
    for one in profile.ops:
        if one.latency_ms is not None:
            groups.setdefault(one.op, []).append(one)
    kinds = []
    for op, members in groups.items():
        macs = [one.total_macs for one in members]
        kinds.append(
            KindTime(
                op=op,
                count=sum(len(one.indices) for one in members),
                total_ms=sum(one.total_ms or 0.0 for one in members),
                share=profile.share(members),
                macs=None if None in macs else sum(count or 0 for count in macs),
            )
        )
    return tuple(sorted(kinds, key=lambda kind: (-kind.total_ms, kind.op)))
