"""Rounds over real child processes: each way a child can go wrong is a row, and the next job goes on."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from processes import PATIENCE_S, gone, wait_for

from paraedge.core.device import MeasureSettings, Target
from paraedge.core.errors import ParaedgeError
from paraedge.core.outcome import Artifact, Failure, Job, Measurement, Outcome
from paraedge.run import measure_roofs, visit

TARGET = Target(device="strange")
NO_FILE = Path("/")


@pytest.fixture
def drivers(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    return importlib.import_module("strange_drivers")


def job(recipe: str, path: Path = NO_FILE) -> Job:
    return Job(spec=None, graph=None, artifact=Artifact(path=path, file_bytes=0, recipe=recipe))


def outcomes(drivers: ModuleType, *recipes: str, **settings: object) -> list[Outcome]:
    return list(visit(drivers.StrangeDriver(), TARGET, map(job, recipes), MeasureSettings(**settings)))  # type: ignore[arg-type]


def pid(outcome: Outcome) -> str:
    assert isinstance(outcome, Measurement)
    return outcome.device.details["pid"]


def test_good_jobs_share_one_fresh_child(drivers: ModuleType) -> None:
    first, second = outcomes(drivers, "fine", "fine")
    (again,) = outcomes(drivers, "fine")
    assert pid(first) == pid(second) != pid(again)
    assert pid(first) != str(os.getpid())


@pytest.mark.parametrize(
    ("recipe", "error", "stage", "name", "said"),
    [
        ("segfault", "ChildKilled", "run", "SIGSEGV", "SIGSEGV"),
        ("abort_in_load", "MemoryError", "load", "SIGABRT", "bad_alloc"),
        ("killed", "ChildKilled", "run", "SIGKILL", "probably out of memory"),
        ("leave", "ChildEnded", "run", None, "exit code 3; it last printed: goodbye"),
    ],
)
def test_dead_child_is_a_row_and_the_next_job_goes_on(
    drivers: ModuleType, recipe: str, error: str, stage: str, name: str | None, said: str
) -> None:
    before, died, after = outcomes(drivers, "fine", recipe, "fine")
    assert isinstance(died, Failure)
    assert (died.stage, died.error, died.signal) == (stage, error, name)
    assert said in died.message
    assert pid(before) != pid(after)


@pytest.mark.parametrize("recipe", ["hang", "hang_in_native_code", "print_forever"])
def test_silence_is_a_time_out(drivers: ModuleType, recipe: str, tmp_path: Path) -> None:
    file = tmp_path / "pid"
    jobs = [job(recipe, file), job("fine")]
    hung, after = visit(drivers.StrangeDriver(), TARGET, iter(jobs), MeasureSettings(timeout_s=1.0))
    assert isinstance(hung, Failure)
    assert (hung.stage, hung.error) == ("run", "TimeOut")
    assert isinstance(after, Measurement)
    assert gone(int(file.read_text()))


def test_a_long_measurement_that_gives_signs_of_life_is_no_time_out(drivers: ModuleType) -> None:
    (outcome,) = outcomes(drivers, "long_but_alive", timeout_s=1.0)
    assert isinstance(outcome, Measurement)


def test_a_child_that_ended_between_two_jobs_takes_no_job_along(drivers: ModuleType, tmp_path: Path) -> None:
    file = tmp_path / "pid"

    def jobs() -> Iterator[Job]:
        yield job("leave_afterwards", file)
        assert wait_for(lambda: gone(int(file.read_text())))
        yield job("fine")

    first, second = visit(drivers.StrangeDriver(), TARGET, jobs(), MeasureSettings())
    assert pid(first) != pid(second)


def test_what_an_earlier_job_printed_is_not_told_of_a_later_one(drivers: ModuleType) -> None:
    _, died = outcomes(drivers, "chatter", "segfault")
    assert isinstance(died, Failure)
    assert "noise" not in died.message


def test_memory_beyond_the_limit_is_a_row_and_the_next_child_is_fresh(drivers: ModuleType) -> None:
    before, failed, after = outcomes(drivers, "fine", "allocate", "fine", memory_mb=1000)
    assert isinstance(failed, Failure)
    assert (failed.stage, failed.error) == ("run", "MemoryError")
    assert pid(before) != pid(after)


def test_what_a_child_prints_does_not_reach_the_pipe(drivers: ModuleType, capfd: pytest.CaptureFixture[str]) -> None:
    assert all(isinstance(outcome, Measurement) for outcome in outcomes(drivers, "chatter", "fine"))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("recipe", ["long_error", "long_failure"])
def test_long_texts_are_cut(drivers: ModuleType, recipe: str) -> None:
    failed, after = outcomes(drivers, recipe, "fine")
    assert isinstance(failed, Failure)
    assert 100 < len(failed.message) <= 500
    assert "\n" not in failed.message
    assert isinstance(after, Measurement)


def test_an_outcome_that_is_none_is_a_row(drivers: ModuleType) -> None:
    failed, after = outcomes(drivers, "no_outcome", "fine")
    assert isinstance(failed, Failure)
    assert isinstance(after, Measurement)


def test_a_child_loads_only_its_driver(drivers: ModuleType) -> None:
    (found,) = outcomes(drivers, "modules")
    assert isinstance(found, Failure)
    assert found.message == ""


def test_jobs_are_taken_one_by_one(drivers: ModuleType) -> None:
    taken: list[int] = []

    def jobs() -> Iterator[Job]:
        for number in range(3):
            taken.append(number)
            yield job("fine")

    for number, _ in enumerate(visit(drivers.StrangeDriver(), TARGET, jobs(), MeasureSettings())):
        assert taken == list(range(number + 1))
    assert len(taken) == 3


def test_a_job_that_failed_before_passes_through(drivers: ModuleType) -> None:
    failure = Failure(stage="build", error="TooLarge", message="over 2 GiB")
    for driver in (drivers.StrangeDriver(), drivers.InProcessDriver()):
        first, second = visit(driver, TARGET, iter([failure, job("fine")]), MeasureSettings())
        assert first is failure
        assert isinstance(second, Measurement)


def test_an_absent_device_fails_every_job_and_is_not_tried_forever(drivers: ModuleType, tmp_path: Path) -> None:
    target = Target(device=str(tmp_path / "tries"))
    jobs = (job("fine") for _ in range(20))
    found = list(visit(drivers.AbsentDriver(), target, jobs, MeasureSettings()))
    assert len(found) == 20
    assert all(isinstance(f, Failure) and (f.stage, f.error) == ("open", "DeviceMissing") for f in found)
    assert (tmp_path / "tries").read_text().count("opened") == 3


def test_a_child_that_dies_while_opening_is_one_row(drivers: ModuleType, tmp_path: Path) -> None:
    target = Target(device=str(tmp_path / "died"))
    first, second = visit(drivers.DyingDriver(), target, iter([job("fine"), job("fine")]), MeasureSettings())
    assert isinstance(first, Failure)
    assert (first.stage, first.signal) == ("open", "SIGABRT")
    assert isinstance(second, Measurement)


def test_an_interpreter_that_cannot_be_started_is_a_row(drivers: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    before = len(os.listdir("/proc/self/fd"))
    monkeypatch.setattr("sys.executable", "/nonexistent/python")
    (failed,) = outcomes(drivers, "fine")
    assert isinstance(failed, Failure)
    assert (failed.stage, failed.error) == ("open", "FileNotFoundError")
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_driver_that_runs_here_stays_here(drivers: ModuleType) -> None:
    good, bad, after = visit(
        drivers.InProcessDriver(), TARGET, map(job, ["fine", "long_error", "fine"]), MeasureSettings()
    )
    assert pid(good) == pid(after) == str(os.getpid())
    assert isinstance(bad, Failure)
    assert bad.error == "ValueError"


def test_abandoned_round_leaves_no_child(drivers: ModuleType, tmp_path: Path) -> None:
    file = tmp_path / "pid"
    rows = visit(drivers.StrangeDriver(), TARGET, iter([job("fine", file), job("fine")]), MeasureSettings())
    next(rows)
    child = int(file.read_text())
    assert not gone(child)
    rows.close()  # type: ignore[attr-defined]
    assert gone(child)


def test_no_descriptors_are_left(drivers: ModuleType) -> None:
    before = len(os.listdir("/proc/self/fd"))
    outcomes(drivers, "fine", "leave", "segfault", "fine")
    assert len(os.listdir("/proc/self/fd")) == before


def test_the_users_folder_is_not_searched_for_modules(
    drivers: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if sys.version_info < (3, 11):
        pytest.skip("Python 3.10 always searches the folder that -m is run in")
    (tmp_path / "json.py").write_text("raise SystemExit(9)")
    monkeypatch.chdir(tmp_path)
    assert isinstance(outcomes(drivers, "fine")[0], Measurement)


def test_roofs_travel_with_the_probes_macs(drivers: ModuleType) -> None:
    from paraedge.core.graph import LayerGraph

    graph = LayerGraph(name="empty", tensors=(), layers=(), inputs=(), outputs=())
    probe = Job(spec=None, graph=graph, artifact=None)
    (roof,) = measure_roofs(drivers.StrangeDriver(), TARGET, [probe], MeasureSettings())
    assert (roof.name, roof.value) == ("0", 0.5)


def test_roofs_that_fail_raise_our_own_error(drivers: ModuleType) -> None:
    with pytest.raises(ParaedgeError, match="no probes"):
        measure_roofs(drivers.StrangeDriver(), TARGET, [], MeasureSettings())


PARENT = """
import importlib, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from paraedge.core.device import MeasureSettings, Target
from paraedge.core.outcome import Artifact, Job
from paraedge.run import visit
drivers = importlib.import_module("strange_drivers")
job = Job(spec=None, graph=None, artifact=Artifact(path=Path({file!r}), file_bytes=0, recipe={recipe!r}))
try:
    list(visit(drivers.StrangeDriver(), Target(device="strange"), iter([job]), MeasureSettings()))
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.mark.parametrize("recipe", ["spin", "hang", "hang_in_native_code"])
@pytest.mark.parametrize("killing", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_child_ends_with_its_parent(recipe: str, killing: signal.Signals, tmp_path: Path) -> None:
    file = tmp_path / "pid"
    script = PARENT.format(tests=str(Path(__file__).parent), file=str(file), recipe=recipe)
    parent = subprocess.Popen(
        [sys.executable, "-c", script], start_new_session=True, stderr=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert wait_for(lambda: file.is_file() and file.read_text() != ""), "the child never started"
        child = int(file.read_text())
        assert not gone(child)
        if killing == signal.SIGINT:
            os.killpg(parent.pid, killing)  # a terminal's Ctrl-C reaches parent and child
        else:
            parent.send_signal(killing)
        out, err = parent.communicate(timeout=PATIENCE_S)
    finally:
        parent.kill()
        parent.wait()
    assert wait_for(lambda: gone(child)), "the child outlived its parent"
    assert (out, err) == (b"", b"")
    assert parent.returncode == (130 if killing == signal.SIGINT else -killing)
