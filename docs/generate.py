"""Compare what the docs say with what the program does, or with `--write` write it anew. Exit code 1: they differ.

Four texts are made: `docs/cli.md` from the commands' help, the tables of `docs/archive.md` from the columns, the sizes
in `docs/models.md` from the zoo, and the README's transcript, a block of lines that begin with `$ paraedge`, by running
them in an empty folder. Its numbers differ from run to run; all else has to be the same.
"""

from __future__ import annotations

import difflib
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
README = REPOSITORY / "README.md"
REFERENCE = REPOSITORY / "docs" / "cli.md"
ARCHIVE = REPOSITORY / "docs" / "archive.md"
MODELS = REPOSITORY / "docs" / "models.md"
TABLE = re.compile(r"(?<=<!-- columns: )(\w+)( -->\n)(.*?)(?=<!-- end -->)", re.DOTALL)
SIZES = re.compile(r"(?<=<!-- sizes -->\n).*?(?=<!-- end -->)", re.DOTALL)
TRANSCRIPT = re.compile(r"(?<=```console\n)\$ paraedge .*?(?=```)", re.DOTALL)
DURATION = re.compile(r"\d+ (?:h \d+ min|min \d+ s|s)\b")
NUMBER = re.compile(r"\d[\d.]*(?:e[-+]?\d+)?")


def run_transcript(old: str) -> str:
    """`old` with the output of its commands as they are now. What goes to stderr (progress) is not part of it."""
    parts: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        for line in old.splitlines():
            if line.startswith("$ paraedge "):
                command = [sys.executable, "-m", "paraedge", *line.split()[2:]]
                place = {**os.environ, "XDG_RUNTIME_DIR": folder}  # no lock shared with a campaign of the user
                result = subprocess.run(command, cwd=folder, env=place, capture_output=True, text=True, check=False)
                if result.returncode:
                    raise SystemExit(f"{line}: exit code {result.returncode}: {result.stderr}")
                parts.append(f"{line}\n{result.stdout}")
    return "".join(parts)


def masked(text: str) -> list[str]:
    """Lines without what changes from run to run: numbers, durations, and the widths that follow from them."""
    plain = NUMBER.sub("#", DURATION.sub("#", text))
    return [" ".join(line.split()) for line in plain.splitlines()]


def reference() -> str:
    """The text that docs/cli.md should have."""
    from paraedge.cli import app
    from paraedge.cli.reference import markdown

    return markdown(app)


def archive_tables(old: str) -> str:
    """`old` with its tables of columns as they are now."""
    from paraedge.archive import columns

    def table(found: re.Match[str]) -> str:
        return found[1] + found[2] + columns.markdown_table(getattr(columns, found[1]))

    return TABLE.sub(table, old)


def model_sizes(old: str) -> str:
    """`old` with its table of the zoo's sizes as they are now."""
    from paraedge.core.spec import ModelSpec
    from paraedge.models import ZooParams, build_graph
    from paraedge.models.zoo import MODELS as ZOO
    from paraedge.models.zoo import published_sizes

    def number(count: int | None) -> str:
        return "" if count is None else f"{count:,}"

    lines = [
        "| model | parameters | stored | published | MACs | published | source |",
        "| --- | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    for name, model in ZOO.items():
        spec = ModelSpec(family="zoo", params=ZooParams(model=name))
        graph = build_graph(spec)
        unfolded, parameters, macs = published_sizes(spec, graph).values()
        counts = (unfolded or graph.parameters, graph.parameters, parameters, graph.macs, macs)
        source = "" if model.published is None else model.published.source
        lines.append(f"| `{name}` | {' | '.join(map(number, counts))} | {source} |")
    return SIZES.sub("\n".join(lines) + "\n", old)


def compare(name: str, old: list[str], new: list[str]) -> bool:
    """Whether both are the same; says where they are not."""
    lines = difflib.unified_diff(old, new, f"{name} as written", f"{name} as it is", lineterm="")
    sys.stdout.writelines(f"{line}\n" for line in lines)
    return old == new


def main() -> None:
    """Compare, or write."""
    readme = README.read_text(encoding="utf-8")
    found = TRANSCRIPT.search(readme)
    if found is None:
        raise SystemExit("README.md has no transcript: a ```console block that begins with `$ paraedge`")
    transcript = run_transcript(found.group())
    archive = ARCHIVE.read_text(encoding="utf-8")
    models = MODELS.read_text(encoding="utf-8")
    if "--write" in sys.argv[1:]:
        README.write_text(readme.replace(found.group(), transcript), encoding="utf-8")
        REFERENCE.write_text(reference(), encoding="utf-8")
        ARCHIVE.write_text(archive_tables(archive), encoding="utf-8")
        MODELS.write_text(model_sizes(models), encoding="utf-8")
        return
    same = compare("README.md", masked(found.group()), masked(transcript))
    written = REFERENCE.read_text(encoding="utf-8")
    same &= compare("docs/cli.md", written.splitlines(), reference().splitlines())
    same &= compare("docs/archive.md", archive.splitlines(), archive_tables(archive).splitlines())
    same &= compare("docs/models.md", models.splitlines(), model_sizes(models).splitlines())
    if not same:
        raise SystemExit("\nthe docs and the program differ; `nox -s docs -- --write` writes them anew")


if __name__ == "__main__":
    main()
