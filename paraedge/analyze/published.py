"""Published runs on one and two Edge TPUs as a table, for the axes of our own; the file is not ours to ship."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from paraedge.analyze.table import load_points, require_columns
from paraedge.core.errors import BadInput

FILE = "synthetic_sweeps.csv"
FAMILIES = {"FC": "fc", "CONV": "conv_stack"}
STRATEGIES = {"compiler default": "params", "default rule": "params", "profiled": "profiled"}
TEXTS = ("kind", "segmentation", "onchip_mib_per_segment", "offchip_mib_per_segment")
NUMBERS = ("filters_or_neurons", "macs", "tpus", "batch", "ms_per_input")


def published_speedups(path: Path) -> pd.DataFrame:
    """Two-device rows of the published synthetic sweeps over one device's row of the same size and kind.

    path: `synthetic_sweeps.csv`, or its folder. Columns: `family`, `size` (units or filters), `macs`, `weight_mib` (on
    and off chip, as the devices store it), `segments`, `strategy`, `inputs`, `ms`, `single_ms`, `speedup`. Their
    convolutions have 8 input channels on two devices and 3 on one, which moves the first layer only.
    Source: Jorgitou98/EdgeTPU-QuantRL-Evaluation, by way of that file. Raises BadInput for a file without the columns.
    """
    file = path / FILE if path.is_dir() else path
    if not file.is_file():
        raise BadInput(f"no published rows at {path}: name {FILE} or the folder that it is in")
    table = load_points(file)
    require_columns(table, [*TEXTS], str(file))
    require_columns(table, [*NUMBERS], str(file), numeric=True)
    table = table.assign(
        family=table["kind"].map(FAMILIES), strategy=table["segmentation"].map(STRATEGIES), weight_mib=_mib(table, file)
    ).rename(columns={"filters_or_neurons": "size", "tpus": "segments", "batch": "inputs", "ms_per_input": "ms"})
    single = table[table["segments"] == 1].groupby(["family", "size"])["ms"].median().rename("single_ms")
    several = table[(table["segments"] > 1) & table["family"].notna()].join(single, on=["family", "size"])
    found = several[several["single_ms"].notna()].reset_index(drop=True)
    columns = ["family", "size", "macs", "weight_mib", "segments", "strategy", "inputs", "ms", "single_ms"]
    return found[columns].assign(speedup=found["single_ms"] / found["ms"])


def _mib(table: pd.DataFrame, file: Path) -> pd.Series[float]:
    try:
        parts = [table[name].astype(str).map(lambda text: sum(map(float, text.split(";")))) for name in TEXTS[2:]]
    except ValueError:
        raise BadInput(f"{file}: {TEXTS[2]} and {TEXTS[3]} must be MiB of each segment, with ; between them") from None
    return parts[0] + parts[1]
