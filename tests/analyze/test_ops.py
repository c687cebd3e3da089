"""Shares of ops: against sums done by hand."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from paraedge.analyze.ops import OVERHEAD, STREAMED, TRANSFERS, breakdown
from paraedge.archive.ops import read_ops


def line(spec: str, part: str, ms: float | None, op: str = "", **cells: object) -> dict[str, object]:
    same: dict[str, object] = {"spec_id": spec, "family": "fc", "precision": "int8", "batch": 1}
    target = {"device": "cpu", "origin": "measured", "threads": 1, "kernels": "xnnpack"}
    known = {"op_index": 0, "op_count": 1, "op_length": 1, "macs": None, "latency_low_ms": None, "latency_min_ms": None}
    terms = {"compute_ms": None, "weights_ms": None, "error": None}
    return {**same, **target, "part": part, "op": op or None, "latency_ms": ms, **known, **terms, **cells}


def test_shares_are_without_what_invokes_cost() -> None:
    table = pd.DataFrame(
        [
            line("a", "op", 0.2, "ADD", op_count=4, macs=0),
            line("a", "op", 1.2, "CONV_2D", macs=50),
            line("a", "whole", 1.6),
            line("b", "op", 1.0, "CONV_2D", op_count=2, macs=7),
            line("b", "whole", 4.0, latency_min_ms=2.5),
        ]
    )
    found = breakdown(table)
    fixed_ms = (2.0 - 1.6) / 4
    assert found.models["added_ms"].tolist() == [2.0, 2.0]
    assert found.models["ratio"].tolist() == pytest.approx([1.25, 0.5])
    assert found.models["least_ms"].tolist() == [1.6, 2.5]
    assert found.models["macs"].tolist() == [50, 14]
    own_ms = 2.0 - 5 * fixed_ms
    assert found.shares["ADD"].tolist() == pytest.approx([4 * (0.2 - fixed_ms) / own_ms, 0])
    assert found.shares["CONV_2D"].tolist() == pytest.approx([(1.2 - fixed_ms) / own_ms, 1])
    assert list(found.shares.columns) == ["CONV_2D", "ADD"]
    assert found.mean()["CONV_2D"] == pytest.approx(found.shares["CONV_2D"].sum() / 2)
    alone = found.of(found.models["spec_id"] == "b")
    assert list(alone.shares.columns) == ["CONV_2D"]


def test_terms_of_a_prediction_are_parts() -> None:
    simulated = {"origin": "simulated", "device": "sim"}
    table = pd.DataFrame(
        [
            line("a", "op", 3.0, "CONV_2D", op_count=2, compute_ms=1.0, weights_ms=2.0, **simulated),
            line("a", "op", 1.0, "ADD", compute_ms=1.0, **simulated),
            *(
                line("a", "term", 0.5, name, **simulated)
                for name in ("stream_setup", "input", "output", "instructions")
            ),
            line("a", "term", 1.0, "overhead", **simulated),
            line("a", "whole", 10.0, **simulated),
        ]
    )
    found = breakdown(table)
    assert found.models["ratio"].tolist() == [1.0]
    shares = found.shares.iloc[0].to_dict()
    assert shares == pytest.approx({"CONV_2D": 0.2, "ADD": 0.1, STREAMED: 0.45, TRANSFERS: 0.15, OVERHEAD: 0.1})


def test_models_that_lack_an_op_are_left_out_and_counted() -> None:
    table = pd.DataFrame(
        [
            line("a", "op", 1.0, "ADD"),
            line("a", "op", None, "MUL", error="run: no"),
            line("a", "whole", 2.0),
            line("b", "op", 1.0, "ADD"),
            line("b", "whole", 1.0),
            line("c", "whole", None, error="run: no"),
        ]
    )
    found = breakdown(table)
    assert found.models["spec_id"].tolist() == ["b"]
    assert found.incomplete == 1


def test_a_prediction_without_its_products_is_no_breakdown() -> None:
    same = {"origin": "simulated", "device": "sim", "threads": None, "kernels": None}
    table = pd.DataFrame(
        [
            line("a", "op", 1.0, "RESHAPE", macs=0, **same),
            line("a", "op", None, "FULLY_CONNECTED", macs=100, error="on the CPU, batch above 1", **same),
            line("a", "whole", 1.0, **same),
            line("b", "op", 3.0, "CONV_2D", macs=100, **same),
            line("b", "op", None, "SOFTMAX", macs=0, error="on the CPU", **same),
            line("b", "whole", 3.0, **same),
        ]
    )
    found = breakdown(table)
    assert found.models["spec_id"].tolist() == ["b"]
    assert found.shares.iloc[0].to_dict() == {"CONV_2D": 1.0}
    assert found.incomplete == 1


def test_no_lines_are_no_models(tmp_path: Path) -> None:
    found = breakdown(read_ops(tmp_path))
    assert len(found.models) == len(found.shares) == found.incomplete == 0
