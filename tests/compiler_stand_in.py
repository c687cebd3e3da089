"""A stand-in for edgetpu_compiler: a program that does what a plan says, and texts in the documented shape."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import flatbuffers
import pytest
from ai_edge_litert import schema_py_generated as schema
from compiled_files import CUSTOM_CODE, EXECUTION_ONLY, PARAMETER_CACHING, Run, options, package

from paraedge.build import CompiledModel, CompileOptions, compile_model
from paraedge.core.graph import LayerGraph
from paraedge.core.outcome import Failure

VERSION = "16.0.384591198"

PROGRAM = """
import json, os, pathlib, shutil, signal, subprocess, sys, time
here = pathlib.Path(__file__).parent
plan = json.loads((here / "plan.json").read_text())
if sys.argv[1:] in (["-v"], ["--version"]):
    print(plan["version_text"])
    sys.exit(plan["version_exit"])
with (here / "calls.jsonl").open("a") as calls:
    calls.write(json.dumps(sys.argv[1:]) + chr(10))
number = len((here / "calls.jsonl").read_text().splitlines())
attempt = plan["attempts"][min(number, len(plan["attempts"])) - 1]
out = pathlib.Path(sys.argv[sys.argv.index("--out_dir") + 1])
for name, source in attempt["files"].items():
    shutil.copy(source, out / name)
for name, text in attempt["logs"].items():
    (out / name).write_text(text)
sys.stdout.write(attempt["text"] * attempt["repeat"])
sys.stdout.flush()
if attempt["hang"]:
    children = [subprocess.Popen([*escape, "sleep", "600"]) for escape in ([], ["setsid"])]
    (here / "pids").write_text(" ".join(str(pid) for pid in (os.getpid(), *(child.pid for child in children))))
    time.sleep(600)
if attempt["signal"]:
    os.kill(os.getpid(), signal.Signals[attempt["signal"]])
sys.exit(attempt["exit"])
"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Attempt:
    """What the program does once: prints, writes files (name -> content) and logs, then hangs, crashes or exits."""

    text: str = ""
    files: Mapping[str, bytes] = dataclasses.field(default_factory=dict)
    logs: Mapping[str, str] = dataclasses.field(default_factory=dict)
    repeat: int = 1
    hang: bool = False
    signal: str | None = None
    exit: int = 0


def write_compiler(
    folder: Path, *attempts: Attempt, version_text: str = f"Edge TPU Compiler version {VERSION}", version_exit: int = 0
) -> Path:
    """The program with its plan in `folder`, made anew; each call is the next attempt, the last one ever after."""
    folder.mkdir(parents=True, exist_ok=True)
    planned = []
    for number, attempt in enumerate(attempts):
        sources = {}
        for name, content in attempt.files.items():
            path = folder / f"{number}-{name}"
            path.write_bytes(content)
            sources[name] = str(path)
        planned.append({**dataclasses.asdict(attempt), "files": sources})
    plan = {"version_text": version_text, "version_exit": version_exit, "attempts": planned}
    (folder / "plan.json").write_text(json.dumps(plan))
    (folder / "calls.jsonl").unlink(missing_ok=True)
    program = folder / "edgetpu_compiler"
    program.write_text(f"#!{sys.executable} -IS\n{PROGRAM}")
    program.chmod(0o755)
    return program


def calls(program: Path) -> list[list[str]]:
    """The arguments of each call but those for the version."""
    file = program.parent / "calls.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def report_text(
    *,
    models: Sequence[str] = ("model",),
    on_chip: str = "1.25MiB",
    remaining: str = "5.50MiB",
    off_chip: str = "0.00B",
    operators: Sequence[tuple[str, int, str]] = (),
    word: str = "remaining",
) -> str:
    """A good run's text, in the shape that is documented, for each model or segment."""
    lines = [f"Edge TPU Compiler version {VERSION}", "", "Model compiled successfully in 120 ms.", ""]
    for model in models:
        lines += [
            "Input model: /tmp/model.tflite",
            "Input size: 1.31MiB",
            f"Output model: {model}_edgetpu.tflite",
            "Output size: 1.40MiB",
            f"On-chip memory used for caching model parameters: {on_chip}",
            f"On-chip memory {word} for caching model parameters: {remaining}",
            f"Off-chip memory used for streaming uncached model parameters: {off_chip}",
            "Number of Edge TPU subgraphs: 1",
            f"Total number of operations: {sum(count for _, count, _ in operators)}",
            f"Operation log: {model}_edgetpu.log",
            "",
        ]
    return "\n".join([*lines, *table_text(operators), "Compilation child process completed within timeout period.", ""])


def table_text(operators: Sequence[tuple[str, int, str]]) -> list[str]:
    """The table of --show_operations."""
    rows = [f"{op:<30} {count:<10} {status}" for op, count, status in operators]
    return [f"{'Operator':<30} {'Count':<10} Status", "", *rows, ""] if operators else []


def compiled_twin(
    graph: LayerGraph,
    *,
    on_cpu: Collection[int] = (),
    cached_bytes: int = 0,
    streamed_bytes: int = 0,
    mapped: bool = True,
) -> bytes:
    """What a compiler would make of `graph`: one compiled op in place of all layers but those `on_cpu`.

    With `mapped` False every layer is an ordinary op and there is no compiled one.
    """
    model = schema.ModelT()
    model.version = 3
    model.buffers = [schema.BufferT()]
    main = schema.SubGraphT()
    main.tensors = [_tensor(tensor.name, tensor.shape) for tensor in graph.tensors]
    main.inputs, main.outputs = list(graph.inputs), list(graph.outputs)
    ordinary = set(on_cpu) if mapped else set(range(len(graph.layers)))
    device = [i for i in range(len(graph.layers)) if i not in ordinary]
    before = [i for i in sorted(ordinary) if not device or i < device[0]]
    runs = [Run(kind=EXECUTION_ONLY, parameter_bytes=streamed_bytes)]
    if cached_bytes:
        runs.append(Run(kind=PARAMETER_CACHING, parameter_bytes=cached_bytes))
    model.operatorCodes, main.operators = [], []
    for index in [*before, *device[:1], *sorted(ordinary - set(before))]:
        code, operator = schema.OperatorCodeT(), schema.OperatorT()
        operator.opcodeIndex = len(model.operatorCodes)
        if index in ordinary:
            layer = graph.layers[index]
            code.builtinCode = getattr(schema.BuiltinOperator, layer.op)
            operator.inputs = [i for i in layer.inputs if graph.tensors[i].weights is None]
            operator.outputs = list(layer.outputs)
        else:
            code.builtinCode, code.customCode = schema.BuiltinOperator.CUSTOM, CUSTOM_CODE
            operator.inputs = [i for i in graph.layers[index].inputs if graph.tensors[i].weights is None]
            operator.outputs = [i for n in device for i in graph.layers[n].outputs]
            operator.customOptions = list(options(package(runs)))
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        model.operatorCodes.append(code)
        main.operators.append(operator)
    model.subgraphs = [main]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _tensor(name: str, shape: Sequence[int]) -> schema.TensorT:
    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.type, tensor.buffer = name, list(shape), schema.TensorType.INT8, 0
    return tensor


OPERATORS = [("CONV_2D", 13, "Mapped to Edge TPU"), ("ADD", 4, "Mapped to Edge TPU")]


class Bench:
    """A model, a stand-in that is found, and a folder to compile into."""

    def __init__(self, graph: LayerGraph, model: Path, root: Path, patch: pytest.MonkeyPatch) -> None:
        self.graph, self.model, self.root, self.out = graph, model, root, root / "out"
        self.patch = patch
        self.program = root / "compiler" / "edgetpu_compiler"

    def plan(self, *attempts: Attempt, version: str = VERSION) -> None:
        folder = self.root / f"compiler {version}"
        self.program = write_compiler(folder, *attempts, version_text=f"Edge TPU Compiler version {version}")
        self.patch.setenv("PARAEDGE_EDGETPU_COMPILER", str(self.program))

    def no_compiler(self) -> None:
        self.patch.delenv("PARAEDGE_EDGETPU_COMPILER")

    def good(self, **twin: int) -> Attempt:
        content = compiled_twin(self.graph, **{"cached_bytes": 1000, **twin})
        return Attempt(text=report_text(operators=OPERATORS), files={"model_edgetpu.tflite": content})

    def compile(self, options: CompileOptions | None = None, *, use_store: bool = True) -> CompiledModel | Failure:
        return compile_model(self.model, self.graph, self.out, options or CompileOptions(), use_store=use_store)

    def failure(self, options: CompileOptions | None = None) -> Failure:
        found = self.compile(options)
        assert isinstance(found, Failure)
        assert found.stage == "compile"
        return found

    @property
    def attempts(self) -> int:
        return len(calls(self.program))


def good(found: CompiledModel | Failure) -> CompiledModel:
    assert isinstance(found, CompiledModel), found
    return found
