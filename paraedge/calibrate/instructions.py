"""Bytes of instructions, fitted to compiled models whose originals are at hand; a compiler before 16 and 16 apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import nnls

from paraedge import models
from paraedge.build.compiler_placement import compiler_placement
from paraedge.calibrate.changed import changed
from paraedge.calibrate.jackknife import around
from paraedge.calibrate.lines import read_lines
from paraedge.core.errors import BadInput
from paraedge.core.graph import Layer, LayerGraph
from paraedge.core.spec import ModelSpec
from paraedge.models.matmul import MatmulParams
from paraedge.simulate.constants import Hardware
from paraedge.simulate.steps import UNTIMED_OPS
from paraedge.simulate.traffic import instruction_bytes
from paraedge.tflite import read_graph

COMPILED = "compiled_models.csv"
KINDS = (
    "instruction_bytes_per_op",
    "instruction_bytes_per_border",
    "instruction_bytes_per_unit",
    "instruction_bytes_per_softmax",
)
PASSES, SCATTER = 30, 0.05
DENSE = {"dense_256": 256, "dense_512": 512, "dense_1024": 1024}
"""Published templates of one fully connected layer, square, known by their name; their originals aren't published."""


@dataclass(frozen=True, kw_only=True)
class CompiledModel:
    """A compiled model: how many of each kind its layers on the device have, and the bytes that were counted.

    older: by a compiler before 16, which left its cycle estimate in the file.
    """

    name: str
    older: bool
    amounts: tuple[float, ...]
    size_bytes: int


def compiled_rows(folder: Path, hardware: Hardware) -> list[CompiledModel]:
    """Rows of the table whose network is at hand, each compiled file once; raises BadInput."""
    found: dict[tuple[str, bool], CompiledModel] = {}
    for line in read_lines(folder / COMPILED)[1]:
        file = line.text("file")
        name = Path(file).name.removesuffix("_edgetpu.tflite")
        older = line.text("est_cycles64") != "" and line.amount("est_cycles64") != 0
        layers = None if line.text("type") != "EXEC_ONLY" or "cocompil" in file else _mapped(folder, name, older)
        if layers is not None:
            graph, chosen = layers
            amounts = tuple(_amount(graph, chosen, kind, hardware) for kind in KINDS)
            size_bytes = line.whole("instr_bytes")
            found[name, older] = CompiledModel(name=name, older=older, amounts=amounts, size_bytes=size_bytes)
    if {older for _, older in found} != {True, False}:
        raise BadInput(f"{folder / COMPILED} has no model of both compilers whose file is in {folder / 'models'}")
    return list(found.values())


def fit_instructions(rows: Sequence[CompiledModel]) -> dict[str, float]:
    """Bytes a kind, by robust non-negative least squares on relative errors; kinds that no row has are left out."""
    amounts = np.array([row.amounts for row in rows], dtype=float)
    sizes = np.array([row.size_bytes for row in rows], dtype=float)
    used = np.flatnonzero(amounts.any(axis=0))
    shares, weights = amounts[:, used] / sizes[:, None], np.ones(len(rows))
    for _ in range(PASSES):
        values, _ = nnls(shares * weights[:, None], weights)
        weights = np.sqrt(np.minimum(1.0, SCATTER / np.maximum(np.abs(shares @ values - 1), 1e-9)))
    return {KINDS[kind]: float(value) for kind, value in zip(used, values, strict=True)}


def fit_intervals(rows: Sequence[CompiledModel]) -> dict[str, tuple[float, float]]:
    """1.96 standard errors about each value of `fit_instructions`, by a jackknife over the models."""
    whole = fit_instructions(rows)
    others = [fit_instructions([other for other in rows if other is not row]) for row in rows]
    return {name: around(value, [fit.get(name, value) for fit in others]) for name, value in whole.items()}


def left_out_ratios(rows: Sequence[CompiledModel]) -> dict[str, float]:
    """Predicted / counted bytes of each model, by a fit of its compiler's others; those alone of a kind are absent."""
    ratios = {}
    for row in rows:
        others = [other for other in rows if other.older == row.older and other is not row]
        costs = fit_instructions(others)
        if all(kind in costs for kind, amount in zip(KINDS, row.amounts, strict=True) if amount):
            predicted = sum(costs.get(kind, 0.0) * amount for kind, amount in zip(KINDS, row.amounts, strict=True))
            ratios[f"{row.name}{', older' if row.older else ''}"] = predicted / row.size_bytes
    return ratios


def _amount(graph: LayerGraph, layers: Sequence[Layer], kind: str, hardware: Hardware) -> float:
    one = changed(hardware, **{other: float(other == kind) for other in KINDS})
    return float(instruction_bytes(graph.tensors, layers, one))


def _mapped(folder: Path, name: str, older: bool) -> tuple[LayerGraph, list[Layer]] | None:
    if name in DENSE:
        graph = models.build_graph(ModelSpec(family="matmul", params=MatmulParams(n=DENSE[name])))
        return graph, list(graph.layers)
    place = folder / "models"
    originals = [place / "older_compile" / f"{name}.tflite", place / f"{name}.tflite"][not older :]
    twins = [path for path in (place / "older_compile", place) if (path / f"{name}_edgetpu.tflite").is_file()]
    original = next((path for path in originals if path.is_file()), None)
    if original is None or not twins:
        return None
    graph = read_graph(original)
    placement = compiler_placement(graph, [twins[-1] / f"{name}_edgetpu.tflite"], ())
    layers = [graph.layers[index] for index in placement.on_device]
    return None if any(layer.op in UNTIMED_OPS for layer in layers) else (graph, layers)
