"""The parent of the converter's child, with a stand-in for the child: no TensorFlow."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import os
import sys
import types
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paraedge import models
from paraedge.build import build_artifact, converter, converter_child, converter_process
from paraedge.build.converter import Converter, fields_of
from paraedge.core.errors import BadInput
from paraedge.core.outcome import Artifact, Failure
from paraedge.core.spec import ModelSpec, Precision
from paraedge.models import FAMILIES

CHILD = """
import json, os, pathlib, signal, sys, time

pathlib.Path(sys.argv[1], "born").open("a").write("x")
write = int(sys.argv[3])


def say(**message):
    os.write(write, json.dumps(message).encode() + b"\\n")


for line in sys.stdin:
    request = json.loads(line)
    print("chatter of", request["spec"]["seed"], flush=True)
    say(phase="starting")
    match request["spec"]["seed"]:
        case 1:
            os.kill(os.getpid(), signal.SIGSEGV)
        case 2:
            sys.exit(3)
        case 3:
            time.sleep(60)
        case 4:
            print("terminate called after throwing an instance of 'std::bad_alloc'", flush=True)
            os.abort()
        case 5:
            os.write(write, b"no message\\n")
        case 6:
            say(error="ConverterError", message="an op that it does not know")
        case 7:
            say(error="MemoryError", message="could not allocate")
        case 8:
            os.kill(os.getpid(), signal.SIGKILL)
        case 9:
            pathlib.Path(request["path"]).write_bytes(b"no model")
            say(file_bytes=8, memory_bytes=0)
        case 10:
            print("x: error: the scales differ", "Traceback", "RuntimeError", sep="\\n", flush=True)
            say(error="RuntimeError", message="")
        case 11:
            os.write(write, b"[1]\\n")
        case seed:
            data = pathlib.Path(sys.argv[1], request["spec"]["precision"]).read_bytes()
            pathlib.Path(request["path"]).write_bytes(data)
            say(file_bytes=len(data), memory_bytes=1 << 40 if seed == 12 else 0)
"""
"""What it does goes by the seed of the model."""


def matmul(seed: int = 0, precision: Precision = "int8", n: int = 8) -> ModelSpec:
    return ModelSpec(family="matmul", params=FAMILIES["matmul"].params(n=n), precision=precision, seed=seed)


@pytest.fixture
def child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a stand-in for the child; `born` has a letter for each that was started."""
    folder = tmp_path / "child"
    folder.mkdir()
    for name in ("int8", "float32"):
        spec = matmul(precision=name)  # type: ignore[arg-type]
        made = build_artifact(spec, models.build_graph(spec), folder)
        assert isinstance(made, Artifact)
        made.path.rename(folder / name)
    (folder / "child.py").write_text(CHILD)
    monkeypatch.setattr(converter_process, "CHILD", (sys.executable, str(folder / "child.py"), str(folder)))
    monkeypatch.setattr(converter, "check_installed", lambda: None)
    return folder


def born(child: Path) -> int:
    return len((child / "born").read_text())


def test_one_child_serves_many_models(child: Path, tmp_path: Path) -> None:
    told: list[tuple[int, str]] = []
    with Converter(tmp_path / "c.log", told=lambda spec, phase: told.append((spec.seed, phase))) as made:
        artifacts = [made.build(matmul(seed), tmp_path / "out") for seed in (20, 21)]
    for artifact, seed in zip(artifacts, (20, 21), strict=True):
        assert isinstance(artifact, Artifact)
        assert artifact.recipe == "tensorflow"
        assert artifact.path == tmp_path / "out" / f"{matmul(seed).spec_id}.tflite"
        assert artifact.file_bytes == artifact.path.stat().st_size
    assert len(list((tmp_path / "out").iterdir())) == 2
    assert born(child) == 1
    assert told == [(20, "starting"), (21, "starting")]
    assert (tmp_path / "c.log").read_text() == "chatter of 20\nchatter of 21\n"


@pytest.mark.parametrize(
    ("seed", "error", "signal", "text", "children"),
    [
        (1, "ChildKilled", "SIGSEGV", "was ended by SIGSEGV", 2),
        (2, "ChildEnded", None, "exit code 3", 2),
        (3, "TimeOut", None, "no model after 1 s", 2),
        (4, "MemoryError", "SIGABRT", "out of memory", 2),
        (5, "BadMessage", None, "no message", 2),
        (6, "ConverterError", None, "an op that it does not know", 1),
        (7, "MemoryError", None, "could not allocate", 2),
        (8, "ChildKilled", "SIGKILL", "probably out of memory", 2),
        (9, "BadModelFile", None, "can't be read", 1),
        (10, "RuntimeError", None, "the scales differ", 1),
        (11, "BadMessage", None, "no message", 2),
    ],
)
def test_a_child_that_fails_is_a_failure_of_its_model_alone(
    child: Path, tmp_path: Path, seed: int, error: str, signal: str | None, text: str, children: int
) -> None:
    with Converter(tmp_path / "c.log", timeout_s=1.0 if seed == 3 else 30.0) as made:
        failed = made.build(matmul(seed), tmp_path / "out")
        made.timeout_s = 30.0
        after = made.build(matmul(20), tmp_path / "out")
    assert isinstance(failed, Failure)
    assert (failed.stage, failed.error, failed.signal) == ("build", error, signal)
    assert text in failed.message
    assert str(tmp_path / "c.log") in failed.message
    assert isinstance(after, Artifact)
    assert [path.name for path in (tmp_path / "out").iterdir()] == [after.path.name]
    assert born(child) == children


def test_a_limit_of_memory_is_told_with_the_failure(child: Path, tmp_path: Path) -> None:
    with Converter(tmp_path / "c.log", memory_mb=5000) as made:
        failed = made.build(matmul(8), tmp_path)
    assert isinstance(failed, Failure)
    assert "under a limit of 5000 MiB" in failed.message


def test_a_child_that_has_grown_or_ended_is_replaced_without_harm(child: Path, tmp_path: Path) -> None:
    with Converter(tmp_path / "c.log") as made:
        assert isinstance(made.build(matmul(12), tmp_path), Artifact)
        assert isinstance(made.build(matmul(20), tmp_path), Artifact)
        assert born(child) == 2
        (one,) = psutil.Process().children()
        one.kill()
        one.wait()
        assert isinstance(made.build(matmul(21), tmp_path), Artifact)
    assert born(child) == 3
    assert psutil.Process().children() == []


def test_a_float_tensor_in_an_int8_model_is_a_failure_that_names_the_op(child: Path, tmp_path: Path) -> None:
    (child / "int8").write_bytes((child / "float32").read_bytes())
    with Converter(tmp_path / "c.log") as made:
        failed = made.build(matmul(), tmp_path / "out")
        assert isinstance(made.build(matmul(precision="float32"), tmp_path / "out"), Artifact)
    assert isinstance(failed, Failure)
    assert failed.error == "FloatTensors"
    assert "op 0, FULLY_CONNECTED, was left in float32" in failed.message


def test_what_cannot_be_converted_starts_no_child(child: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    large = ModelSpec(family="fc", params=FAMILIES["fc"].params(layer=9, node=8192))
    wrong = dataclasses.replace(matmul(), batch=0)
    with Converter(tmp_path / "c.log", memory_mb=600) as made:
        found = [made.build(spec, tmp_path) for spec in (large, wrong, matmul(n=4096))]
    assert [failure.error for failure in found if isinstance(failure, Failure)] == [
        "TooLarge",
        "BadInput",
        "MemoryError",
    ]
    assert not (child / "born").exists()


def test_a_model_without_space_for_its_temporary_copy_is_refused_before(
    child: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Converter(tmp_path / "c.log") as made:
        monkeypatch.setattr(converter, "SAVED_BYTES", 1 << 60)
        failed = made.build(matmul(), tmp_path)
    assert isinstance(failed, Failure)
    assert "MiB for temporary files" in failed.message
    assert not (child / "born").exists()


def test_a_folder_or_log_that_cannot_be_written_is_said(child: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with Converter(tmp_path / "c.log") as made:
        failed = made.build(matmul(), tmp_path / "file")
    assert isinstance(failed, Failure)
    assert "can't write into" in failed.message
    with pytest.raises(BadInput, match="can't write the converter's log"):
        Converter(tmp_path / "file" / "c.log").__enter__()


@pytest.mark.parametrize("missing", ["tensorflow", "keras"])
def test_missing_tensorflow_is_one_sentence_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == missing else sys)
    with pytest.raises(BadInput, match=rf"needs {missing}, which.*: pip install 'paraedge\[tensorflow\]'"):
        Converter(tmp_path / "c.log").__enter__()
    assert not (tmp_path / "c.log").exists()


@pytest.mark.parametrize(
    ("raised", "error"),
    [
        (ValueError("an op"), "ValueError"),
        (RuntimeError("std::bad_alloc"), "MemoryError"),
        (RuntimeError("OOM when allocating tensor with shape[3]"), "MemoryError"),
    ],
)
def test_an_exception_in_the_child_is_its_answer_with_the_traceback_in_the_log(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, raised: Exception, error: str
) -> None:
    def convert(*_: object) -> None:
        raise raised

    monkeypatch.setitem(sys.modules, "paraedge.build.keras_model", types.SimpleNamespace(convert=convert))
    replies, write = os.pipe()
    converter_child.answer({"spec": fields_of(matmul()), "path": "unused"}, write)
    os.close(write)
    with open(replies) as lines:
        said = [json.loads(line) for line in lines]
    assert said == [{"error": error, "message": str(raised)}]  # TensorFlow has started, which is not said again
    assert "Traceback" in capsys.readouterr().err


SPECS = st.one_of(
    st.builds(
        lambda widths: ModelSpec(family="fc", params=FAMILIES["fc"].params(widths=tuple(widths))),
        st.lists(st.integers(1, 2**20), min_size=1, max_size=9),
    ),
    st.builds(
        lambda n, batch, precision, seed: ModelSpec(
            family="matmul", params=FAMILIES["matmul"].params(n=n), batch=batch, precision=precision, seed=seed
        ),
        st.integers(1, 2**20),
        st.integers(1, 2**20),
        st.sampled_from(["int8", "float32", "float16", "dynamic_range"]),
        st.integers(0, 2**63 - 1),
    ),
    st.sampled_from(sorted(models.zoo.MODELS)).map(
        lambda name: ModelSpec(family="zoo", params=FAMILIES["zoo"].params(model=name))
    ),
)


@given(SPECS)
def test_a_spec_reaches_the_child_as_it_is(spec: ModelSpec) -> None:
    assert converter_child.spec_of(json.loads(json.dumps(fields_of(spec)))) == spec
    assert os.environ.get("KERAS_BACKEND") is None  # the parent's own environment stays as it was
