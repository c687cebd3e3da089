"""The diagnosis of results that are far off: each cause alone, on predictions that the simulator itself makes."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from compiled_files import compiled_model
from edgetpu_stand_in import make_host

from paraedge import checkup, models
from paraedge.archive import Archive, make_row
from paraedge.checkup.diagnosis import Cause, Diagnosis, diagnose
from paraedge.checkup.rows import diagnose_campaign
from paraedge.core.device import DeviceInfo, Origin, Target
from paraedge.core.errors import BadCampaign, BadInput
from paraedge.core.graph import LayerGraph
from paraedge.core.outcome import Block, Measurement, Placement
from paraedge.core.spec import ModelSpec
from paraedge.devices import registry
from paraedge.devices.edgetpu import EdgeTpuDriver
from paraedge.models.conv_stack import ConvStackParams
from paraedge.models.fc import FcParams
from paraedge.simulate import hardware_names, load_hardware, predict
from paraedge.sweep import parse_sweep
from paraedge.tflite import write_model

BIG = ModelSpec(family="fc", params=FcParams(input=64, layer=5, node=2048, output=10))
"""16 MiB of weights: more than half of them are streamed."""

SMALL = ModelSpec(family="conv_stack", params=ConvStackParams(layer=5, kernel=3, image=64, channel=3, filter=64))
"""Stays on chip; computing rules."""


def usb(speed: int | None = 5000, runtime: str = "max") -> DeviceInfo:
    return DeviceInfo(
        id="edgetpu:0", origin=Origin.MEASURED, batch_mode="looped", link="USB 2" if speed == 480 else "USB 3",
        link_mbit_per_s=speed, details={"runtime_clocks": runtime},
    )  # fmt: skip


def pcie(speed: int | None = 4000) -> DeviceInfo:
    return DeviceInfo(
        id="edgetpu:0", origin=Origin.MEASURED, batch_mode="looped", link="PCIe",
        link_mbit_per_s=speed, details={"runtime_clocks": "std", "trip_c": "85"},
    )  # fmt: skip


def graph_of(spec: ModelSpec) -> LayerGraph:
    return models.build_graph(spec)


def latency_ms(spec: ModelSpec, device: str) -> float:
    return predict(graph_of(spec), load_hardware(device)).latency_ms


def by_name(found: Diagnosis) -> dict[str, Cause]:
    return {cause.name: cause for cause in found.causes}


def test_a_result_near_the_prediction_needs_no_cause() -> None:
    found = diagnose(1.2 * latency_ms(BIG, "sim-edgetpu-usb3"), graph_of(BIG), usb())
    assert not found.far
    assert found.causes == found.ruled_out == ()


def test_a_result_faster_than_predicted_has_no_cause() -> None:
    found = diagnose(0.2 * latency_ms(BIG, "sim-edgetpu-usb3"), graph_of(BIG), usb(480))
    assert found.far
    assert found.causes == ()


def test_a_result_faster_than_predicted_has_nothing_seen_to_add() -> None:
    predicted_ms = latency_ms(BIG, "sim-edgetpu-usb3")
    found = diagnose(0.2 * predicted_ms, graph_of(BIG), usb(480, "std"))
    assert found.seen_ms == found.predicted_ms == predicted_ms


@pytest.mark.parametrize(("speed", "evidence"), [(480, "seen"), (None, "possible")])
def test_usb_2_explains_what_the_simulated_usb_2_takes(speed: int | None, evidence: str) -> None:
    found = diagnose(latency_ms(BIG, "sim-edgetpu-usb2"), graph_of(BIG), usb(speed))
    first = found.causes[0]
    assert (first.name, first.evidence) == ("USB 2", evidence)
    assert first.expected_ms == pytest.approx(latency_ms(BIG, "sim-edgetpu-usb2"))
    assert first.explains == pytest.approx(1.0)
    assert "another host: Coral Dev Board Mini" in first.finding


def test_usb_3_is_ruled_out_as_a_cause() -> None:
    found = diagnose(latency_ms(BIG, "sim-edgetpu-usb2"), graph_of(BIG), usb(5000))
    assert "USB 2" not in by_name(found)
    assert any(text.startswith("USB 2:") for text in found.ruled_out)
    assert any(text.startswith("std clocks:") for text in found.ruled_out)


@pytest.mark.parametrize(("runtime", "evidence"), [("std", "seen"), ("unknown", "possible"), ("max", None)])
def test_std_clocks_double_the_compute(runtime: str, evidence: str | None) -> None:
    prediction = predict(graph_of(SMALL), load_hardware("sim-edgetpu-usb3"))
    found = diagnose(2 * prediction.latency_ms, graph_of(SMALL), usb(5000, runtime))
    cause = by_name(found).get("std clocks")
    assert (cause.evidence if cause else None) == evidence
    if cause:
        assert cause.expected_ms == pytest.approx(prediction.latency_ms + prediction.terms["compute_ms"])


def test_clocks_and_ports_of_usb_are_no_causes_on_pcie() -> None:
    found = diagnose(10 * latency_ms(SMALL, "sim-edgetpu-pcie"), graph_of(SMALL), pcie())
    text = " ".join((*by_name(found), *found.ruled_out))
    assert "USB" not in text
    assert "std" not in text


@pytest.mark.parametrize(("speed", "evidence"), [(2000, "seen"), (None, "possible"), (4000, None)])
def test_a_pcie_link_that_fell_back(speed: int | None, evidence: str | None) -> None:
    prediction = predict(graph_of(BIG), load_hardware("sim-edgetpu-pcie"))
    links = ("weights_ms", "input_ms", "output_ms", "instructions_ms")
    doubled_ms = prediction.latency_ms + sum(prediction.terms[name] for name in links)
    found = diagnose(doubled_ms, graph_of(BIG), pcie(speed))
    cause = by_name(found).get("PCIe link rate")
    assert (cause.evidence if cause else None) == evidence
    if evidence == "seen" and cause:
        assert cause.expected_ms == pytest.approx(doubled_ms)
        assert found.causes[0] is cause
        assert found.seen_ms == pytest.approx(doubled_ms)


@pytest.mark.parametrize(("celsius", "evidence"), [(91.0, "seen"), (60.0, None), (None, "possible")])
def test_a_hot_module(celsius: float | None, evidence: str | None) -> None:
    found = diagnose(2 * latency_ms(SMALL, "sim-edgetpu-pcie"), graph_of(SMALL), pcie(), temperature_c=celsius)
    cause = by_name(found).get("thermal throttling")
    assert (cause.evidence if cause else None) == evidence


def placement(graph: LayerGraph, **changes: object) -> Placement:
    predicted = predict(graph, load_hardware("sim-edgetpu-usb3")).placement
    return dataclasses.replace(predicted, source="compiler", **changes)  # type: ignore[arg-type]


def test_ops_that_the_compiler_left_on_the_cpu() -> None:
    graph = graph_of(SMALL)
    where = placement(graph, on_cpu=(3, 4))
    found = diagnose(5 * latency_ms(SMALL, "sim-edgetpu-usb3"), graph, usb(), placement=where)
    cause = by_name(found)["CPU ops"]
    assert cause.evidence == "seen"
    assert "2 ops" in cause.finding
    assert cause.expected_ms is None
    assert any(text.startswith("CPU ops") for text in diagnose(99.0, graph, usb()).ruled_out)


def test_parameters_that_the_compiler_streams_beyond_the_predicted() -> None:
    graph, hardware = graph_of(SMALL), load_hardware("sim-edgetpu-usb3")
    where = placement(graph, off_chip_bytes=4 << 20)
    streaming_ms = 4 * hardware.stream_ms_per_mib + hardware.stream_setup_ms
    expected_ms = latency_ms(SMALL, "sim-edgetpu-usb3") + streaming_ms
    found = diagnose(expected_ms, graph, usb(), placement=where)
    cause = by_name(found)["streamed parameters"]
    assert (cause.evidence, cause.expected_ms) == ("seen", pytest.approx(expected_ms))
    assert found.causes[0] is cause


def test_a_cache_that_another_model_takes() -> None:
    graph, hardware = graph_of(BIG), load_hardware("sim-edgetpu-usb3")
    prediction = predict(graph, hardware)
    cached_ms = prediction.placement.on_chip_bytes / 2**20 * hardware.stream_ms_per_mib
    cause = by_name(diagnose(3 * prediction.latency_ms, graph, usb()))["cache shared with another model"]
    assert (cause.evidence, cause.expected_ms) == ("possible", pytest.approx(prediction.latency_ms + cached_ms))


def test_a_host_that_streams_slowly_is_the_worst_of_those_of_full_speed() -> None:
    graph = graph_of(BIG)
    prediction = predict(graph, load_hardware("sim-edgetpu-usb3"))
    weights_ms = {name: predict(graph, load_hardware(name)).terms["weights_ms"] for name in hardware_names()}
    usb_2_ms = weights_ms.pop("sim-edgetpu-usb2")
    slowest_ms = sorted(weights_ms.values())[-1]
    assert min(weights_ms.values()) < slowest_ms < usb_2_ms
    cause = by_name(diagnose(3 * prediction.latency_ms, graph, usb()))["a host that streams slowly"]
    expected_ms = prediction.latency_ms - weights_ms["sim-edgetpu-usb3"] + slowest_ms
    assert (cause.evidence, cause.expected_ms) == ("possible", pytest.approx(expected_ms))


def test_what_is_seen_comes_before_what_is_possible_and_the_nearest_first() -> None:
    found = diagnose(latency_ms(BIG, "sim-edgetpu-usb2"), graph_of(BIG), usb(480, "std"))
    evidence = [cause.evidence for cause in found.causes]
    assert evidence == sorted(evidence, key=["seen", "possible"].index)
    assert [cause.name for cause in found.causes[:2]] == ["USB 2", "std clocks"]
    assert all(cause.remedy for cause in found.causes)


def test_a_model_that_does_not_map_at_all() -> None:
    floats = models.build_graph(dataclasses.replace(SMALL, precision="float32"))
    found = diagnose(5.0, floats, usb())
    assert not found.far


# --- campaigns ---

SWEEP = """
name = "mine"
devices = ["edgetpu:0"]
[[grid]]
family = "fc"
input = 64
layer = 5
node = [2048, 64]
output = 10
batch = 2
"""


def campaign(folder: Path, info: DeviceInfo) -> None:
    """Rows of a device behind USB 2: the big model far off, the small one not."""
    sweep = parse_sweep(SWEEP, source="mine")
    parameters = ["input", "layer", "node", "output", "widths"]
    with Archive.open(folder, sweep_name="mine", sweep_text=SWEEP, parameters=parameters) as book:
        book.update_meta(devices={"edgetpu:0": info})
        for spec, slower in zip(sweep.points(), (1.0, 0.0), strict=True):
            graph = models.build_graph(dataclasses.replace(spec, batch=1))
            fast, slow = (predict(graph, load_hardware(f"sim-edgetpu-{name}")).latency_ms for name in ("usb3", "usb2"))
            ns = round((slow if slower else fast) * 1e6)
            outcome = Measurement(device=info, blocks=(Block(invokes=1, duration_ns=ns),) * 10, stop_reason="precision")
            book.append(
                make_row(
                    spec=spec, graph=graph, target=Target(device="edgetpu:0"), round=1, outcome=outcome,
                    origin=Origin.MEASURED, batch_mode="looped", attempt=1, file_bytes=1,
                )
            )  # fmt: skip


def test_a_campaign_s_rows_of_real_devices(tmp_path: Path) -> None:
    campaign(tmp_path / "mine", usb(480))
    (_, _, big), (_, target, small) = diagnose_campaign(tmp_path / "mine")
    assert target == "edgetpu:0"
    assert big.far
    assert (big.causes[0].name, big.causes[0].explains) == ("USB 2", pytest.approx(1.0, abs=1e-3))
    assert not small.far
    assert small.measured_ms == pytest.approx(small.predicted_ms, rel=1e-3)


def test_campaigns_without_rows_of_real_devices(tmp_path: Path) -> None:
    with pytest.raises(BadCampaign):
        list(diagnose_campaign(tmp_path))


# --- models ---


def test_a_compiled_file_s_own_placement(tmp_path: Path) -> None:
    path = tmp_path / "m_edgetpu.tflite"
    path.write_bytes(compiled_model(cached_bytes=64, streamed_bytes=128, cpu_ops=("ABS",)))
    job = checkup.model_job(path, EdgeTpuDriver())
    assert job.artifact is not None
    where = job.artifact.placement
    assert where is not None
    assert (where.source, where.on_device, where.on_cpu) == ("compiler", (0,), (1,))
    assert (where.on_chip_bytes, where.off_chip_bytes) == (64, 128)


def test_files_for_the_wrong_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_host(tmp_path, monkeypatch).usb("2-1")
    compiled, plain = tmp_path / "a.tflite", tmp_path / "b.tflite"
    compiled.write_bytes(compiled_model())
    plain.write_bytes(write_model(graph_of(SMALL)))
    with pytest.raises(BadInput, match="paraedge compile"):
        checkup.model_job(plain, registry.find("edgetpu:0"))
    with pytest.raises(BadInput, match="compiled for the Edge TPU"):
        checkup.model_job(compiled, registry.find("cpu"))
    with pytest.raises(BadInput, match="simulated"):
        checkup.place_of("sim-edgetpu-usb3")
