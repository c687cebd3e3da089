"""Why points failed, the commonest reason first."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from paraedge.analyze.points import last_attempts


@dataclass(frozen=True, kw_only=True)
class FailureKind:
    """Failed rows of one kind, `stage: error`. example: what the first of them says in full."""

    kind: str
    count: int
    example: str

    def text(self) -> str:
        """`3 failed: compile: NoCompiler: ...`; with more than one message, the first stands for all."""
        return f"{self.count} failed: {self.example}"


def failure_kinds(runs: pd.DataFrame) -> tuple[FailureKind, ...]:
    """Kinds of failure among the last attempts of a campaign's runs, the commonest first; empty where none failed."""
    last = last_attempts(runs)
    errors = last.loc[last["status"] != "ok", "error"].fillna("no reason was kept").astype(str)
    kinds = errors.str.split(": ").str[:2].str.join(": ")
    return tuple(
        FailureKind(kind=str(kind), count=int(count), example=errors[kinds == kind].iloc[0])
        for kind, count in kinds.value_counts().items()
    )
