"""Each way in which a stage can go wrong, at each moment: the failure names it, nothing hangs and nothing is left."""

from __future__ import annotations

import importlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import psutil
import pytest
from processes import PATIENCE_S, gone, wait_for

from paraedge.core.device import MeasureSettings
from paraedge.core.errors import ParaedgeError
from paraedge.core.outcome import Failure
from paraedge.core.pipeline import PipelineRun
from paraedge.run import Pipeline, PipelineStage, run_pipeline
from paraedge.run.crew import PipelineFailed

QUICK = MeasureSettings(warm_up_s=0.0, block_ms=0.0)
IMPATIENT = MeasureSettings(warm_up_s=0.0, block_ms=0.0, timeout_s=3.0)
VALUE = {0: np.array([1, 2, 3])}

pytestmark = pytest.mark.usefixtures("nothing_left")


@pytest.fixture
def strange(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    return importlib.import_module("strange_stages")


def three(strange: ModuleType, number: int = 0, **options: object) -> list[PipelineStage]:
    """Three stages, of which `number` has these options."""
    return [strange.stage(i, **(options if i == number else {})) for i in (1, 2, 3)]


def pop_all(pipeline: Pipeline) -> None:
    """Until the end, and until all is told."""
    while pipeline.pop() is not None:
        pass
    pipeline.finish()


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize(
    ("how", "when", "error", "name", "said"),
    [
        ("raise", "load", "ParaedgeError", None, "this one raises"),
        ("leave", "load", "ChildEnded", None, "exit code 3; it last printed: goodbye"),
        ("raise", 9, "ParaedgeError", None, "this one raises"),
        ("segfault", 9, "ChildKilled", "SIGSEGV", "SIGSEGV"),
    ],
)
def test_the_failure_names_the_stage(
    strange: ModuleType, number: int, how: str, when: str | int, error: str, name: str | None, said: str
) -> None:
    stages = three(strange, number, wrong=how, when=when)
    failed = run_pipeline(stages, inputs=30, settings=QUICK)
    assert isinstance(failed, Failure)
    assert (failed.stage, failed.error, failed.signal) == ("load" if when == "load" else "run", error, name)
    assert failed.message.startswith(f"stage {number} of 3 on strange, layers {10 * number}-{10 * number + 9}: ")
    assert said in failed.message


@pytest.mark.parametrize(
    ("device", "error", "said"),
    [
        ("leave at open", "ChildEnded", "exit code 3"),
        ("raise at open", "ParaedgeError", "this one raises"),
        ("hang at open", "TimeOut", "no sign of life"),
    ],
)
def test_a_device_that_cannot_be_opened(strange: ModuleType, device: str, error: str, said: str) -> None:
    failed = run_pipeline(three(strange, 2, device=device), inputs=3, settings=IMPATIENT)
    assert isinstance(failed, Failure)
    assert (failed.stage, failed.error) == ("open", error)
    assert failed.message.startswith(f"stage 2 of 3 on {device}, layers 20-29: ")
    assert said in failed.message


def test_a_failure_does_not_wait_for_a_stage_that_hangs(strange: ModuleType) -> None:
    """The second stage would be given up only after two minutes."""
    stages = [strange.stage(1, wrong="leave", when="load", load_ms=500), strange.stage(2, device="hang at open")]
    begin = time.monotonic()
    failed = run_pipeline(stages, inputs=3, settings=QUICK)
    assert isinstance(failed, Failure)
    assert failed.message.startswith("stage 1 of 2")
    assert time.monotonic() - begin < QUICK.timeout_s / 4


@pytest.mark.parametrize("how", ["hang", "hang in native code"])
def test_a_stage_that_hangs_is_a_time_out(strange: ModuleType, how: str) -> None:
    failed = run_pipeline(three(strange, 2, wrong=how, when=9), inputs=30, settings=IMPATIENT)
    assert isinstance(failed, Failure)
    assert (failed.stage, failed.error) == ("run", "TimeOut")
    assert failed.message.startswith("stage 2 of 3 on strange, layers 20-29: no sign of life for 3 s")


def test_a_replica_is_named(strange: ModuleType) -> None:
    failed = run_pipeline([strange.stage(1, replicas=2, wrong="raise", when=4)], inputs=30, settings=QUICK)
    assert isinstance(failed, Failure)
    assert failed.message.startswith(("stage 1 of 1, replica 1 of 2 on strange", "stage 1 of 1, replica 2 of 2 on"))


def test_memory_beyond_the_limit(strange: ModuleType) -> None:
    settings = MeasureSettings(warm_up_s=0.0, block_ms=0.0, memory_mb=1000)
    failed = run_pipeline(three(strange, 3, wrong="allocate", when=6), inputs=9, settings=settings)
    assert isinstance(failed, Failure)
    assert (failed.stage, failed.error) == ("run", "MemoryError")
    assert failed.message.startswith("stage 3 of 3 on strange, layers 30-39: ")
    assert "under a limit of 1000 MiB" in failed.message


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"shape": (4,)}, "tensor 1 is int64 (4,) here and int64 (3,) before"),
        ({"dtype": "int32"}, "tensor 1 is int32 (3,) here and int64 (3,) before"),
        ({"inputs": (1, 0)}, None),
        ({"outputs": (2, 9)}, None),
        ({"dtype": "S5"}, "no fixed size"),
    ],
)
def test_models_that_do_not_fit_together(strange: ModuleType, options: dict[str, object], said: str | None) -> None:
    stages = three(strange, 2, **options)
    if said is None:  # the stage says other than its file does
        two = {**vars(strange.stage(2)), **options}
        stages = [stages[0], PipelineStage(**two), stages[2]]
        said = "the model file has 1 "
    failed = run_pipeline(stages, inputs=3, settings=QUICK)
    assert isinstance(failed, Failure)
    assert (failed.stage, failed.error) == ("load", "BadInput")
    assert said in failed.message


def test_push_and_pop_both_raise_and_go_on_raising(strange: ModuleType) -> None:
    with Pipeline(three(strange, 2, wrong="leave", when=5), settings=QUICK) as pipeline:
        pushed: list[Exception] = []

        def push() -> None:
            try:
                while True:
                    pipeline.push(VALUE)
            except ParaedgeError as error:
                pushed.append(error)

        pusher = threading.Thread(target=push)
        pusher.start()
        with pytest.raises(PipelineFailed, match="stage 2 of 3 on strange") as caught:
            pop_all(pipeline)
        pusher.join(PATIENCE_S)
        assert not pusher.is_alive()
        assert str(pushed[0]) == str(caught.value)
        assert caught.value.failure.error == "ChildEnded"
        for call in (pipeline.pop, lambda: pipeline.push(VALUE), lambda: pipeline.push(None), pipeline.finish):
            with pytest.raises(PipelineFailed, match="stage 2 of 3"):
                call()


# --- killed from outside, at each moment ---


def killed(strange: ModuleType, folder: Path, number: int, moment: Callable[[], bool], **options: object) -> object:
    """What comes of a run of three stages whose number `number` gets SIGKILL when `moment` says so."""
    stages = [strange.stage(i, path=folder / str(i), ms=2, **options) for i in (1, 2, 3)]

    def kill() -> None:
        file = folder / str(number)
        assert wait_for(lambda: file.is_file() and file.read_text() != "")
        assert wait_for(moment)
        process = int(file.read_text())
        if process in {child.pid for child in psutil.Process().children()}:  # it may have ended by itself
            os.kill(process, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    outcome = run_pipeline(stages, inputs=60, settings=QUICK)
    killer.join()
    return outcome


@pytest.mark.parametrize("number", [1, 2, 3])
def test_killed_while_it_loads(strange: ModuleType, tmp_path: Path, number: int) -> None:
    failed = killed(strange, tmp_path, number, lambda: True, load_ms=1000)
    assert isinstance(failed, Failure)
    assert (failed.stage, failed.error, failed.signal) == ("load", "ChildKilled", "SIGKILL")
    assert failed.message.startswith(f"stage {number} of 3")


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("attempt", [0, 1, 2])
def test_killed_at_any_moment(strange: ModuleType, tmp_path: Path, number: int, attempt: int) -> None:
    """From loading on, through the run, which takes at least 120 ms; where all was over by then, all is well."""
    until = time.monotonic() + random.Random(10 * number + attempt).uniform(0.2, 1.0)
    outcome = killed(strange, tmp_path, number, lambda: time.monotonic() >= until)
    if isinstance(outcome, Failure):
        assert (outcome.error, outcome.signal) == ("ChildKilled", "SIGKILL")
        assert outcome.message.startswith(f"stage {number} of 3")
    else:
        assert isinstance(outcome, PipelineRun)
        assert outcome.inputs == 60


@pytest.mark.parametrize(("number", "popped"), [(1, 0), (2, 0), (3, 0), (3, 3)])
def test_killed_while_it_drains(strange: ModuleType, tmp_path: Path, number: int, popped: int) -> None:
    """The last input is in, and the stage has not seen it yet."""
    stages = [strange.stage(i, path=tmp_path / str(i), ms=100) for i in (1, 2, 3)]
    with Pipeline(stages, settings=QUICK) as pipeline:
        for _ in range(5):
            pipeline.push(VALUE)
        pipeline.push(None)
        for _ in range(popped):
            assert pipeline.pop() is not None
        os.kill(int((tmp_path / str(number)).read_text()), signal.SIGKILL)
        with pytest.raises(PipelineFailed, match=f"stage {number} of 3.*SIGKILL"):
            pop_all(pipeline)


def test_killed_when_it_has_passed_all_on(strange: ModuleType, tmp_path: Path) -> None:
    """A stage that has nothing left to do is missed by nobody."""
    stages = [strange.stage(i, path=tmp_path / str(i), ms=20) for i in (1, 2, 3)]
    with Pipeline(stages, queue=8, settings=QUICK) as pipeline:
        for _ in range(8):
            pipeline.push(VALUE)
        pipeline.push(None)
        process = int((tmp_path / "1").read_text())
        assert wait_for(lambda: gone(process))
        for _ in range(8):
            assert pipeline.pop() is not None
        pop_all(pipeline)


def test_a_stopped_stage_is_a_time_out(strange: ModuleType, tmp_path: Path) -> None:
    file = tmp_path / "pid"
    with Pipeline([strange.stage(1), strange.stage(2, path=file)], settings=IMPATIENT) as pipeline:
        pipeline.push(VALUE)
        pipeline.pop()
        os.kill(int(file.read_text()), signal.SIGSTOP)
        pipeline.push(VALUE)
        with pytest.raises(PipelineFailed, match="stage 2 of 2 on strange, layers 20-29: no sign of life"):
            pipeline.pop()


# --- the parent ends ---

PARENT = """
import importlib, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from paraedge.core.device import MeasureSettings
from paraedge.run import run_pipeline
strange = importlib.import_module("strange_stages")
stages = [strange.stage(i, path=Path({folder!r}) / str(i), replicas=1, ms={ms}, **{options!r}) for i in (1, 2, 3)]
try:
    run_pipeline(stages, inputs=100000, settings=MeasureSettings())
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.mark.parametrize("options", [{"load_ms": 60_000}, {}, {"wrong": "hang in native code", "when": 7}])
@pytest.mark.parametrize("killing", [signal.SIGKILL, signal.SIGINT])
def test_children_end_with_their_parent(options: dict[str, object], killing: signal.Signals, tmp_path: Path) -> None:
    script = PARENT.format(tests=str(Path(__file__).parent), folder=str(tmp_path), ms=5, options=options)
    parent = subprocess.Popen(
        [sys.executable, "-c", script], start_new_session=True, stderr=subprocess.PIPE, stdout=subprocess.PIPE
    )
    files = [tmp_path / str(i) for i in (1, 2, 3)]
    try:
        assert wait_for(lambda: all(file.is_file() and file.read_text() for file in files)), "the children never began"
        time.sleep(0.3)
        children = [int(file.read_text()) for file in files]
        assert not any(map(gone, children))
        if killing == signal.SIGINT:
            os.killpg(parent.pid, killing)  # a terminal's Ctrl-C reaches parent and children
        else:
            parent.send_signal(killing)
        out, err = parent.communicate(timeout=PATIENCE_S)
    finally:
        parent.kill()
        parent.wait()
    assert wait_for(lambda: all(map(gone, children))), "a child outlived its parent"
    assert (out, err) == (b"", b"")
    assert parent.returncode == (130 if killing == signal.SIGINT else -killing)


# --- this machine has no more to give ---


def test_no_more_files(strange: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = os.pipe, 0

    def pipe() -> tuple[int, int]:
        nonlocal calls
        calls += 1
        if calls > 5:
            raise OSError(24, "Too many open files")
        return real()

    with monkeypatch.context() as patch:
        patch.setattr(os, "pipe", pipe)
        with pytest.raises(ParaedgeError, match="Too many open files"):
            Pipeline(three(strange), settings=QUICK)


def test_no_more_files_for_a_child(strange: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """One stage has two rings, each with two pipes, and then wants three more to talk through."""
    real, calls = os.pipe, 0

    def pipe() -> tuple[int, int]:
        nonlocal calls
        calls += 1
        if calls > 6:
            raise OSError(24, "Too many open files")
        return real()

    with monkeypatch.context() as patch:
        patch.setattr(os, "pipe", pipe)
        failed = run_pipeline([strange.stage(1)], inputs=1, settings=QUICK)
    assert calls == 7
    assert isinstance(failed, Failure)
    assert (failed.stage, failed.error) == ("open", "OSError")
    assert failed.message == "stage 1 of 1 on strange, layers 10-19: [Errno 24] Too many open files"


@pytest.mark.parametrize("number", [2, 4])
def test_no_more_threads(strange: ModuleType, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Neither for the second stage, nor for the one that pushes."""
    real, calls = threading.Thread.start, 0

    def start(thread: threading.Thread) -> None:
        nonlocal calls
        calls += 1
        if calls == number:
            raise RuntimeError("can't start new thread")
        real(thread)

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        with pytest.raises(ParaedgeError, match="no thread left"):
            run_pipeline(three(strange), inputs=1, settings=QUICK)


def test_what_goes_wrong_as_inputs_are_pushed_is_told(strange: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not only that the pipeline was closed."""

    def push(*_: object) -> bool:
        raise MemoryError("no room for the values")

    monkeypatch.setattr(Pipeline, "push", push)
    with pytest.raises(MemoryError, match="no room for the values"):
        run_pipeline(three(strange), inputs=1, settings=QUICK)


def test_no_more_memory(strange: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    def reserve(*_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", reserve)
        with pytest.raises(ParaedgeError, match="No space left on device"):
            Pipeline(three(strange), settings=QUICK)


def test_no_interpreter(strange: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/nonexistent/python")
    failed = run_pipeline(three(strange), inputs=1, settings=QUICK)
    assert isinstance(failed, Failure)
    assert (failed.stage, failed.error) == ("open", "FileNotFoundError")


def test_a_ring_in_a_file_where_memory_has_no_descriptors(strange: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "memfd_create")
    assert isinstance(run_pipeline(three(strange), inputs=20, settings=QUICK), PipelineRun)
