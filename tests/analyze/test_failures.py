"""Why points of a campaign failed."""

from __future__ import annotations

import pandas as pd

from paraedge.analyze.failures import failure_kinds


def runs(*rows: tuple[str, int, str | None]) -> pd.DataFrame:
    """Rows of (spec_id, attempt, error), good where there is no error."""
    return pd.DataFrame(
        [
            {"spec_id": name, "device": "edgetpu:0", "round": 1, "attempt": attempt, "error": error,
             "status": "failed" if error else "ok"}
            for name, attempt, error in rows
        ]
    )  # fmt: skip


def test_kinds_are_counted_the_commonest_first() -> None:
    found = failure_kinds(
        runs(
            ("a", 1, "load: CpuOps: 1 of 3 ops"),
            ("b", 1, "compile: NoCompiler: get one"),
            ("c", 1, None),
            ("d", 1, "compile: NoCompiler: get another"),
        )
    )
    assert [(one.kind, one.count) for one in found] == [("compile: NoCompiler", 2), ("load: CpuOps", 1)]
    assert found[0].text() == "2 failed: compile: NoCompiler: get one"


def test_only_the_last_attempt_counts() -> None:
    assert failure_kinds(runs(("a", 1, "run: Killed: gone"), ("a", 2, None))) == ()
    assert [one.count for one in failure_kinds(runs(("a", 1, "run: X: y"), ("a", 2, "run: X: z")))] == [1]
