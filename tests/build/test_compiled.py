"""Compiling with a stand-in that behaves as the real compiler was seen to, in each way."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import pytest
from compiler_stand_in import VERSION, Attempt, Bench, calls, compiled_twin, good, report_text

from paraedge import models
from paraedge.build import CompileOptions, build_compiled, compile_artifact
from paraedge.build import compiler as compiler_room
from paraedge.build.compiler_failures import OpStatus
from paraedge.core.outcome import Artifact, Failure
from paraedge.core.spec import ModelSpec
from paraedge.tflite import read_packages


def test_a_model_that_is_mapped_whole(bench: Bench) -> None:
    bench.plan(bench.good())
    made = good(bench.compile())
    (artifact,) = made.artifacts
    assert artifact.path == bench.out / "my net_edgetpu.tflite"
    assert [path.name for path in bench.out.iterdir()] == ["my net_edgetpu.tflite"]
    assert artifact.file_bytes == artifact.path.stat().st_size
    assert (made.compiler, artifact.compiler, made.attempts) == (VERSION, VERSION, 1)
    placement = made.placement
    assert artifact.placement == placement
    assert (placement.source, placement.on_device, placement.on_cpu) == ("compiler", tuple(range(20)), ())
    assert (placement.on_chip_bytes, placement.off_chip_bytes) == (1000, 0)
    weighted = [i for i, layer in enumerate(bench.graph.layers) if layer.op in ("CONV_2D", "FULLY_CONNECTED")]
    assert (placement.on_chip, placement.off_chip) == (tuple(weighted), ())
    (arguments,) = calls(bench.program)
    assert "--show_operations" in arguments
    assert arguments[arguments.index("--timeout_sec") + 1] == "180"
    assert not {"-a", "--enable_multiple_subgraphs", "-d", "--search_delegate", "--num_segments"} & set(arguments)


def test_streamed_bytes_have_no_layers(bench: Bench) -> None:
    bench.plan(bench.good(streamed_bytes=77))
    placement = good(bench.compile()).placement
    assert (placement.on_chip, placement.off_chip) == (None, None)
    assert (placement.on_chip_bytes, placement.off_chip_bytes) == (1000, 77)


def test_nothing_cached_is_everything_streamed(bench: Bench) -> None:
    bench.plan(bench.good(streamed_bytes=77, cached_bytes=0))
    placement = good(bench.compile()).placement
    assert placement.on_chip == ()
    assert placement.off_chip
    assert set(placement.off_chip) < set(placement.on_device)


def test_ops_left_on_the_cpu_have_the_tables_reasons(bench: Bench) -> None:
    table = [
        ("CONV_2D", 13, "Mapped to Edge TPU"),
        ("MEAN", 1, "Operation version not supported"),
        ("FULLY_CONNECTED", 1, "More than one subgraph is not supported"),
    ]
    twin = compiled_twin(bench.graph, on_cpu=(18, 19), cached_bytes=10)
    bench.plan(Attempt(text=report_text(operators=table), files={"model_edgetpu.tflite": twin}))
    placement = good(bench.compile()).placement
    assert (placement.on_device, placement.on_cpu) == (tuple(range(18)), (18, 19))
    assert placement.reasons == {18: OpStatus.VERSION.value, 19: OpStatus.SUBGRAPH.value}
    assert placement.on_chip is not None
    assert 19 not in placement.on_chip


def test_a_second_subgraph_stays_on_the_cpu(bench: Bench) -> None:
    """An ADD is refused, and all that comes after it would be another subgraph."""
    behind = tuple(range(5, 20))
    table = [
        ("CONV_2D", 4, "Mapped to Edge TPU"),
        ("CONV_2D", 10, "More than one subgraph is not supported"),
        ("ADD", 1, "Operation is otherwise supported, but not mapped due to some unspecified limitation"),
        ("ADD", 3, "More than one subgraph is not supported"),
    ]
    twin = compiled_twin(bench.graph, on_cpu=behind, cached_bytes=10)
    bench.plan(Attempt(text=report_text(operators=table), files={"model_edgetpu.tflite": twin}))
    placement = good(bench.compile()).placement
    assert (placement.on_device, placement.on_cpu) == (tuple(range(5)), behind)
    assert placement.reasons[6] == OpStatus.SUBGRAPH.value
    assert placement.reasons[5] == f"{OpStatus.LIMITATION.value} or {OpStatus.SUBGRAPH.value}"


def test_the_first_op_left_on_the_cpu_and_no_table(bench: Bench) -> None:
    twin = compiled_twin(bench.graph, on_cpu=(0,), cached_bytes=10)
    bench.plan(Attempt(text=report_text(), files={"model_edgetpu.tflite": twin}))
    placement = good(bench.compile()).placement
    assert placement.on_cpu == (0,)
    assert placement.reasons[0] == "left on the CPU by the compiler"


def test_segments_in_order(bench: Bench) -> None:
    names = [f"model_segment_{i}_of_3" for i in range(3)]
    files = {f"{name}_edgetpu.tflite": compiled_twin(bench.graph, cached_bytes=10 + i) for i, name in enumerate(names)}
    bench.plan(Attempt(text=report_text(models=names), files=files))
    made = good(bench.compile(CompileOptions(segments=3)))
    assert [a.path.name for a in made.artifacts] == [f"my net_segment_{i}_of_3_edgetpu.tflite" for i in range(3)]
    assert [read_packages(a.path)[0].cached_bytes for a in made.artifacts] == [10, 11, 12]
    assert made.placement.on_chip_bytes == 33
    assert [a.placement for a in made.artifacts] == [None] * 3
    (arguments,) = calls(bench.program)
    assert arguments[arguments.index("--num_segments") + 1] == "3"


def test_a_segment_that_is_missing_is_no_output(bench: Bench) -> None:
    bench.plan(Attempt(text=report_text(), files={"model_segment_0_of_2_edgetpu.tflite": compiled_twin(bench.graph)}))
    assert bench.failure(CompileOptions(segments=2)).error == "NoOutput"


@pytest.mark.parametrize(
    "bad",
    [Attempt(text="Internal compiler error. Aborting!\n", exit=1), Attempt(signal="SIGSEGV"), Attempt(exit=139)],
    ids=["internal error", "crash", "crash behind a shell"],
)
def test_success_on_the_second_try(bench: Bench, bad: Attempt) -> None:
    bench.plan(bad, bench.good())
    assert good(bench.compile()).attempts == bench.attempts == 2


def test_a_crash_each_time(bench: Bench) -> None:
    bench.plan(Attempt(text="thinking\n", signal="SIGSEGV"))
    found = bench.failure()
    assert (found.error, found.signal, bench.attempts) == ("Crashed", "SIGSEGV", 3)
    bench.plan(bench.good())  # not remembered
    good(bench.compile())


NEVER_THE_SAME = {
    "Crashed": Attempt(signal="SIGSEGV"),
    "TimedOut": Attempt(text="Compilation child process timed out.\n", exit=1),
    "NoOutput": Attempt(text=report_text()),
    "NotQuantized": Attempt(text="Model not quantized", exit=1),
}


@pytest.mark.parametrize("error", NEVER_THE_SAME)
def test_a_failure_that_is_passed_on_is_not_tried_again(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: str
) -> None:
    monkeypatch.setenv("PARAEDGE_CACHE", "/dev/null")  # a store that keeps nothing
    bench.plan(NEVER_THE_SAME[error])
    failed: dict[str, Failure] = {}
    spec = ModelSpec(family="matmul", params=models.FAMILIES["matmul"].params(n=8))
    first = build_compiled(spec, bench.graph, tmp_path / "work", failed=failed)
    attempts = bench.attempts
    again = build_compiled(dataclasses.replace(spec, batch=3), bench.graph, tmp_path / "work", failed=failed)
    assert isinstance(first, Failure)
    assert (first.error, again, bench.attempts) == (error, first, attempts)
    assert list((tmp_path / "work").iterdir()) == []
    build_compiled(spec, bench.graph, tmp_path / "work", failed={})
    assert bench.attempts == 2 * attempts


def test_an_internal_error_each_time(bench: Bench) -> None:
    bench.plan(Attempt(text="Internal compiler error. Aborting!\n", exit=1))
    assert bench.failure(CompileOptions(attempts=2)).error == "InternalError"
    assert bench.attempts == 2


LASTING = {
    "LargeActivations": "Compilation failed due to large activation tensors in model.",
    "NotQuantized": "Invalid model: model.tflite\nModel not quantized",
    "InvalidModel": "Invalid model: model.tflite\nModel could not be parsed",
    "DynamicShape": "The graph has dynamic-sized tensors.\nInternal compiler error. Aborting!",
    "OpVersion": "ERROR: Didn't find op for builtin opcode 'CONV_2D' version '5'.\nInvalid model: model.tflite",
}


@pytest.mark.parametrize("error", LASTING)
@pytest.mark.parametrize("code", [0, 1])
def test_what_is_so_every_time_is_tried_once_and_remembered(bench: Bench, error: str, code: int) -> None:
    bench.plan(Attempt(text=f"Edge TPU Compiler version 16\n{LASTING[error]}\n", exit=code))
    first = bench.failure()
    assert (first.error, bench.attempts) == (error, 1)
    assert bench.failure() == first
    assert bench.attempts == 1
    assert isinstance(bench.compile(use_store=False), Failure)
    assert bench.attempts == 2


def test_nothing_mapped_says_why(bench: Bench) -> None:
    twin = compiled_twin(bench.graph, mapped=False)
    table = [("CONV_2D", 20, "Operation is working on an unsupported data type")]
    bench.plan(Attempt(text=report_text(operators=table), files={"model_edgetpu.tflite": twin}))
    found = bench.failure()
    assert found.error == "NothingMapped"
    assert "CONV_2D works on an unsupported data type" in found.message
    assert list(bench.out.iterdir()) == []


def test_a_hang_is_ended_with_its_children(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler_room, "MARGIN_S", 0.5)
    bench.plan(Attempt(text="Started a compilation timeout timer of 1 seconds.\n", hang=True))
    assert bench.failure(CompileOptions(timeout_s=1)).error == "TimedOut"
    assert bench.attempts == 1
    pids = (bench.program.parent / "pids").read_text().split()
    for _ in range(500):
        if not any(Path(f"/proc/{pid}").exists() for pid in pids):
            break
        time.sleep(0.01)
    else:
        pytest.fail(f"{pids} are still there")


def test_its_own_time_out(bench: Bench) -> None:
    bench.plan(Attempt(text="Compilation child process timed out.\n", exit=1))
    assert bench.failure().error == "TimedOut"


@pytest.mark.parametrize("content", [b"", b"garbage", b"\0\0\0\0TFL3" + bytes(40)])
def test_garbage_in_place_of_the_file(bench: Bench, content: bytes) -> None:
    bench.plan(Attempt(text=report_text(), files={"model_edgetpu.tflite": content}))
    found = bench.failure()
    assert found.error == "BadOutput"
    assert ": model_edgetpu.tflite" in found.message
    assert "/" not in found.message  # it was in a folder that is gone
    assert list(bench.out.iterdir()) == []


def test_a_good_end_without_a_file(bench: Bench) -> None:
    bench.plan(Attempt(text=report_text()))
    assert bench.failure().error == "NoOutput"


@pytest.mark.parametrize("text", ["", "\x00\xff garbage \x1b[0m", "Number of operations: lots\n"])
def test_garbage_printed_by_a_run_that_failed(bench: Bench, text: str) -> None:
    bench.plan(Attempt(text=text, exit=2))
    found = bench.failure()
    assert found.error == "CompilationFailed"
    assert "exit code 2" in found.message


def test_a_scratch_path_in_the_compilers_words_is_left_out(bench: Bench) -> None:
    bench.plan(Attempt(exit=1))
    text = bench.program.read_text().replace(
        "sys.stdout.write(", 'sys.stdout.write(f"Invalid model: {sys.argv[-1]}" + '
    )
    bench.program.write_text(text)
    assert bench.failure().message.endswith(": Invalid model: model.tflite")


def test_garbage_printed_by_a_run_that_worked(bench: Bench) -> None:
    bench.plan(dataclasses.replace(bench.good(), text="\x00 garbage : 1 MiB\n"))
    made = good(bench.compile())
    assert made.report.models == ()
    assert made.placement.on_chip_bytes == 1000


def test_endless_text_is_no_harm(bench: Bench) -> None:
    bench.plan(dataclasses.replace(bench.good(), text="x" * 1000 + "\n", repeat=20_000))
    good(bench.compile())


def test_the_table_in_the_log(bench: Bench) -> None:
    log = report_text(operators=[("ADD", 4, "Mapped to Edge TPU")])
    bench.plan(dataclasses.replace(bench.good(), text=report_text(), logs={"model_edgetpu.log": log}))
    assert [line.op for line in good(bench.compile()).report.operators] == ["ADD"]


def test_a_program_that_cannot_be_started(bench: Bench) -> None:
    bench.plan(bench.good())
    bench.program.write_text(bench.program.read_text().replace("#!", "#!/no/such/python", 1))
    assert bench.failure().error == "NoCompiler"  # it can't say its version
    bench.no_compiler()
    assert bench.failure().error == "NoCompiler"


def test_without_a_compiler_the_remedy_is_told(bench: Bench) -> None:
    found = bench.failure()
    assert found.error == "NoCompiler"
    assert "to mend it" in found.message


def test_an_op_that_is_too_new_is_told_before_the_compiler_runs(bench: Bench) -> None:
    layers = tuple(
        dataclasses.replace(layer, version=12) if layer.op == "FULLY_CONNECTED" else layer
        for layer in bench.graph.layers
    )
    bench.graph = dataclasses.replace(bench.graph, layers=layers)
    bench.plan(bench.good())
    found = bench.failure()
    assert found.error == "OpVersion"
    assert "op 19 (FULLY_CONNECTED) would be refused: it has version 12" in found.message
    assert bench.attempts == 0


def test_a_folder_that_cannot_be_written(bench: Bench) -> None:
    bench.plan(bench.good())
    bench.out.write_text("a file")
    assert bench.failure().error == "FileExistsError"


def test_an_artifact_keeps_how_it_was_made(bench: Bench) -> None:
    bench.plan(bench.good())
    built = Artifact(path=bench.model, file_bytes=bench.model.stat().st_size, recipe="direct")
    made = compile_artifact(built, bench.graph, bench.out)
    assert isinstance(made, Artifact)
    assert made.recipe == "direct, edgetpu_compiler"
    assert made.placement is not None
    bench.plan(Attempt(exit=1), version="17.0.1")
    assert isinstance(compile_artifact(built, bench.graph, bench.out), Failure)


def test_what_a_crashed_attempt_left_is_not_taken_for_the_next_ones(bench: Bench) -> None:
    torn = dataclasses.replace(bench.good(), signal="SIGSEGV")
    bench.plan(torn, Attempt(text=report_text()))
    assert bench.failure().error == "NoOutput"
    assert bench.attempts == 2
