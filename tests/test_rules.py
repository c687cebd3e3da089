"""The architecture, tested; and for each check a test that it can fail."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGE = REPOSITORY / "paraedge"
FILE_LINES = 300
FUNCTION_LINES = 40

LONG_FILES: dict[str, str] = {}
"""Files above 300 lines, each with its reason."""

LONG_FUNCTIONS: dict[str, str] = {
    "archive/row.py::make_row": "half of it is the signature and the row, one keyword a fact",
}
"""`file::function` above 40 lines, each with its reason."""

NEVER = ("tensorflow", "keras", "jax", "torch")
MEASURING = ("ai_edge_litert.interpreter", "tflite_runtime")
TABLES = ("pandas", "scipy", "statsmodels")
PICTURES = ("matplotlib", "seaborn")
HEAVY = ("ai_edge_litert", *MEASURING, *TABLES, *PICTURES, "numpy")

FORBIDDEN: dict[str, tuple[str, ...]] = {
    "cli": (*HEAVY, "jinja2", "pydantic"),
    "doctor": HEAVY,
    "models": HEAVY,
    "sweep": HEAVY,
    "simulate": (*MEASURING, *TABLES, *PICTURES),
    "devices.registry": HEAVY,
    "devices.driver": HEAVY,
    "devices.cpu": (*MEASURING, *TABLES, *PICTURES),
    "devices.edgetpu": HEAVY,
    "calibrate": (*MEASURING, *PICTURES),
    "checkup": (*MEASURING, *PICTURES),
    "run": (*MEASURING, *TABLES, *PICTURES),
    "tflite": (*TABLES, *PICTURES),
    "build": (*TABLES, *PICTURES),
    "build.converter": (*MEASURING, *TABLES, *PICTURES),
    "archive": (*MEASURING, *PICTURES),
    "analyze": (*MEASURING, *PICTURES),
    "report": MEASURING,
    "flow": (*MEASURING, *PICTURES),
    "profile": (*MEASURING, *PICTURES),
}
"""What importing a room must not bring along. LiteRT's interpreter stays out of the parent: it crashed on a mutated
file; its schema, which is plain Python, may be used there."""


# --- imports, as written: import-linter's contracts in pyproject.toml ---


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """import-linter with the contracts of `folder`'s pyproject.toml on the package there."""
    program = (
        "import sys; from importlinter.cli import lint_imports_command; sys.path.insert(0, '.'); lint_imports_command()"
    )
    command = [sys.executable, "-c", program, "--no-cache"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)


def test_import_contracts_hold() -> None:
    result = lint_imports(REPOSITORY)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("room", "line", "contract"),
    [
        ("core/spec.py", "import paraedge.flow", "downward"),
        ("archive/row.py", "import paraedge.run", "don't know each other"),
        ("report/__init__.py", "import paraedge.tflite", "reads results"),
        ("simulate/__init__.py", "import paraedge.models", "knows nothing of making"),
        ("devices/cpu.py", "import paraedge.devices.simulated", "Device files"),
        ("build/converter.py", "import tensorflow", "No training framework"),
        ("build/converter_child.py", "import keras", "No training framework"),
        ("attic.py", "", "downward"),
    ],
)
def test_import_contracts_can_fail(tmp_path: Path, room: str, line: str, contract: str) -> None:
    shutil.copytree(PACKAGE, tmp_path / "paraedge", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / "pyproject.toml", tmp_path)
    with (tmp_path / "paraedge" / room).open("a") as file:
        file.write(f"\n{line}\n")
    result = lint_imports(tmp_path)
    broken = [text for text in result.stdout.splitlines() if "BROKEN" in text]
    assert result.returncode != 0
    assert any(contract in text for text in broken) or contract in result.stdout + result.stderr, result.stdout


# --- imports, as they happen: sys.modules of a fresh interpreter ---


def brought_along(statement: str, search: Path | None = None) -> set[str]:
    """Modules that `statement` loads in a fresh interpreter, and the packages that they are in."""
    path = f"sys.path.insert(0, {str(search)!r}); " if search else ""
    program = f"import sys; {path}before = set(sys.modules); {statement}; print(*(set(sys.modules) - before))"
    command = [sys.executable, "-W", "ignore", "-c", program]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    names = result.stdout.splitlines()[-1].split()
    return {*names, *(name.partition(".")[0] for name in names)}


@pytest.mark.parametrize("room", FORBIDDEN)
def test_a_room_brings_nothing_heavy_along(room: str) -> None:
    assert brought_along(f"import paraedge.{room}").isdisjoint({*FORBIDDEN[room], *NEVER})


def test_core_brings_only_the_standard_library_along() -> None:
    modules = sorted(path.stem for path in (PACKAGE / "core").glob("*.py") if path.stem != "__init__")
    found = brought_along("; ".join(f"import paraedge.core.{name}" for name in modules))
    foreign = {name for name in found if name.partition(".")[0] not in sys.stdlib_module_names}
    assert {name for name in foreign if not name.startswith("paraedge.core.")} == {"paraedge", "paraedge.core"}


def test_what_is_brought_along_is_seen(tmp_path: Path) -> None:
    (tmp_path / "heavy_room.py").write_text("import numpy\n")
    assert "numpy" in brought_along("import heavy_room", tmp_path)


def test_help_brings_nothing_heavy_along() -> None:
    call = "r = CliRunner().invoke(app, ['run', '--help']); assert r.exit_code == 0"
    imports = "from typer.testing import CliRunner; from paraedge.cli import app"
    assert brought_along(f"{imports}; {call}").isdisjoint({*HEAVY, *NEVER})


# --- the text of the files ---

Check = Callable[[Path], Iterable[str]]


def sources(folder: Path) -> Iterator[tuple[str, ast.Module, str]]:
    """Name under `folder`, syntax tree and text of each Python file."""
    for path in sorted(folder.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        yield path.relative_to(folder).as_posix(), ast.parse(text), text


def long_files(folder: Path) -> Iterator[str]:
    for name, _, text in sources(folder):
        if len(text.splitlines()) > FILE_LINES and name not in LONG_FILES:
            yield f"{name} has {len(text.splitlines())} lines"


def long_functions(folder: Path) -> Iterator[str]:
    for name, tree, _ in sources(folder):
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.end_lineno is not None:
                lines = node.end_lineno - node.lineno + 1
                if lines > FUNCTION_LINES and f"{name}::{node.name}" not in LONG_FUNCTIONS:
                    yield f"{name}::{node.name} has {lines} lines"


def prints(folder: Path) -> Iterator[str]:
    """Calls of print, and imports of what prints, outside `cli`."""
    for name, tree, _ in sources(folder):
        if name.startswith("cli/") or name == "cli.py":
            continue
        for node in ast.walk(tree):
            called = (
                isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"print", "pprint"}
            )
            if called or set(imported(node)) & {"typer", "rich", "click", "pprint"}:
                yield f"{name}:{getattr(node, 'lineno', 0)} prints"


def pickles(folder: Path) -> Iterator[str]:
    for name, tree, _ in sources(folder):
        for node in ast.walk(tree):
            if set(imported(node)) & {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}:
                yield f"{name}:{getattr(node, 'lineno', 0)} pickles"


def bare_excepts(folder: Path) -> Iterator[str]:
    for name, tree, _ in sources(folder):
        for node in ast.walk(tree):
            if isinstance(node, ast.ExceptHandler) and node.type is None:
                yield f"{name}:{node.lineno} has a bare except"


def imported(node: ast.AST) -> Iterator[str]:
    """Top-level modules that an import statement names."""
    if isinstance(node, ast.Import):
        yield from (alias.name.partition(".")[0] for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        yield node.module.partition(".")[0]


BAD_SAMPLES: dict[Check, str] = {
    long_files: "x = 1\n" * (FILE_LINES + 1),
    long_functions: "def f():\n" + "    x = 1\n" * FUNCTION_LINES,
    prints: "def f():\n    print('no')\n",
    pickles: "from pickle import dumps\n",
    bare_excepts: "try:\n    x = 1\nexcept:\n    x = 2\n",
}


@pytest.mark.parametrize("check", BAD_SAMPLES, ids=lambda check: check.__name__)
def test_the_sources_keep_the_rule(check: Check) -> None:
    assert list(check(PACKAGE)) == []


@pytest.mark.parametrize("check", BAD_SAMPLES, ids=lambda check: check.__name__)
def test_the_rule_can_fail(check: Check, tmp_path: Path) -> None:
    (tmp_path / "good.py").write_text("x = 1\n")
    assert list(check(tmp_path)) == []
    (tmp_path / "bad.py").write_text(BAD_SAMPLES[check])
    assert len(list(check(tmp_path))) == 1


def test_reasons_are_still_needed() -> None:
    """An exception that nothing needs any more is taken off the list."""
    files = {name: len(text.splitlines()) for name, _, text in sources(PACKAGE)}
    assert [name for name in LONG_FILES if files.get(name, 0) <= FILE_LINES] == []
    functions = {
        f"{name}::{node.name}": (node.end_lineno or 0) - node.lineno + 1
        for name, tree, _ in sources(PACKAGE)
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    }
    assert [name for name in LONG_FUNCTIONS if functions.get(name, 0) <= FUNCTION_LINES] == []
