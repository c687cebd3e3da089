"""Pipelines over real child processes whose models are a few lines of Python: order, turns, bounds, the end."""

from __future__ import annotations

import importlib
import os
import threading
import time
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from paraedge.core.device import MeasureSettings, Target
from paraedge.core.errors import BadInput, ParaedgeError
from paraedge.core.outcome import Failure
from paraedge.core.pipeline import PipelineRun
from paraedge.run import Pipeline, run_pipeline
from paraedge.run.crew import Crew

QUICK = MeasureSettings(warm_up_s=0.0, block_ms=0.0)

pytestmark = pytest.mark.usefixtures("nothing_left")


@pytest.fixture
def strange(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    return importlib.import_module("strange_stages")


def value(number: int) -> np.ndarray:
    return np.array([number, 10 * number, 100 * number])


def through(pipeline: Pipeline, count: int) -> list[dict[int, np.ndarray]]:
    """Push `count` inputs and the end from another thread, pop them here."""

    def push() -> None:
        for number in range(count):
            assert pipeline.push({0: value(number)})
        pipeline.push(None)

    pusher = threading.Thread(target=push)
    pusher.start()
    found = []
    while (popped := pipeline.pop()) is not None:
        found.append(popped)
    pusher.join()
    taken = [int(times["inputs"]) for times in pipeline.finish()]
    assert taken == [len(range(i, count, len(one.targets))) for one in pipeline.stages for i in range(len(one.targets))]
    return found


@pytest.mark.parametrize(
    ("replicas", "queue"), [((1,), 1), ((3,), 1), ((1, 1, 1), 1), ((2, 1), 1), ((1, 2), 1), ((2, 3), 1), ((3, 2, 1), 7)]
)
def test_outputs_come_in_the_order_of_the_inputs(strange: ModuleType, replicas: tuple[int, ...], queue: int) -> None:
    """Replicas of a stage take turns, also where those before and behind it are of another number."""
    stages = [strange.stage(number, replicas=count, adds=number) for number, count in enumerate(replicas, 1)]
    added = sum(range(1, len(replicas) + 1))
    with Pipeline(stages, queue=queue, settings=QUICK) as pipeline:
        assert (pipeline.inputs, pipeline.outputs) == ((0,), (len(replicas),))
        found = through(pipeline, 23)
        assert pipeline.pop() is None
    assert len(found) == 23
    for number, popped in enumerate(found):
        assert list(popped) == [len(replicas)]
        np.testing.assert_array_equal(popped[len(replicas)], value(number) + added)


@pytest.mark.parametrize(("replicas", "queue"), [((1, 1, 1, 1), 1), ((1, 3, 2, 2), 2)])
def test_tensors_that_pass_over_stages_meet_their_own_input(
    strange: ModuleType, replicas: tuple[int, ...], queue: int
) -> None:
    """0 goes to stages 1, 2 and 4 and is popped too; 1 goes to 2, 3, 4 and out; stage 3 makes two tensors."""
    stages = [
        strange.stage(1, inputs=(0,), outputs=(1,), replicas=replicas[0]),
        strange.stage(2, inputs=(1, 0), outputs=(2,), replicas=replicas[1]),
        strange.stage(3, inputs=(1, 2), outputs=(3, 4), replicas=replicas[2]),
        strange.stage(4, inputs=(4, 0, 1), outputs=(5,), replicas=replicas[3]),
    ]
    with Pipeline(stages, outputs=(5, 1, 0, 3), queue=queue, settings=QUICK) as pipeline:
        for number, popped in enumerate(through(pipeline, 20)):
            x = value(number)
            one = x + 1
            two = one + x + 1
            three = four = one + two + 1
            wanted = {5: four + x + one + 1, 1: one, 0: x, 3: three}
            assert list(popped) == list(wanted)
            for tensor, values in wanted.items():
                np.testing.assert_array_equal(popped[tensor], values)


def test_a_stage_that_takes_nothing_has_its_turn(strange: ModuleType) -> None:
    """A segment of constants alone, and one whose outputs nobody takes."""
    stages = [
        strange.stage(1, inputs=(0,), outputs=(1,)),
        strange.stage(2, inputs=(), outputs=(2,), adds=5),
        strange.stage(3, inputs=(1, 2), outputs=(3,)),
        strange.stage(4, inputs=(2,), outputs=(4,)),
    ]
    with Pipeline(stages, outputs=(3,), settings=QUICK) as pipeline:
        assert pipeline.inputs == (0,)
        for number, popped in enumerate(through(pipeline, 5)):
            np.testing.assert_array_equal(popped[3], value(number) + 1 + 5 + 1)


def test_one_thread_pushes_until_it_is_full_and_pops(strange: ModuleType) -> None:
    """As many inputs as the queues and stages hold, and no more: memory is bounded."""
    stages = [strange.stage(1), strange.stage(2)]
    with Pipeline(stages, queue=3, settings=QUICK) as pipeline:
        pushed = 0
        while pipeline.push({0: value(pushed)}, timeout_s=0.5):
            pushed += 1
            assert pushed < 100
        assert pushed == 3 + 1 + 3 + 1 + 3  # three queues, two stages
        assert not pipeline.push({0: value(pushed)}, timeout_s=0)
        first = pipeline.pop()
        assert first is not None
        np.testing.assert_array_equal(first[2], value(0) + 2)
        assert pipeline.push({0: value(pushed)})
        pipeline.push({})
        rest = [pipeline.pop() for _ in range(pushed)]
        for number, popped in enumerate(rest, 1):
            assert popped is not None
            np.testing.assert_array_equal(popped[2], value(number) + 2)
        assert pipeline.pop() is None
        assert pipeline.pop() is None


def test_the_end_is_the_end(strange: ModuleType) -> None:
    with Pipeline([strange.stage(1)], settings=QUICK) as pipeline:
        pipeline.push(None)
        pipeline.push({})
        with pytest.raises(BadInput, match="no more inputs"):
            pipeline.push({0: value(0)})
        assert pipeline.pop() is None
    assert pipeline.pop() is None
    with pytest.raises(BadInput, match="no more inputs"):
        pipeline.push({0: value(0)})


def test_what_stages_did_is_told_at_the_end(strange: ModuleType) -> None:
    with Pipeline([strange.stage(1), strange.stage(2)], untimed=3, settings=QUICK) as pipeline:
        with pytest.raises(BadInput, match="push the end"):
            pipeline.finish()
        for number in range(10):
            pipeline.push({0: value(number)})
            pipeline.pop()
        pipeline.push(None)
        pipeline.pop()
        assert [times["inputs"] for times in pipeline.finish()] == [7, 7]


def test_a_closed_pipeline_says_so(strange: ModuleType) -> None:
    pipeline = Pipeline([strange.stage(1)], settings=QUICK)
    pipeline.push({0: value(0)})
    pipeline.close()
    pipeline.close()
    with pytest.raises(ParaedgeError, match="closed"):
        pipeline.pop()
    with pytest.raises(ParaedgeError):
        pipeline.push({0: value(0)})


@pytest.mark.parametrize("waiting", ["push", "pop"])
@pytest.mark.parametrize("forked", [False, True])
def test_closing_wakes_who_waits(
    strange: ModuleType, waiting: str, forked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a process that was forked as the pipeline began holds its pipes open."""
    copies: list[int] = []

    def start(crew: Crew) -> None:
        if forked:
            copies.extend(os.dup(one) for member in crew.members for end in member.ends for one in end.descriptors)
        crew_start(crew)

    crew_start = Crew.start
    monkeypatch.setattr(Crew, "start", start)
    pipeline = Pipeline([strange.stage(1, ms=10 if waiting == "push" else 1)], settings=QUICK)
    errors: list[Exception] = []

    def wait() -> None:
        try:
            while True:
                pipeline.pop() if waiting == "pop" else pipeline.push({0: value(0)})
        except ParaedgeError as error:
            errors.append(error)

    waiter = threading.Thread(target=wait)
    waiter.start()
    time.sleep(0.3)
    closer = threading.Thread(target=pipeline.close, daemon=True)
    closer.start()
    waiter.join(10)
    woke = not waiter.is_alive()
    for copy in copies:
        os.close(copy)
    closer.join()
    assert woke
    assert "closed" in str(errors[0])


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({1: value(0)}, r"push the tensors \[0\], not \[1\]"),
        ({0: value(0), 1: value(0)}, r"push the tensors \[0\]"),
        ({0: value(0)[:2]}, r"tensor 0 is int64 \(3,\), not int64 \(2,\)"),
        ({0: value(0).astype(np.int32)}, r"not int32 \(3,\)"),
        ({0: 7}, r"not int64 \(\)"),
        ({0: [[1], [2, 3]]}, "no arrays"),
        (np.zeros(1), "by tensor id, or None at the end, not ndarray"),
        ([], "not list"),
    ],
)
def test_values_that_are_not_the_models_are_refused(
    strange: ModuleType, inputs: dict[int, np.ndarray], said: str
) -> None:
    with Pipeline([strange.stage(1)], settings=QUICK) as pipeline:
        with pytest.raises(BadInput, match=said):
            pipeline.push(inputs)
        assert len(through(pipeline, 3)) == 3  # and nothing has happened


def test_stages_that_are_no_pipeline_are_refused(strange: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = strange.stage(1), strange.stage(2)

    def refused(stages: list[object], **options: object) -> str:
        with pytest.raises(BadInput) as caught:
            Pipeline(stages, settings=QUICK, **options)  # type: ignore[arg-type]
        return str(caught.value)

    assert "at least one stage" in refused([])
    assert "each stage a device" in refused([strange.stage(1, replicas=0)])
    assert refused([two, one]) == "stage 1 takes tensor 1, which only stage 2 makes"
    assert "made by stage 1 and again by stage 2" in refused([one, one])
    assert refused([one], queue=0) == "queue = 0 is not possible; take 1 to 256"
    assert "take 1 to 256" in refused([one], queue=257)
    assert "tensor 9 can't be popped: no stage makes it" in refused([one], outputs=[9])
    assert "none to pop" in refused([one], outputs=[])
    simulated = strange.stage(1, driver=type("Simulated", (strange.StrangeDriver,), {"isolated": False})())
    assert "is simulated" in refused([simulated])
    monkeypatch.setattr("paraedge.devices.registry.port", lambda device: "usb 2-1")
    assert "two places" in refused([one, two])


def test_a_run_tells_how_time_was_spent(strange: ModuleType) -> None:
    stages = [strange.stage(1, ms=5), strange.stage(2, ms=20)]
    run = run_pipeline(stages, inputs=12, settings=QUICK)
    assert isinstance(run, PipelineRun)
    first, second = run.stages
    assert [(s.stage, s.replica, s.device, s.first, s.end, s.inputs) for s in run.stages] == [
        (1, 1, "strange", 10, 20, 12),
        (2, 1, "strange", 20, 30, 12),
    ]
    assert (first.input_bytes, first.output_bytes) == (24, 24)
    assert first.compute_ms >= 5
    assert second.compute_ms >= 20
    assert first.blocked_ms > first.compute_ms > first.wait_ms  # held up by the second
    assert second.busy_share > first.busy_share
    assert len(run.pass_ms) == run.inputs == 12
    assert run.wall_ms >= 12 * 20 + 5
    assert 25 <= run.fill_ms < run.wall_ms
    assert 25 <= run.drain_ms < run.wall_ms
    assert run.fill_ms == run.pass_ms[0]
    assert all(25 <= one <= run.wall_ms for one in run.pass_ms)
    assert run.steady_per_s is not None
    assert run.throughput_per_s < run.steady_per_s <= 50


def test_replicas_share_the_inputs_of_a_run(strange: ModuleType) -> None:
    run = run_pipeline([strange.stage(1, replicas=3, ms=1)], inputs=8, settings=QUICK)
    assert isinstance(run, PipelineRun)
    assert [(s.stage, s.replica, s.inputs) for s in run.stages] == [(1, 1, 3), (1, 2, 3), (1, 3, 2)]
    few = run_pipeline([strange.stage(1, replicas=3)], inputs=1, settings=QUICK)
    assert isinstance(few, PipelineRun)
    assert [(s.replica, s.inputs) for s in few.stages] == [(1, 1)]
    assert few.steady_per_s is None
    assert few.wall_ms == few.fill_ms == few.pass_ms[0]


def test_a_short_run_is_repeated_and_its_last_described(strange: ModuleType) -> None:
    run = run_pipeline([strange.stage(1, ms=3), strange.stage(2, ms=3)], inputs=2, settings=QUICK, repeats=4)
    assert isinstance(run, PipelineRun)
    assert len(run.earlier_ms) == 3
    assert all(9 <= wall_ms < 1000 for wall_ms in (*run.earlier_ms, run.wall_ms))  # two of three, filling included
    assert [(stage.stage, stage.inputs) for stage in run.stages] == [(1, 2), (2, 2)]
    assert len(run.pass_ms) == run.inputs == 2


def test_a_run_of_no_inputs_is_refused(strange: ModuleType) -> None:
    with pytest.raises(BadInput, match="inputs = 0"):
        run_pipeline([strange.stage(1)], inputs=0, settings=QUICK)


def test_what_a_stage_prints_is_no_message(strange: ModuleType) -> None:
    run = run_pipeline([strange.stage(1, wrong="chatter", when=4)], inputs=9, settings=QUICK)
    assert isinstance(run, PipelineRun)


def test_a_session_without_the_door_is_a_failure(strange: ModuleType) -> None:
    failed = run_pipeline([strange.stage(1, driver=strange.DoorlessDriver())], inputs=1, settings=QUICK)
    assert isinstance(failed, Failure)
    assert (failed.stage, failed.error) == ("load", "BadInput")
    assert failed.message.startswith("stage 1 of 1 on strange, layers 10-19: strange can't be a stage of a pipeline")


def test_a_stage_waits_longer_than_its_time_out_without_harm(strange: ModuleType) -> None:
    """Silence is counted while a stage works, not while it waits for inputs or for room."""
    settings = MeasureSettings(warm_up_s=0.0, block_ms=0.0, timeout_s=2.0)
    with Pipeline([strange.stage(1), strange.stage(2)], queue=1, settings=settings) as pipeline:
        time.sleep(3)
        while pipeline.push({0: value(1)}, timeout_s=0.2):
            pass
        time.sleep(3)
        pipeline.push(None)
        while pipeline.pop() is not None:
            pass


def test_targets_may_differ_in_a_stage(strange: ModuleType) -> None:
    stages = strange.stage(1)
    stages = type(stages)(**{**vars(stages), "targets": (Target(device="a"), Target(device="b"))})
    run = run_pipeline([stages], inputs=4, settings=QUICK)
    assert isinstance(run, PipelineRun)
    assert [one.device for one in run.stages] == ["a", "b"]
