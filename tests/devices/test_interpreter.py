"""What a sample and a sustained run are made of, on a made-up model whose every call takes a known time."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from paraedge.core.device import DeviceInfo, MeasureSettings, Origin
from paraedge.core.outcome import Block, Measurement
from paraedge.devices import interpreter

MS = 1_000_000
INFO = DeviceInfo(id="made up", origin=Origin.MEASURED, batch_mode="native")
SETTINGS = MeasureSettings(time_budget_s=0.01, warm_up_s=0.001)


class Model:
    """Moves `clock_ms` by what a call takes; counts invokes."""

    def __init__(self) -> None:
        self.clock_ms = 0.0
        self.invokes = 0

    def get_input_details(self) -> list[dict[str, Any]]:
        return [{"index": 0, "shape": (1, 4), "dtype": np.int8}]

    def get_output_details(self) -> list[dict[str, Any]]:
        return [{"index": 1}, {"index": 2}]

    def set_tensor(self, index: int, values: object) -> None:
        self.clock_ms += 1

    def invoke(self) -> None:
        self.clock_ms += 3 if self.invokes else 20
        self.invokes += 1
        time.sleep(0.0001)

    def get_tensor(self, index: int) -> object:
        self.clock_ms += 2
        return index


def test_each_part_of_a_sample_is_timed_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Model()

    def load() -> Model:
        model.clock_ms += 7
        return model

    clock = SimpleNamespace(perf_counter_ns=lambda: round(model.clock_ms * MS))
    monkeypatch.setattr(interpreter, "time", clock)  # the timed loop keeps the real one
    found = interpreter.sample(load, SETTINGS, INFO, lambda: 40.0)
    assert isinstance(found, Measurement), found
    assert (found.open_ns, found.set_ns, found.first_ns, found.get_ns) == (7 * MS, 1 * MS, 20 * MS, 4 * MS)
    assert found.temperature_c == 40.0


def test_every_invoke_after_the_warm_up_is_in_a_window() -> None:
    model = Model()
    windows = interpreter.sustain(lambda: model, SETTINGS, lambda: None, for_s=0.2, window_s=0.02)
    counted = [(model.invokes, window.invokes) for window in windows]
    assert len(counted) > 2
    before = [total - invokes for total, invokes in counted]
    assert before[0] > 0  # the warm-up
    assert before[1:] == [total for total, _ in counted[:-1]]


@pytest.mark.parametrize("warm_up_s", [0.0, 0.01])
def test_a_warm_up_invokes_and_leaves_no_trace(warm_up_s: float) -> None:
    """A model that counts its invokes has forgotten them; one that can't be reset has none to forget."""

    class Counting(Model):
        def reset_all_variables(self) -> None:
            self.counted, self.invokes = self.invokes, 0

    model, plain = Counting(), Model()
    settings = MeasureSettings(warm_up_s=warm_up_s)
    interpreter.warm_up(model, settings)
    interpreter.warm_up(plain, settings)
    assert model.invokes == 0
    assert model.counted >= max(1, warm_up_s / 0.002)
    assert plain.invokes >= 1


def test_seeded_values_are_those_that_a_sample_sets() -> None:
    kinds = [((1, 4), np.int8), ((2, 3), "float32"), ((5,), "int32")]
    details = [{"index": 7 + i, "shape": np.array(shape), "dtype": dtype} for i, (shape, dtype) in enumerate(kinds)]
    model = SimpleNamespace(get_input_details=lambda: details)
    for (index, values), other in zip(
        interpreter.input_values(model, 5), interpreter.seeded_values(kinds, 5), strict=True
    ):
        assert index == 7 + [shape for shape, _ in kinds].index(values.shape)
        np.testing.assert_array_equal(values, other)
        assert values.dtype == other.dtype


def test_a_drift_within_the_visit_is_a_warning() -> None:
    slow = [Block(invokes=1, duration_ns=ns) for ns in [100] * 6 + [130] * 6]
    assert interpreter._warnings(slow) == ("latency drifted by +30 % within the visit",)
    assert interpreter._warnings(slow[:6]) == ()
