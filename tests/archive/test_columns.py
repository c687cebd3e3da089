"""The table of columns against the docs and the names that others rely on."""

from __future__ import annotations

from pathlib import Path

import pytest

from paraedge.archive import columns

DOCS = Path(__file__).resolve().parents[2] / "docs" / "archive.md"


def tables_in(text: str) -> dict[str, str]:
    """The generated tables of the page by the name in their marker."""
    found = {}
    for part in text.split("<!-- columns: ")[1:]:
        name, rest = part.split(" -->\n", 1)
        found[name] = rest.split("<!-- end -->")[0]
    return found


@pytest.mark.parametrize("name", ["POINT", "PARAMETERS", "RESULT", "SAMPLES", "STAGES", "OPS"])
def test_docs_have_the_table(name: str) -> None:
    expected = columns.markdown_table(getattr(columns, name))
    assert tables_in(DOCS.read_text())[name] == expected, f"put this into {DOCS.name}:\n{expected}"


def test_names_are_unique_and_described() -> None:
    table = (*columns.POINT, *columns.PARAMETERS, *columns.RESULT)
    assert len({column.name for column in table}) == len(table)
    assert all(column.meaning for column in table)
    assert "|" not in "".join(column.meaning for column in table)


def test_unit_is_the_last_word_of_the_name() -> None:
    ends = {"ms": "_ms", "bytes": "_bytes", "degrees Celsius": "_c", "ns": "_ns"}
    for column in (*columns.RESULT, *columns.SAMPLES):
        if column.unit in ends:
            assert column.name.endswith(ends[column.unit])
    for column in columns.RESULT:
        for unit, end in ends.items():
            assert not column.name.endswith(end) or column.unit == unit


def test_parameters_stand_between_the_point_and_its_result() -> None:
    names = columns.names(columns.run_columns(("n", "strange")))
    assert names[:6] == ("run_id", "spec_id", "family", "n", "strange", "precision")
    assert names[-1] == "error"


@pytest.mark.parametrize("parameters", [("batch",), ("n", "n"), ("run_id", "n")])
def test_a_parameter_may_not_take_a_columns_name(parameters: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="clash"):
        columns.run_columns(parameters)
