"""Finding the compiler, and running foreign programs so that they can neither hang us nor outlive us."""

from __future__ import annotations

import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from compiler_stand_in import VERSION, write_compiler

from paraedge.build import compiler as room
from paraedge.build.compiler import CompileOptions, Compiler, find_compiler, run_watched
from paraedge.core.device import Absence


def name_it(monkeypatch: pytest.MonkeyPatch, program: Path) -> None:
    monkeypatch.setenv("PARAEDGE_EDGETPU_COMPILER", str(program))


def test_the_variable_names_the_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name_it(monkeypatch, write_compiler(tmp_path / "c"))
    assert find_compiler() == Compiler(path=tmp_path / "c" / "edgetpu_compiler", version=VERSION)


def test_else_the_path_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = write_compiler(tmp_path / "c", version_text="Edge TPU Compiler version 2.0.258810407")
    monkeypatch.setenv("PATH", f"{tmp_path / 'c'}:{os.environ['PATH']}")
    assert find_compiler() == Compiler(path=program, version="2.0.258810407")


def test_a_compiler_that_is_replaced_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = write_compiler(tmp_path / "c")
    name_it(monkeypatch, program)
    find_compiler()
    write_compiler(tmp_path / "c", version_text="Edge TPU Compiler version 15.0.340273435")
    os.utime(program, ns=(1, 1))
    found = find_compiler()
    assert isinstance(found, Compiler)
    assert found.version == "15.0.340273435"


@pytest.mark.parametrize(("machine", "remedy"), [("x86_64", "apt install"), ("aarch64", "x86-64 host")])
def test_none_at_all(monkeypatch: pytest.MonkeyPatch, machine: str, remedy: str) -> None:
    monkeypatch.setattr(platform, "machine", lambda: machine)
    found = find_compiler()
    assert isinstance(found, Absence)
    assert remedy in str(found.remedy)


@pytest.mark.parametrize("kind", ["absent", "folder", "not executable", "no program"])
def test_what_is_no_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    path = tmp_path / "compiler"
    if kind == "folder":
        path.mkdir()
    elif kind != "absent":
        path.write_bytes(b"\x7fELF garbage")
        path.chmod(0o644 if kind == "not executable" else 0o755)
    name_it(monkeypatch, path)
    found = find_compiler()
    assert isinstance(found, Absence)
    assert str(path) in found.reason


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("bash 5.2", 0),
        ("gcc version 12.2.0 (Debian 12.2.0-14)", 0),
        ("", 0),
        ("Edge TPU Compiler version 16.0.1", 1),
        ("version \xff\n" * 9999, 0),
    ],
)
def test_a_program_that_does_not_answer_as_the_compiler(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, code: int
) -> None:
    name_it(monkeypatch, write_compiler(tmp_path / "c", version_text=text, version_exit=code))
    found = find_compiler()
    assert isinstance(found, Absence)
    assert "doesn't answer" in found.reason
    assert len(found.reason) < 500


@pytest.mark.parametrize("name", ["ls", "true", sys.executable])
def test_another_program_is_no_compiler(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    program = shutil.which(name)
    assert program is not None
    name_it(monkeypatch, Path(program))
    found = find_compiler()
    assert isinstance(found, Absence)
    assert f"{program} doesn't answer `--version` as edgetpu_compiler does" in found.reason
    assert "PARAEDGE_EDGETPU_COMPILER" in str(found.remedy)


def test_a_compiler_that_hangs_when_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "VERSION_TIMEOUT_S", 0.3)
    (tmp_path / "slow").write_text("#!/bin/sh\nsleep 600\n")
    (tmp_path / "slow").chmod(0o755)
    name_it(monkeypatch, tmp_path / "slow")
    found = find_compiler()
    assert isinstance(found, Absence)
    assert "no answer in time" in found.reason


def test_options_become_the_compilers_own() -> None:
    assert CompileOptions().arguments() == ["--show_operations", "--timeout_sec", "180"]
    full = CompileOptions(segments=3, timeout_s=9, minimum_runtime=13, search_delegate=True)
    assert full.arguments()[2:] == ["9", "--num_segments", "3", "--min_runtime_version", "13", "--search_delegate"]
    keys = {CompileOptions(segments=n, minimum_runtime=m, search_delegate=d).key
            for n in (1, 2, 13) for m in (None, 1, 13) for d in (False, True)}  # fmt: skip
    assert len(keys) == 18
    assert CompileOptions(timeout_s=1, attempts=9).key == CompileOptions().key


def alive(pid: int) -> bool:
    """Whether a process runs; one that is dead and not yet collected doesn't."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def soon_gone(pids: list[int]) -> bool:
    for _ in range(500):
        if not any(map(alive, pids)):
            return True
        time.sleep(0.01)
    return False


def sleepers(file: Path) -> list[str]:
    """Four that sleep: a shell, its child, one that left for a session of its own, and an orphan in another."""
    escaped = "sh -c 'echo $$ >> $FILE; exec sleep 600'"
    orphan = "sh -c 'setsid sleep 600 & echo $! >> $FILE'"
    return ["env", f"FILE={file}", "sh", "-c", f"sleep 600 & echo $! $$ >> $FILE; setsid {escaped} & {orphan}; wait"]


def pids_in(file: Path, count: int) -> list[int]:
    for _ in range(1000):
        pids = file.read_text().split() if file.exists() else []
        if len(pids) == count:
            return [int(pid) for pid in pids]
        time.sleep(0.01)
    pytest.fail(f"{pids}, not {count}")


def test_output_errors_and_exit_code() -> None:
    ran = run_watched(["sh", "-c", "echo one; echo two >&2; exit 3"], 30)
    assert (ran.text, ran.exit_code, ran.signal, ran.error, ran.timed_out) == ("one\ntwo\n", 3, None, None, False)


def test_its_input_is_empty() -> None:
    assert run_watched(["cat"], 30).exit_code == 0


@pytest.mark.parametrize("command", [["sh", "-c", "kill -SEGV $$"], ["sh", "-c", "sh -c 'kill -SEGV $$'; exit $?"]])
def test_a_crash_has_its_signal_also_behind_a_shell(command: list[str]) -> None:
    ran = run_watched(command, 30)
    assert (ran.signal, ran.exit_code) == ("SIGSEGV", None)


def test_255_is_an_exit_code() -> None:
    assert run_watched(["sh", "-c", "exit 255"], 30).exit_code == 255


def test_a_program_that_cannot_start() -> None:
    ran = run_watched(["/nowhere/at/all"], 30)
    assert "No such file" in str(ran.error)
    assert ran.exit_code is None


def test_a_hang_is_ended_with_all_that_descends_from_it(tmp_path: Path) -> None:
    ran = run_watched(sleepers(tmp_path / "pids"), 4)
    assert ran.timed_out
    assert soon_gone(pids_in(tmp_path / "pids", 4))


@pytest.mark.parametrize("escape", ["", "setsid"])
def test_what_it_leaves_in_the_background_ends_with_it(tmp_path: Path, escape: str) -> None:
    ran = run_watched(["sh", "-c", f"{escape} sleep 600 & echo $! > {tmp_path / 'pid'}; echo done"], 60)
    assert (ran.text, ran.exit_code, ran.timed_out) == ("done\n", 0, False)
    assert soon_gone(pids_in(tmp_path / "pid", 1))


def test_long_output_is_cut() -> None:
    ran = run_watched(["sh", "-c", "yes | head -c 3000000; exit 5"], 60)
    assert (len(ran.text), ran.exit_code) == (room.TEXT_BYTES, 5)


def test_endless_output_is_ended() -> None:
    ran = run_watched(["yes"], 0.5)
    assert ran.timed_out
    assert len(ran.text) <= room.TEXT_BYTES


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_it_ends_when_we_do(tmp_path: Path, number: signal.Signals) -> None:
    call = f"from paraedge.build.compiler import run_watched; run_watched({sleepers(tmp_path / 'pids')!r}, 600)"
    with subprocess.Popen([sys.executable, "-c", call], stderr=subprocess.DEVNULL) as parent:
        pids = pids_in(tmp_path / "pids", 4)
        assert all(map(alive, pids))
        parent.send_signal(number)
        parent.wait(timeout=60)
    assert soon_gone(pids)
