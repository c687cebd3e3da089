"""What every device behind a TensorFlow Lite interpreter shares: seeded inputs, a sample, the outputs, a sustained run.

A device gives `load`, which makes the interpreter of a job with its tensors allocated, and `temperature`, which reads
its sensor. Run this in a child: a damaged model file can take the process along.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

from paraedge.core.device import DeviceInfo, MeasureSettings, Origin, Roof
from paraedge.core.outcome import Block, Job, Measurement, Outcome
from paraedge.core.window import Window
from paraedge.devices import stage
from paraedge.devices.timed_loop import time_invokes

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Load: TypeAlias = Callable[[], Any]
Temperature: TypeAlias = Callable[[], "float | None"]

TRANSFERS = 5
"""Setting the input and getting the output are each timed so often; the median is kept."""

DRIFT = 0.1
"""A visit whose second half is so much slower or faster than its first carries a warning."""


def sample(load: Load, settings: MeasureSettings, info: DeviceInfo, temperature: Temperature) -> Outcome:
    """Load a model, set seeded input values once, and time invokes; whatever it raises is a Failure."""
    stage.enter("load")
    try:
        return _sample(load, settings, info, temperature)
    except Exception as error:  # whatever a runtime raises of a model is a row
        return stage.failure(error)


def outputs(load: Load, seed: int = 0) -> list[npt.NDArray[Any]]:
    """The model's outputs of one invoke on the input values that `sample` sets."""
    model = load()
    _set(model, input_values(model, seed))
    model.invoke()
    return [model.get_tensor(output["index"]) for output in model.get_output_details()]


def sustain(
    load: Load, settings: MeasureSettings, temperature: Temperature, *, for_s: float, window_s: float
) -> Iterator[Window]:
    """Invoke without pause for `for_s` seconds, and tell of each `window_s`; the first one begins after a warm-up.

    Every invoke after the warm-up is timed, in blocks of the length that it settled.
    """
    stage.enter("load")
    model = load()
    stage.enter("run")
    _set(model, input_values(model, settings.seed))
    warm_up = time_invokes(model.invoke, replace(settings, time_budget_s=0.0, precision=1.0), beat=stage.alive)
    length = warm_up.blocks[-1].invokes
    begin = time.monotonic()
    one_window = replace(settings, precision=-1.0, min_blocks=1)
    while (spent_s := time.monotonic() - begin) < for_s:
        budget_s = min(window_s, max(for_s - spent_s, settings.block_ms / 1e3))
        window = replace(one_window, time_budget_s=budget_s)
        blocks = time_invokes(model.invoke, window, beat=stage.alive, block_invokes=length).blocks
        latencies = sorted(block.invoke_ns / 1e6 for block in blocks)
        yield Window(
            end_s=time.monotonic() - begin,
            invokes=sum(block.invokes for block in blocks),
            latency_median_ms=statistics.median(latencies),
            latency_p99_ms=latencies[math.ceil(0.99 * len(latencies)) - 1],
            temperature_c=temperature(),
        )


def warm_up(model: Any, settings: MeasureSettings) -> None:
    """Invoke on the values that `sample` sets for `warm_up_s`, at least once; a model with a state begins anew."""
    _set(model, input_values(model, settings.seed))
    time_invokes(model.invoke, replace(settings, time_budget_s=0.0, precision=1.0, min_blocks=1), beat=stage.alive)
    if hasattr(model, "reset_all_variables"):  # a stand-in for LiteRT need not have one
        model.reset_all_variables()


def probe_roofs(
    sample: Callable[[Job, MeasureSettings], Outcome], probes: Sequence[Job], settings: MeasureSettings, *, source: str
) -> tuple[Roof, ...]:
    """The best rate of int8 probes and the shortest invoke, of blocks; a probe that fails is passed over."""
    rates: list[tuple[float, str]] = []
    shortest_ns: list[float] = []
    for probe in probes:
        outcome = sample(probe, settings)
        if not isinstance(outcome, Measurement) or probe.spec is None:
            continue
        shortest_ns.append(min(block.invoke_ns for block in outcome.blocks))
        macs = probe.graph.macs if probe.graph else None
        if macs and probe.spec.precision == "int8":
            rates.append((2 * macs / shortest_ns[-1], probe.spec.label()))
    if not shortest_ns:
        return ()
    floor = Roof(
        name="shortest invoke", kind="floor", level="invoke", value=min(shortest_ns) / 1e6, unit="ms",
        origin=Origin.MEASURED, source="shortest block of the probes",
    )  # fmt: skip
    if not rates:
        return (floor,)
    best, label = max(rates)
    peak = Roof(
        name="int8 peak", kind="compute", level="int8", value=best, unit="gops_per_s",
        origin=Origin.MEASURED, source=f"best of {source}, {label}",
    )  # fmt: skip
    return (peak, floor)


def input_values(model: Any, seed: int) -> list[tuple[int, npt.NDArray[Any]]]:
    """(tensor index, values) for each input: the same for the same model and seed; see `seeded_values`."""
    details = model.get_input_details()
    found = seeded_values([(tuple(i["shape"]), i["dtype"]) for i in details], seed)
    return [(int(i["index"]), values) for i, values in zip(details, found, strict=True)]


def seeded_values(kinds: Sequence[tuple[tuple[int, ...], Any]], seed: int) -> list[npt.NDArray[Any]]:
    """Values for each (shape, dtype): the same for the same seed.

    int8 and uint8 over their whole range, floats uniform in [-1, 1); other types, which are mostly indices, zero.
    """
    import numpy as np

    generator = np.random.default_rng(seed)
    return [_values(generator, shape, dtype) for shape, dtype in kinds]


def _values(generator: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> npt.NDArray[Any]:
    import numpy as np

    kind = np.dtype(dtype)
    if kind in (np.dtype(np.int8), np.dtype(np.uint8)):
        limits = np.iinfo(kind)
        return np.asarray(generator.integers(limits.min, limits.max + 1, size=shape, dtype=dtype))
    if kind.kind == "f":
        return np.asarray(generator.uniform(-1.0, 1.0, size=shape), dtype=kind)
    return np.zeros(shape, kind)


def _sample(load: Load, settings: MeasureSettings, info: DeviceInfo, temperature: Temperature) -> Measurement:
    begin = time.perf_counter_ns()
    model = load()
    open_ns = time.perf_counter_ns() - begin
    stage.enter("run")
    inputs = input_values(model, settings.seed)
    set_ns = _median_ns(lambda: _set(model, inputs))
    begin = time.perf_counter_ns()
    model.invoke()
    first_ns = time.perf_counter_ns() - begin
    stage.alive()
    timing = time_invokes(model.invoke, settings, beat=stage.alive)
    found = [output["index"] for output in model.get_output_details()]
    get_ns = _median_ns(lambda: [model.get_tensor(index) for index in found])
    return Measurement(
        device=info,
        blocks=timing.blocks,
        stop_reason=timing.stop_reason,
        open_ns=open_ns,
        first_ns=first_ns,
        set_ns=set_ns,
        get_ns=get_ns,
        warm_up_invokes=timing.warm_up_invokes,
        temperature_c=temperature(),
        warnings=_warnings(timing.blocks),
    )


def _set(model: Any, inputs: Sequence[tuple[int, npt.NDArray[Any]]]) -> None:
    for index, values in inputs:
        model.set_tensor(index, values)


def _median_ns(transfer: Callable[[], object]) -> int:
    durations = []
    for _ in range(TRANSFERS):
        begin = time.perf_counter_ns()
        transfer()
        durations.append(time.perf_counter_ns() - begin)
    return int(statistics.median(durations))


def _warnings(blocks: Sequence[Block]) -> tuple[str, ...]:
    latencies = [block.invoke_ns for block in blocks]
    half = len(latencies) // 2
    if half < 5:
        return ()
    change = statistics.median(latencies[-half:]) / statistics.median(latencies[:half]) - 1
    return (f"latency drifted by {100 * change:+.0f} % within the visit",) if abs(change) > DRIFT else ()
