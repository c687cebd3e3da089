"""Bytes of instructions: what is counted, by hand, and whether a fit of made-up models gives their costs back."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from paraedge.calibrate.instructions import KINDS, CompiledModel, compiled_rows, fit_instructions, left_out_ratios
from paraedge.simulate import load_hardware

BYTES = dict(zip(KINDS, (1200.0, 4300.0, 8.5, 90_000.0), strict=True))


def made(amounts: Sequence[float], factor: float = 1.0, older: bool = False) -> CompiledModel:
    """A model of these amounts, as many bytes as `BYTES` says times the factor."""
    size = sum(amount * cost for amount, cost in zip(amounts, BYTES.values(), strict=True))
    return CompiledModel(
        name=f"{amounts}{factor}", older=older, amounts=tuple(amounts), size_bytes=round(size * factor)
    )


@pytest.fixture
def models() -> list[CompiledModel]:
    """Forty of mixed kinds."""
    draw = random.Random(5)
    return [
        made((draw.randint(1, 90), draw.randint(0, 12), draw.choice((0, 64, 256, 1024)), draw.choice((0, 1))))
        for _ in range(40)
    ]


def test_constants_come_back(models: list[CompiledModel]) -> None:
    assert fit_instructions(models) == pytest.approx(BYTES, rel=1e-3)  # bytes are whole


def test_wild_models_do_not_move_them(models: list[CompiledModel]) -> None:
    draw = random.Random(6)
    rows = [made(row.amounts, draw.lognormvariate(0, 0.03)) for row in models]
    rows[::10] = [made(row.amounts, 4.0) for row in rows[::10]]
    assert fit_instructions(rows) == pytest.approx(BYTES, rel=0.1)


def test_kinds_that_no_model_has_are_left_out(models: list[CompiledModel]) -> None:
    plain = [made((*row.amounts[:2], 0, 0)) for row in models]
    assert set(fit_instructions(plain)) == set(KINDS[:2])


def test_left_out_models_are_predicted_by_the_others_of_their_compiler(models: list[CompiledModel]) -> None:
    plain = [made((*row.amounts[:3], 0)) for row in models]
    alone = made((10, 0, 0, 1))
    older = [made(row.amounts, 3.0, older=True) for row in models[:20]]
    ratios = left_out_ratios([*plain, alone, *older])
    assert alone.name not in ratios  # nothing else tells what its SOFTMAX costs
    assert len(ratios) == len({row.name for row in plain}) + len({row.name for row in older})
    assert list(ratios.values()) == pytest.approx([1.0] * len(ratios), rel=0.01)
    off = CompiledModel(name="off", older=False, amounts=(30, 4, 0, 0), size_bytes=500_000)
    assert left_out_ratios([*plain, off])["off"] == pytest.approx((30 * 1200 + 4 * 4300) / 500_000, rel=0.01)


def test_amounts_by_hand(edgetpu_data: Path) -> None:
    """MobileNetV1: 1 convolution, 13 depthwise and 13 pointwise, pooling, logits, RESHAPE, SOFTMAX make 31 ops.

    Borders: depthwise layers whose output doesn't divide by 4. At 192 pixels, 6 x 6 for the last two; at 160, 10 x 10
    for six and 5 x 5 for two; at 128, none.
    """
    rows = compiled_rows(edgetpu_data, load_hardware("sim-edgetpu-pcie"))
    found = {(row.name, row.older): row.amounts for row in rows}
    assert found["mobilenet_v1_0.25_128_quant", False] == (31, 0, 0, 1)
    assert found["mobilenet_v1_0.75_192_quant", False] == (31, 2, 0, 1)
    assert found["mobilenet_v1_0.5_160_quant", False] == (31, 8, 0, 1)
    assert found["dense_256", False] == (1, 0, 256, 0)
    assert found["dense_1024", False] == (1, 0, 1024, 0)
    assert {row.older for row in rows} == {True, False}
    assert not any("cocompiled" in row.name for row in rows)


def test_the_fit_of_the_published_models(edgetpu_data: Path) -> None:
    rows = compiled_rows(edgetpu_data, load_hardware("sim-edgetpu-pcie"))
    ratios = left_out_ratios(rows)
    off = sorted(abs(ratio - 1) for ratio in ratios.values())
    assert len(off) >= 15
    assert off[len(off) // 2] < 0.1
