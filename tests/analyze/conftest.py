"""Tables made like a campaign's runs, with numbers chosen by hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

COLUMNS = """
run_id spec_id family layer node kernel precision batch batch_mode device origin round attempt threads kernels
status stop_reason latency_median_ms latency_low_ms latency_high_ms latency_p90_ms latency_p99_ms
latency_mean_ms latency_min_ms samples set_ms get_ms open_ms first_ms macs parameters weight_bytes
activation_bytes input_bytes output_bytes file_bytes on_chip_bytes off_chip_bytes placement gops_per_s
examples_per_s temperature_c warnings compute_ms weights_ms input_ms output_ms instructions_ms overhead_ms
cpu_ms instruction_bytes link_bytes error
""".split()

MakeRuns = Callable[..., pd.DataFrame]


def run(**given: object) -> dict[str, object]:
    """One row; what isn't given is a plausible value or empty."""
    row: dict[str, object] = dict.fromkeys(COLUMNS)
    row |= {
        "spec_id": "a", "family": "fc", "layer": 4, "node": 64, "precision": "int8", "batch": 1, "batch_mode": "native",
        "device": "cpu", "origin": "measured", "round": 0, "attempt": 1, "threads": 1, "kernels": "xnnpack",
        "status": "ok", "latency_median_ms": 1.0, "macs": 1000, "parameters": 1000, "weight_bytes": 1000,
        "activation_bytes": 100, "input_bytes": 64, "output_bytes": 10, "samples": 10,
    }  # fmt: skip
    row |= given
    row["run_id"] = f"{row['spec_id']}-{row['device']}-{row['round']}-{row['attempt']}"
    if row["status"] != "ok":
        row["latency_median_ms"] = row["samples"] = None
    return row


def make_runs(*rows: dict[str, object]) -> pd.DataFrame:
    """Rows as `runs.csv` has them, with the types that reading it gives."""
    from io import StringIO

    text = pd.DataFrame(rows, columns=COLUMNS).to_csv(index=False)
    return pd.read_csv(StringIO(text), dtype={"spec_id": str, "error": str, "warnings": str, "kernels": str})


@pytest.fixture(name="run")
def run_fixture() -> Callable[..., dict[str, object]]:
    return run


@pytest.fixture(name="make_runs")
def make_runs_fixture() -> MakeRuns:
    return make_runs


@pytest.fixture
def generator() -> np.random.Generator:
    return np.random.default_rng(20260714)
