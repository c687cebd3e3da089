"""The docs say what the program does: the reference, the README's snippet, links, sessions, and the two commands."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import re
import stat
from pathlib import Path

import pytest

from paraedge.checks import SETTINGS
from paraedge.cli import app
from paraedge.cli.reference import markdown
from paraedge.core.device import MeasureSettings
from paraedge.grid import COMMON
from paraedge.models import FAMILIES
from paraedge.sweep import parse_sweep

REPOSITORY = Path(__file__).resolve().parents[1]
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
PAGES = [REPOSITORY / "README.md", REPOSITORY / "CHANGELOG.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
SET_UP = "python3 -m venv .venv && .venv/bin/pip install nox && .venv/bin/nox -s"
SESSIONS = {"sweep", "report", "tests", "slow", "tensorflow", "hardware", "bench", "lint", "types", "rules", "docs"}


def test_the_reference_is_what_help_says() -> None:
    written = (REPOSITORY / "docs" / "cli.md").read_text(encoding="utf-8")
    assert written == markdown(app), "`nox -s docs -- --write` writes it anew"


def test_the_readme_has_the_two_commands_and_ci_runs_the_second() -> None:
    assert f"{SET_UP} sweep" in README
    assert f"{SET_UP} tests" in README
    script = REPOSITORY / ".ci" / "run"
    commands = [
        line for line in script.read_text().splitlines() if line.strip() and not line.startswith(("#", "set", "cd"))
    ]
    assert commands == [f"{SET_UP} tests"]
    assert script.stat().st_mode & stat.S_IXUSR


def test_each_session_has_a_docstring() -> None:
    tree = ast.parse((REPOSITORY / "noxfile.py").read_text(encoding="utf-8"))
    functions = {node.name: ast.get_docstring(node) for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert set(functions) == SESSIONS
    assert all(functions.values())


def test_the_snippet_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snippets = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert snippets
    monkeypatch.chdir(tmp_path)
    for snippet in snippets:
        exec(compile(snippet, "README.md", "exec"), {})  # noqa: S102 the snippet is ours


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
    inside = [link for link in links if "://" not in link]
    assert [link for link in inside if not (page.parent / link).exists()] == []


def test_each_figure_is_drawn_by_a_script_and_shown_on_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(REPOSITORY / "docs"))
    figures, pipelines = (importlib.import_module(name) for name in ("figures", "pipeline_figures"))
    files = sorted(figures.FOLDER.iterdir())
    assert sorted(path.stem for path in files) == sorted([*figures.FIGURES, *pipelines.FIGURES])
    assert all(path.stat().st_size < 120_000 for path in files)
    pages = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert [path.name for path in files if f"](figures/{path.name})" not in pages] == []


def test_the_readme_lists_every_command() -> None:
    names = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    for name in {*names, "analyze"}:
        assert f"`paraedge {name}" in README


def sweep_tables() -> dict[str, dict[str, list[str]]]:
    """The tables of docs/sweeps.md: by the first cell of their header and their section, rows by their key."""
    tables: dict[str, dict[str, list[str]]] = {}
    for section in (REPOSITORY / "docs" / "sweeps.md").read_text(encoding="utf-8").split("\n## ")[1:]:
        for table in re.findall(r"(?:^\|.*\n?)+", section, re.MULTILINE):
            head, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
            tables[f"{section.splitlines()[0]} {head[0]}"] = {row[0].strip("`"): row[1:] for row in rows}
    return tables


def test_the_page_on_sweeps_has_every_key_of_measure_with_its_default() -> None:
    written = {key: cells[0].strip("`") for key, cells in sweep_tables()["Measure key"].items()}
    fields = dataclasses.asdict(MeasureSettings())
    assert set(fields) == set(SETTINGS)
    said = {key: str(value).lower() for key, value in fields.items()}
    assert written == {**said, "threads": "1", "kernels": "xnnpack"}


def test_the_page_on_sweeps_has_the_defaults_of_every_family() -> None:
    tables = sweep_tables()
    assert tuple(tables["Grids key"]) == COMMON
    assert list(tables["Grids family"]) == list(FAMILIES)
    for family, (needed, defaults) in tables["Grids family"].items():
        fields = {field.name: field for field in dataclasses.fields(FAMILIES[family].params)}
        given = {name: field.default for name, field in fields.items() if field.default is not dataclasses.MISSING}
        said = dict(re.findall(r"`(\w+)` (\w+)", defaults.split(";")[0]))
        assert said == {name: str(value) for name, value in given.items() if value is not None}
        without = {name for name in fields if name not in given}
        assert without - {"folder", "sha256"} <= set(re.findall(r"`(\w+)`", needed))  # two of `file` are found out


def test_the_example_on_the_page_on_sweeps_is_one(tmp_path: Path) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", (REPOSITORY / "docs" / "sweeps.md").read_text(), re.DOTALL)
    grids = example.partition('\n[[grid]]\nfamily = "file"')[0]  # there are no files here
    assert parse_sweep(grids, source="docs/sweeps.md", folder=tmp_path).size() == 2 * 3 * 3 * 2
