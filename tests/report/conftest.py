"""Made-up campaigns in the archive's columns: a cache cliff, noise, failures, measured and simulated devices."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

CPU = "cpu"
SIMULATED = ("sim-edgetpu-pcie", "sim-edgetpu-usb3", "sim-edgetpu-usb2", "sim-edgetpu-devboard")
STREAM_MS_PER_MIB = {
    "sim-edgetpu-pcie": 2.7,
    "sim-edgetpu-usb3": 2.3,
    "sim-edgetpu-usb2": 28.0,
    "sim-edgetpu-devboard": 2.8,
}
FLOOR_MS = {"sim-edgetpu-pcie": 0.08, "sim-edgetpu-usb3": 0.3, "sim-edgetpu-usb2": 0.6, "sim-edgetpu-devboard": 0.12}
COLUMNS = (
    "run_id spec_id family layer node input output kind block filter image kernel channel n cell embed model precision "
    "batch "
    "batch_mode device "
    "origin round attempt threads kernels status stop_reason latency_median_ms latency_low_ms latency_high_ms "
    "latency_p90_ms latency_p99_ms latency_mean_ms latency_min_ms samples set_ms get_ms open_ms first_ms macs "
    "parameters "
    "weight_bytes activation_bytes input_bytes output_bytes file_bytes on_chip_bytes off_chip_bytes placement "
    "placed gops_per_s "
    "examples_per_s temperature_c warnings compute_ms weights_ms input_ms output_ms instructions_ms overhead_ms cpu_ms "
    "instruction_bytes link_bytes error"
).split()
NUMBERS = [name for name in COLUMNS if name.endswith(("_ms", "_bytes", "_per_s", "_c"))]
MEMORY_ERROR = "open: MemoryError: SIGKILL: tensors of <script>alert('x')</script> & more did not fit"


@dataclass
class MadeCampaign:
    """Stands in for archive.Campaign."""

    name: str
    folder: Path
    runs: pd.DataFrame
    meta: dict[str, Any] = field(default_factory=dict)

    def samples(self) -> pd.DataFrame:
        return pd.DataFrame(columns=["run_id", "block", "invokes", "block_ns"])


def specs() -> Iterator[dict[str, Any]]:
    """About 60 points of four families."""
    for layer, node in itertools.product((1, 2, 4, 8), (64, 256, 512, 1024, 1536, 2048)):
        size = 64 * node + (layer - 1) * node * node + node * 10
        yield {
            "family": "fc",
            "layer": layer,
            "node": node,
            "input": 64,
            "output": 10,
            "macs": size,
            "parameters": size,
        }
    for kind, block, filters in itertools.product(("residual", "bottleneck"), (1, 2), (8, 16, 32)):
        size = 4000 * block * filters * filters // 8
        yield {
            "family": "cnn", "kind": kind, "block": block, "filter": filters, "image": 64, "output": 100,
            "macs": size * 150, "parameters": size,
        }  # fmt: skip
    for layer, filters in itertools.product((2, 5), (16, 32, 64, 128, 256)):
        size = 9 * filters * filters * layer
        yield {
            "family": "conv_stack", "layer": layer, "filter": filters, "kernel": 3, "image": 32, "channel": 3,
            "macs": size * 1024, "parameters": size,
        }  # fmt: skip
    for n, batch in itertools.product((64, 128, 256, 512, 1024), (1, 8)):
        yield {"family": "matmul", "n": n, "batch": batch, "macs": n * n * batch, "parameters": n * n + n}


def latency(point: dict[str, Any], device: str, noise: np.random.Generator) -> dict[str, Any]:
    size, macs = point["parameters"], point["macs"]
    if device == CPU:
        rate = 8e6 if size < 2e6 else 3e6  # MACs a millisecond; slower once weights leave the cache
        middle = (0.0005 + macs / rate) * float(noise.normal(1, 0.03))
        return {"latency_median_ms": middle}
    batch = point.get("batch", 1)
    off_chip = size if size > 7.8 * 2**20 else 0
    terms = {
        "compute_ms": macs / 1e9,
        "weights_ms": off_chip / 2**20 * STREAM_MS_PER_MIB[device] * batch,
        "input_ms": 10_000 / 2**20 * STREAM_MS_PER_MIB[device] * batch,
        "output_ms": 0.001 * batch,
        "instructions_ms": 0.01 * batch,
        "overhead_ms": FLOOR_MS[device] * batch,
        "cpu_ms": 0.0,
    }
    link = (off_chip + 10_000) * batch
    return {
        **terms, "latency_median_ms": sum(terms.values()), "on_chip_bytes": size - off_chip, "off_chip_bytes": off_chip,
        "placement": "estimated", "instruction_bytes": 9_000, "link_bytes": link, "first_ms": 3.0,
    }  # fmt: skip


def rows(
    points: Iterable[dict[str, Any]], device: str, rounds: int, noise: np.random.Generator
) -> Iterator[dict[str, Any]]:
    simulated = device != CPU
    for (index, point), number in itertools.product(enumerate(points), range(1, (1 if simulated else rounds) + 1)):
        row: dict[str, Any] = {
            "batch": 1,
            **point,
            "precision": "int8",
            "device": device,
            "round": number,
            "attempt": 1,
        }
        row |= {
            "run_id": f"{device}-{index}-{number}",
            "spec_id": f"{index:016x}",
            "origin": "simulated" if simulated else "measured",
            "batch_mode": "looped" if simulated else "native",
            "threads": None if simulated else 1,
            "kernels": None if simulated else "xnnpack",
            "weight_bytes": point["parameters"],
            "activation_bytes": 20_000,
            "input_bytes": 64,
            "output_bytes": 10,
            "file_bytes": None if simulated else point["parameters"] + 3000,
        }
        if (
            point["family"] == "fc"
            and point["layer"] == 8
            and point["node"] == 2048
            and device in (CPU, "sim-edgetpu-usb2")
        ):
            yield row | {
                "status": "failed",
                "error": MEMORY_ERROR,
                "macs": point["macs"],
                "parameters": point["parameters"],
            }
            continue
        row |= latency(row, device, noise)
        middle = row["latency_median_ms"]
        spread = {"low": 0.99, "high": 1.01, "p90": 1.02, "p99": 1.1, "mean": 1.003, "min": 0.97}
        row |= {f"latency_{name}_ms": middle * (1 if simulated else factor) for name, factor in spread.items()}
        row |= {
            "status": "ok",
            "stop_reason": "simulated" if simulated else "time_budget",
            "samples": 1 if simulated else 20,
            "gops_per_s": 2 * row["macs"] / middle / 1e6,
            "examples_per_s": row["batch"] / middle * 1e3,
        }
        yield row


def roof(name: str, kind: str, level: str, value: float, origin: str, capacity: int | None = None) -> dict[str, Any]:
    unit = {"compute": "gops_per_s", "bandwidth": "gb_per_s", "floor": "ms"}[kind]
    return {
        "name": name, "kind": kind, "level": level, "value": value, "unit": unit, "origin": origin,
        "capacity_bytes": capacity, "source": "a probe",
    }  # fmt: skip


def roofs(device: str) -> list[dict[str, Any]]:
    if device == CPU:
        return [
            roof("int8 peak", "compute", "int8", 140.0, "measured"),
            roof("float32 peak", "compute", "float32", 60.0, "measured"),
            roof("L1 bandwidth", "bandwidth", "L1", 120.0, "measured", 48 * 2**10),
            roof("L2 bandwidth", "bandwidth", "L2", 60.0, "measured", 2**20),
            roof("L3 bandwidth", "bandwidth", "L3", 30.0, "measured", 32 * 2**20),
            roof("DRAM bandwidth", "bandwidth", "DRAM", 14.0, "measured"),
            roof("shortest invoke", "floor", "int8", 0.0005, "measured"),
        ]
    link = 1.05 * 2**20 / STREAM_MS_PER_MIB[device] / 1e6
    return [
        roof("int8 peak", "compute", "int8", 4096.0, "simulated"),
        roof("host link", "bandwidth", "host link", link, "simulated"),
        roof("on chip", "bandwidth", "on chip", 64.0, "simulated", 8 * 2**20),
        roof("shortest invoke", "floor", "int8", FLOOR_MS[device], "simulated"),
    ]


def make(
    folder: Path,
    *,
    name: str = "made",
    devices: Sequence[str] = (CPU, *SIMULATED),
    points: Sequence[dict[str, Any]] | None = None,
    rounds: int = 3,
    seed: int = 1,
) -> MadeCampaign:
    """A campaign of `points` (default: about 60 of four families) on `devices`."""
    noise = np.random.default_rng(seed)
    chosen = list(specs()) if points is None else list(points)
    runs = pd.DataFrame(itertools.chain.from_iterable(rows(chosen, d, rounds, noise) for d in devices), columns=COLUMNS)
    runs[NUMBERS] = runs[NUMBERS].astype(float)
    meta = {
        "schema": 1,
        "environment": {
            "time_utc": "2025-06-01T12:00:00+00:00",
            "cpu": {"model": "Example CPU @ 2.10 GHz", "usable_cores": 2, "governor": None},
            "memory": {"total_bytes": 16 * 2**30},
            "versions": {"ai-edge-litert": "2.0.2", "numpy": "2.3.0", "paraedge": "0.1.0", "scipy": None},
            "system": {"platform": "Linux 6.1", "machine": "x86_64"},
            "command": ["paraedge", "run", "quick"], "git_revision": "faa98a4",
        },
        "devices": {label(d): {"id": d, "origin": "measured" if d == CPU else "simulated"} for d in devices},
        "roofs": {label(d): roofs(d) for d in devices},
        "sweep": f'name = "{name}"\ndevices = {list(devices)}\n',
        "invocations": [{"wall_s": 60.0, "timed_s": 45.0}],
    }  # fmt: skip
    return MadeCampaign(name, folder, runs, meta)


def label(device: str) -> str:
    return "cpu threads=1 kernels=xnnpack" if device == CPU else device


@pytest.fixture(scope="session")
def make_campaign() -> Any:
    """The function that makes campaigns."""
    return make


@pytest.fixture(scope="session")
def made_specs() -> list[dict[str, Any]]:
    """The points of a made campaign."""
    return list(specs())
