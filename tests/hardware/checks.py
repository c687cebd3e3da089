"""What must hold of an Edge TPU, one function a fact; run on real devices here, and on made-up ones in tests/devices.

Each takes a device's id and a compiled model without CPU ops, and returns a line to print.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from paraedge import checkup, run
from paraedge.checkup import selftest
from paraedge.core.device import MeasureSettings, Origin
from paraedge.core.outcome import Measurement
from paraedge.devices import edgetpu_host, registry

SETTINGS = MeasureSettings(time_budget_s=0.5)


def measured(device: str, model: Path) -> Measurement:
    """One visit, in a child, under the device's lock."""
    place = checkup.place_of(device)
    job = checkup.model_job(model, place.driver)
    with checkup.hold([place]):
        (outcome,) = run.visit(place.driver, place.target, iter([job]), SETTINGS)
    assert isinstance(outcome, Measurement), outcome.text()
    return outcome


def is_found(device: str, model: Path) -> str:
    """The registry offers it as a measured device with a port of its own."""
    info = registry.info(device)
    assert info.origin is Origin.MEASURED
    assert info.port
    assert sum(other.port == info.port for _, other in registry.present().values()) == 1
    return f"{info.id}: {info.link} {info.link_mbit_per_s} Mbit/s at {info.port}, {info.runtime}, {info.host}"


def link_is_known(device: str, model: Path) -> str:
    """Its link has a speed, before and after it was opened."""
    before, after = registry.info(device), measured(device, model).device
    assert before.link_mbit_per_s
    assert after.link_mbit_per_s
    return f"{device}: {before.link_mbit_per_s} Mbit/s before its first use, {after.link_mbit_per_s} after"


def is_the_runtime_s_own(device: str, model: Path) -> str:
    """The runtime's list of devices has our port, so that the option given to it means this device."""
    details = measured(device, model).device.details
    assert details["order"] == "the runtime's list", details
    return f"{device}: option {details['option']}, interpreter {details['interpreter']}"


def first_invoke_is_slowest(device: str, model: Path) -> str:
    """The first invoke uploads the parameters, so it takes longer than the later ones."""
    found = measured(device, model)
    steady_ms = statistics.median(block.invoke_ns for block in found.blocks) / 1e6
    assert found.first_ns is not None
    assert found.open_ns is not None
    first_ms = found.first_ns / 1e6
    assert first_ms > steady_ms
    opened = found.device.details["device_open_ms"]
    return (
        f"{device}: {opened} ms to open, {found.open_ns / 1e6:.3g} to load, {first_ms:.3g} first, {steady_ms:.4g} later"
    )


def outputs_are_the_same(device: str, model: Path) -> str:
    """Two invokes on the same input values give the same outputs, in a process of its own."""
    command = [sys.executable, "-c", OUTPUTS, device, str(model)]
    with checkup.hold([checkup.place_of(device)]):
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    first, second = done.stdout.splitlines()[-2:]
    assert first == second != ""
    return f"{device}: outputs {first}, the same twice"


OUTPUTS = """
import hashlib, sys
from pathlib import Path
from paraedge import checkup
place = checkup.place_of(sys.argv[1])
job = checkup.model_job(Path(sys.argv[2]), place.driver)
session = place.driver.open(place.target)
for _ in range(2):
    print(*(hashlib.sha256(values.tobytes()).hexdigest()[:12] for values in session.outputs(job)), flush=True)
"""


def temperature_is_plausible(device: str, model: Path) -> str:
    """A PCIe module says its temperature; a USB stick says none."""
    found, bus = measured(device, model).temperature_c, registry.info(device).link
    if bus == "PCIe":
        assert found is not None
        assert 0 < found < 110
    else:
        assert found is None
    return f"{device}: {'no sensor' if found is None else f'{found:.1f} degrees Celsius'}"


def holds_its_lock(device: str, model: Path) -> str:
    """A second user of the same device is refused while it is held."""
    from paraedge.core.errors import DeviceBusy

    place = checkup.place_of(device)
    with checkup.hold([place]):
        try:
            with checkup.hold([place]):
                raise AssertionError(f"{device} was lent twice")
        except DeviceBusy:
            return f"{device}: one lock, on {registry.lock_name(device)}"


EACH = (
    is_found, link_is_known, is_the_runtime_s_own, first_invoke_is_slowest, outputs_are_the_same,
    temperature_is_plausible, holds_its_lock,
)  # fmt: skip


def are_alike(devices: Sequence[str], model: Path, rounds: int = 6) -> str:
    """The self-test says something of every device; which is slower is for its owner to judge."""
    places = [checkup.place_of(device) for device in devices]
    jobs = {place.info.id: checkup.model_job(model, place.driver) for place in places}
    medians: dict[str, list[float]] = {device: [] for device in devices}
    for visited in selftest.visit_all(places, jobs, SETTINGS, rounds):
        assert visited.latency_median_ms is not None, visited.error
        medians[visited.device].append(visited.latency_median_ms)
    standings = selftest.compare(medians)
    assert [one.device for one in standings] == list(devices)
    return selftest.conclusion(standings)


def attached() -> list[str]:
    """Ids of the Edge TPUs that are attached."""
    return [device.id for device in edgetpu_host.find_attached()]
