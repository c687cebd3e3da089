"""ops.csv: what is written is read, and what a kill or a failure leaves is taken out."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paraedge.archive.columns import names, op_columns
from paraedge.archive.ops import OPS_FILE, OpsTable, read_ops
from paraedge.core.device import Origin, Target
from paraedge.core.errors import BadCampaign
from paraedge.core.outcome import Failure
from paraedge.core.profile import OpTime, Profile
from paraedge.core.spec import ModelSpec
from paraedge.models.fc import FcParams

CPU = Target(device="cpu", threads=2, kernels="xnnpack")
SIM = Target(device="sim-edgetpu-usb3")
SPECS = [ModelSpec(family="fc", params=FcParams(widths=(16, layer), output=4)) for layer in (8, 9)]
PARAMETERS = ("input", "layer", "node", "output", "widths")


def profile(target: Target = CPU) -> Profile:
    alone = OpTime(op="FULLY_CONNECTED", indices=(0, 2), macs=10, latency_ms=0.5, low_ms=0.4, high_ms=0.6)
    joined = OpTime(op="A,B + C", indices=(3,), length=2, macs=None, latency_ms=None, error="run: no")
    predicted = OpTime(
        op="ADD", indices=(1,), macs=0, latency_ms=3.0, terms={"compute_ms": 1.0, "weights_ms": 2.0}
    )  # fmt: skip
    return Profile(
        target=target, origin=Origin.MEASURED, ops=(alone, joined, predicted), other_ms={"input_ms": 0.25},
        whole_ms=4.5, low_ms=4.0, high_ms=5.0, least_ms=3.5,
    )  # fmt: skip


def test_what_is_written_is_read(tmp_path: Path) -> None:
    table = OpsTable(tmp_path, PARAMETERS)
    table.append(SPECS[0], CPU, Origin.MEASURED, profile())
    assert not table.has(SPECS[1], CPU)
    found = read_ops(tmp_path)
    assert list(found.columns) == list(names(op_columns(PARAMETERS)))
    assert list(found["part"]) == ["op", "op", "op", "term", "whole"]
    assert set(found["spec_id"]) == {SPECS[0].spec_id}
    assert list(found["widths"].unique()) == ["16x8"]
    assert list(found["op"][:4]) == ["FULLY_CONNECTED", "A,B + C", "ADD", "input"]
    assert list(found["op_index"][:3]) == [0, 3, 1]
    assert list(found["op_count"][:4]) == [2, 1, 1, 1]
    assert list(found["op_length"][:3]) == [1, 2, 1]
    assert list(found["latency_ms"].fillna(-1)) == [0.5, -1, 3.0, 0.25, 4.5]
    assert found.loc[4, ["latency_low_ms", "latency_high_ms", "latency_min_ms"]].tolist() == [4.0, 5.0, 3.5]
    assert found.loc[2, ["compute_ms", "weights_ms"]].tolist() == [1.0, 2.0]
    assert found.loc[1, "error"] == "run: no"
    assert str(found["threads"].dtype) == "Int64"


def test_what_is_there_is_known_when_it_is_opened_again(tmp_path: Path) -> None:
    OpsTable(tmp_path, PARAMETERS).append(SPECS[0], CPU, Origin.MEASURED, profile())
    OpsTable(tmp_path, PARAMETERS).append(SPECS[0], SIM, Origin.SIMULATED, profile(SIM))
    again = OpsTable(tmp_path, PARAMETERS)
    assert [again.has(spec, target) for spec in SPECS for target in (CPU, SIM)] == [True, True, False, False]
    assert len(read_ops(tmp_path)) == 10


def test_a_failure_is_a_line_that_is_tried_again(tmp_path: Path) -> None:
    table = OpsTable(tmp_path, PARAMETERS)
    table.append(SPECS[0], CPU, Origin.MEASURED, Failure(stage="run", error="MemoryError", message="none left"))
    table.append(SPECS[1], CPU, Origin.MEASURED, profile())
    found = read_ops(tmp_path)
    assert found.loc[0, "error"] == "run: MemoryError: none left"
    again = OpsTable(tmp_path, PARAMETERS)
    assert [again.has(spec, CPU) for spec in SPECS] == [False, True]
    assert len(read_ops(tmp_path)) == 5


@settings(max_examples=15, deadline=None)
@given(lost=st.integers(0, 900))
def test_a_kill_at_any_moment_loses_whole_models(tmp_path_factory: pytest.TempPathFactory, lost: int) -> None:
    folder = tmp_path_factory.mktemp("killed")
    table = OpsTable(folder, PARAMETERS)
    for spec in SPECS:
        table.append(spec, CPU, Origin.MEASURED, profile())
    path = folder / OPS_FILE
    whole = path.read_bytes()
    path.write_bytes(whole[: max(0, len(whole) - lost)])
    again = OpsTable(folder, PARAMETERS)
    for spec in SPECS:
        if not again.has(spec, CPU):
            again.append(spec, CPU, Origin.MEASURED, profile())
    found = read_ops(folder)
    assert found.groupby("spec_id").size().to_dict() == {spec.spec_id: 5 for spec in SPECS}


def test_no_file_is_no_lines(tmp_path: Path) -> None:
    assert len(read_ops(tmp_path)) == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [("a,b\n1,2\n", "lacks spec_id"), ("\0\n", "lacks spec_id"), ("{header}\n1,2\n", "line 2 has 2 cells")],
)
def test_what_is_no_table_of_ops_is_refused(tmp_path: Path, text: str, said: str) -> None:
    header = ",".join(names(op_columns(PARAMETERS)))
    (tmp_path / OPS_FILE).write_text(text.replace("{header}", header))
    with pytest.raises(BadCampaign, match=said):
        read_ops(tmp_path)
    with pytest.raises(BadCampaign):
        OpsTable(tmp_path, PARAMETERS)


def test_a_parameter_can_not_take_a_columns_name() -> None:
    with pytest.raises(ValueError, match="op_count"):
        op_columns(["layer", "op_count"])
