"""Why a measured latency on an Edge TPU is far from the predicted one: causes, and the latency each would lead to.

Pure: it takes what was seen of the device and predicts again. A cause that the host shows is `seen`, one that nothing
rules out is `possible`; what is ruled out is listed as such.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from paraedge.core.device import DeviceInfo, Origin
from paraedge.core.graph import LayerGraph
from paraedge.core.outcome import Placement, Prediction
from paraedge.devices.edgetpu_host import USB2_MBIT_PER_S
from paraedge.simulate import Hardware, hardware_names, load_hardware, predict
from paraedge.simulate.shapes import MIB

Evidence: TypeAlias = Literal["seen", "possible", "ruled out"]

FAR = 1.5
"""A measured latency is far from the predicted one beyond this factor, up or down."""

LINK_TERMS = ("weights_ms", "input_ms", "output_ms", "instructions_ms")
"""Terms of a prediction that are transfers over the link."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is known. placement: the compiler's word, else the prediction's. temperature_c: while it was measured."""

    measured_ms: float
    graph: LayerGraph
    info: DeviceInfo
    hardware: Hardware
    prediction: Prediction
    placement: Placement
    temperature_c: float | None

    def term_ms(self, *names: str) -> float:
        """The sum of these terms of the prediction."""
        return sum(self.prediction.terms.get(name, 0.0) for name in names)


@dataclass(frozen=True, kw_only=True)
class Cause:
    """One cause. expected_ms: the latency if it held alone, None where that can't be told.

    explains: the share of the gap, in logs, that it would close: 1 all of it, above 1 more than there is.
    """

    name: str
    evidence: Evidence
    finding: str
    remedy: str
    expected_ms: float | None = None
    explains: float | None = None


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """A result and the causes that may explain it: those seen first, and among them the one that comes nearest.

    far: whether there is a gap worth explaining; without one `causes` is empty, as for a result that is faster than
    predicted, since every cause is of slowness. seen_ms: the latency if all causes that are seen and can be told in ms
    held together; the predicted one where `causes` is empty. predicted_placement: what the prediction is of. placement:
    what the causes are of, the compiler's word where there is one.
    """

    measured_ms: float
    predicted_ms: float
    simulated_device: str
    far: bool
    causes: tuple[Cause, ...]
    ruled_out: tuple[str, ...]
    seen_ms: float
    untimed: tuple[str, ...]
    predicted_placement: Placement
    placement: Placement


def diagnose(
    measured_ms: float,
    graph: LayerGraph,
    info: DeviceInfo,
    *,
    placement: Placement | None = None,
    temperature_c: float | None = None,
    far: float = FAR,
) -> Diagnosis:
    """Causes of `measured_ms`, of one invoke of `graph` (before it was compiled) on the device `info`."""
    hardware = load_hardware(hardware_of(info))
    prediction = predict(graph, hardware)
    case = Case(
        measured_ms=measured_ms,
        graph=graph,
        info=info,
        hardware=hardware,
        prediction=prediction,
        placement=placement or prediction.placement,
        temperature_c=temperature_c,
    )
    is_far = not 1 / far <= measured_ms / prediction.latency_ms <= far if prediction.latency_ms > 0 else False
    causes = [cause for check in CHECKS if (cause := check(case)) is not None] if is_far else []
    open_ = [_with_share(cause, case) for cause in causes if cause.evidence != "ruled out" and _slower(case)]
    extra_ms = sum(one.expected_ms - prediction.latency_ms for one in open_ if _counts(one) and one.expected_ms)
    return Diagnosis(
        measured_ms=measured_ms,
        predicted_ms=prediction.latency_ms,
        simulated_device=hardware.name,
        far=is_far,
        causes=tuple(sorted(open_, key=lambda cause: _rank(cause, measured_ms))),
        ruled_out=tuple(f"{cause.name}: {cause.finding}" for cause in causes if cause.evidence == "ruled out"),
        seen_ms=prediction.latency_ms + extra_ms,
        untimed=prediction.untimed,
        predicted_placement=prediction.placement,
        placement=case.placement,
    )


def hardware_of(info: DeviceInfo) -> str:
    """The simulated device that a healthy one of this link should be like; a simulated one is itself."""
    if info.origin is Origin.SIMULATED:
        return info.id
    return "sim-edgetpu-pcie" if (info.link or "").startswith("PCIe") else "sim-edgetpu-usb3"


def usb_2(case: Case) -> Cause | None:
    """A USB 2 port or cable: predicted with the hardware file of USB 2."""
    if not (case.info.link or "").startswith("USB") or case.hardware.link_mbit_per_s == USB2_MBIT_PER_S:
        return None
    speed, slow = case.info.link_mbit_per_s, load_hardware("sim-edgetpu-usb2")
    ruled_out = speed is not None and speed > USB2_MBIT_PER_S
    return Cause(
        name="USB 2",
        evidence="ruled out" if ruled_out else "possible" if speed is None else "seen",
        finding=f"the port runs at {'unknown speed' if speed is None else f'{speed} Mbit/s'}"
        + ("" if ruled_out else f"; the latency is predicted for USB 2 on another host: {slow.host}"),
        remedy="plug it into a USB 3 port (blue, or marked SS) with the cable it came with",
        expected_ms=predict(case.graph, slow).latency_ms,
    )


def std_clocks(case: Case) -> Cause | None:
    """The `std` runtime halves the clock, on USB only: computing takes twice as long."""
    if not (case.info.link or "").startswith("USB"):
        return None
    flavour = case.info.details.get("runtime_clocks", "unknown")
    return Cause(
        name="std clocks",
        evidence="seen" if flavour == "std" else "ruled out" if flavour == "max" else "possible",
        finding=f"the runtime is {flavour}",
        remedy="sudo apt install libedgetpu1-max   (the stick gets hotter), or compare with std results",
        expected_ms=case.prediction.latency_ms + case.term_ms("compute_ms"),
    )


def pcie_link(case: Case) -> Cause | None:
    """A PCIe link that fell to a lower rate: transfers take longer by the ratio of the rates."""
    normal, speed = case.hardware.link_mbit_per_s, case.info.link_mbit_per_s
    if not (case.info.link or "").startswith("PCIe") or normal is None:
        return None
    slowdown = normal / speed if speed else None
    return Cause(
        name="PCIe link rate",
        evidence="possible" if slowdown is None else "seen" if slowdown > 1 else "ruled out",
        finding=f"the link runs at {'unknown speed' if speed is None else f'{speed} Mbit/s'}, of {normal} Mbit/s",
        remedy="seat the module again, try another slot, and turn off PCIe power saving (pcie_aspm=off)",
        expected_ms=None if slowdown is None else case.prediction.latency_ms + (slowdown - 1) * _link_ms(case),
    )


def cpu_ops(case: Case) -> Cause | None:
    """Ops left on the CPU: the prediction has no time for them."""
    count = len(case.placement.on_cpu)
    gap_ms = case.measured_ms - case.prediction.latency_ms
    word = "the compiler" if case.placement.source == "compiler" else "an estimate"
    return Cause(
        name="CPU ops",
        evidence="seen" if count else "ruled out",
        finding=f"{count} {'op is' if count == 1 else 'ops are'} on the CPU by {word}"
        + (f"; they would have to take {gap_ms:.3g} ms" if count else ""),
        remedy="change those ops so that they map: `paraedge inspect` and `paraedge predict --why` name them",
    )


def more_streamed(case: Case) -> Cause | None:
    """The compiler left more parameters outside the cache than predicted: each byte is sent at every invoke."""
    if case.placement.source != "compiler":
        return None
    extra_bytes = case.placement.off_chip_bytes - case.prediction.placement.off_chip_bytes
    enough = extra_bytes > 0.02 * max(MIB, case.prediction.placement.off_chip_bytes)
    return Cause(
        name="streamed parameters",
        evidence="seen" if enough else "ruled out",
        finding=f"the compiler streams {case.placement.off_chip_bytes / MIB:.2f} MiB at every invoke, "
        f"{case.prediction.placement.off_chip_bytes / MIB:.2f} MiB were predicted",
        remedy="make the model smaller, or cut it into segments that stay on chip",
        expected_ms=case.prediction.latency_ms + _stream_ms(extra_bytes, case),
    )


def slow_streaming(case: Case) -> Cause | None:
    """A host whose link streams parameters more slowly: the worst of the shipped hosts of full speed."""
    if not case.placement.off_chip_bytes:
        return None
    hosts = [load_hardware(name) for name in hardware_names() if name != "sim-edgetpu-usb2"]
    worst_ms = max(predict(case.graph, host).terms.get("weights_ms", 0.0) for host in hosts)
    return Cause(
        name="a host that streams slowly",
        evidence="possible",
        finding=f"{case.placement.off_chip_bytes / MIB:.2f} MiB are streamed at every invoke, at a rate of the host",
        remedy="cut the model into segments that stay on chip, or take another host",
        expected_ms=case.prediction.latency_ms - case.term_ms("weights_ms") + worst_ms,
    )


def cache_lost(case: Case) -> Cause | None:
    """Another model on the same device takes the cache: the cached parameters are sent at every invoke too."""
    cached_bytes = case.placement.on_chip_bytes
    if not cached_bytes:
        return None
    return Cause(
        name="cache shared with another model",
        evidence="possible",
        finding=f"{cached_bytes / MIB:.2f} MiB should stay in the cache",
        remedy="run one model a device, or compile the models together",
        expected_ms=case.prediction.latency_ms + _stream_ms(cached_bytes, case),
    )


def throttled(case: Case) -> Cause | None:
    """A PCIe module halves its clock at the first trip point."""
    if not (case.info.link or "").startswith("PCIe"):
        return None
    trip, now = case.info.details.get("trip_c", "85"), case.temperature_c
    return Cause(
        name="thermal throttling",
        evidence="possible" if now is None else "seen" if now >= float(trip) else "ruled out",
        finding=f"the chip had {'an unknown temperature' if now is None else f'{now:.0f} degrees Celsius'}, "
        f"and lowers its clock from {trip} on",
        remedy="cool it, or leave pauses; `paraedge edgetpu run MODEL --sustain 600s` shows it",
        expected_ms=case.prediction.latency_ms + case.term_ms("compute_ms"),
    )


def slow_host(case: Case) -> Cause:
    """A slow or busy processor: every invoke costs it some time, which nothing here measures."""
    return Cause(
        name="slow or busy host",
        evidence="possible",
        finding=f"the prediction is of another host: {case.hardware.host}; this is {case.info.host or 'unknown'}",
        remedy="end other programs, set the performance governor (`paraedge doctor`), or calibrate on this host",
    )


CHECKS: Sequence[Callable[[Case], Cause | None]] = (
    usb_2, std_clocks, pcie_link, cpu_ops, more_streamed, slow_streaming, cache_lost, throttled, slow_host,
)  # fmt: skip


def _link_ms(case: Case) -> float:
    return case.term_ms(*LINK_TERMS)


def _stream_ms(count_bytes: int, case: Case) -> float:
    """What streaming so many bytes more takes, each fetched once, and its set-up where nothing was streamed before."""
    hardware, streams = case.hardware, case.prediction.placement.off_chip_bytes > 0
    setup_ms = 0.0 if streams or not count_bytes else hardware.stream_setup_ms
    return count_bytes / MIB * hardware.stream_ms_per_mib + setup_ms


def _slower(case: Case) -> bool:
    return case.measured_ms > case.prediction.latency_ms


def _counts(cause: Cause) -> bool:
    return cause.evidence == "seen" and cause.expected_ms is not None


def _with_share(cause: Cause, case: Case) -> Cause:
    predicted_ms, measured_ms = case.prediction.latency_ms, case.measured_ms
    if cause.expected_ms is None or cause.expected_ms <= 0 or measured_ms <= 0:
        return cause
    share = math.log(cause.expected_ms / predicted_ms) / math.log(measured_ms / predicted_ms)
    return replace(cause, explains=share)


def _rank(cause: Cause, measured_ms: float) -> tuple[bool, float]:
    """Seen before possible; then by how near the expected latency comes."""
    near = math.inf if cause.expected_ms is None else abs(math.log(measured_ms / cause.expected_ms))
    return cause.evidence != "seen", near
