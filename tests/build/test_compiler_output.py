"""The compiler's text: the documented shape gives its values, any other text a report all the same."""

from __future__ import annotations

import pytest
from compiler_stand_in import VERSION, report_text, table_text
from hypothesis import given, settings
from hypothesis import strategies as st

from paraedge.build.compiler_failures import PRINTED, CompileError, OpStatus, failure, op_status, printed_error
from paraedge.build.compiler_output import CompilerReport, parse_report, with_table

STATUSES = {
    "Mapped to Edge TPU": OpStatus.MAPPED,
    "More than one subgraph is not supported": OpStatus.SUBGRAPH,
    "Operation is otherwise supported, but not mapped due to some unspecified limitation": OpStatus.LIMITATION,
    "Operation not supported": OpStatus.UNSUPPORTED,
    "Operation version not supported": OpStatus.VERSION,
    "Operation is working on an unsupported data type": OpStatus.DATA_TYPE,
    "Something new": OpStatus.OTHER,
}

sizes = st.one_of(
    st.integers(0, 1023).map(lambda n: (f"{n}.00B", n, 0.01)),
    st.integers(100, 102399).map(lambda n: (f"{n / 100:.2f}KiB", n * 10.24, 10.24)),
    st.integers(100, 10**6).map(lambda n: (f"{n / 100:.2f}MiB", n * 10485.76, 10485.76)),
)
tables = st.lists(
    st.tuples(
        st.from_regex(r"[A-Z][A-Z0-9_]{1,24}", fullmatch=True), st.integers(1, 999), st.sampled_from([*STATUSES])
    ),
    max_size=8,
)


@given(sizes, sizes, sizes, tables, st.sampled_from(["remaining", "available"]), st.integers(1, 4))
@settings(max_examples=100, deadline=None)
def test_what_is_written_in_the_documented_shape_comes_back(
    on_chip: tuple[str, float, float],
    left: tuple[str, float, float],
    off_chip: tuple[str, float, float],
    operators: list[tuple[str, int, str]],
    word: str,
    count: int,
) -> None:
    names = [f"m_segment_{i}_of_{count}" for i in range(count)]
    text = report_text(
        models=names, on_chip=on_chip[0], remaining=left[0], off_chip=off_chip[0], operators=operators, word=word
    )
    found = parse_report(text)
    assert (found.version, found.compile_ms, len(found.models)) == (VERSION, 120, count)
    for model, name in zip(found.models, names, strict=True):
        assert (model.input_name, model.output_name) == ("/tmp/model.tflite", f"{name}_edgetpu.tflite")  # noqa: S108
        assert model.subgraphs == 1
        assert model.operations == sum(number for _, number, _ in operators)
        for size, written in ((model.on_chip, on_chip), (model.remaining, left), (model.off_chip, off_chip)):
            assert size is not None
            assert size.text == written[0]
            assert size.size_bytes == pytest.approx(written[1])
            assert size.step_bytes == pytest.approx(written[2])
    assert [(line.op, line.count, line.text) for line in found.operators] == operators
    assert [line.status for line in found.operators] == [STATUSES[text] for _, _, text in operators]


def test_a_text_with_ops_left_on_the_cpu() -> None:
    text = """Edge TPU Compiler version 16.0.384591198
        Started a compilation timeout timer of 180 seconds.
        Model compiled successfully in 3075 ms.
        Input model: net.tflite
        Input size: 902.5KiB
        Output model: net_edgetpu.tflite
        Output size: 1.40MiB
        On-chip memory used for caching model parameters: 766.50KiB
        On-chip memory remaining for caching model parameters: 1.75KiB
        Off-chip memory used for streaming uncached model parameters: 0.00B
        Number of Edge TPU subgraphs: 1
        Total number of operations: 5
        Operation log: net_edgetpu.log
        Not every operation could be mapped.
        Number of operations that will run on Edge TPU: 3
        Number of operations that will run on CPU: 2

        Operator                       Count      Status

        CONV_2D                        3          Mapped to Edge TPU
        CONV_2D                        1          More than one subgraph is not supported
        ARG_MAX                        1          Operation not supported
        Compilation succeeded!"""
    (model,) = parse_report(text).models
    assert (model.on_device, model.on_cpu, model.operations, model.subgraphs) == (3, 2, 5, 1)
    assert model.input_size is not None
    assert model.input_size.size_bytes == 902.5 * 1024
    assert [(line.op, line.count, line.status) for line in model.operators] == [
        ("CONV_2D", 3, OpStatus.MAPPED),
        ("CONV_2D", 1, OpStatus.SUBGRAPH),
        ("ARG_MAX", 1, OpStatus.UNSUPPORTED),
    ]


def test_the_table_is_taken_from_the_log_where_the_text_has_none() -> None:
    log = "\n".join(["Edge TPU Compiler version 16", *table_text([("ADD", 2, "Mapped to Edge TPU")])])
    bare = report_text()
    assert [line.op for line in parse_report(with_table(bare, log)).operators] == ["ADD"]
    full = report_text(operators=[("MUL", 1, "Mapped to Edge TPU")])
    assert with_table(full, log) == full
    assert with_table(bare, "no table") == bare


likely = st.lists(
    st.sampled_from([*"0123456789.:BKMiG \n", "Operator Count Status\n", "ADD 1 x\n", "Input size: ", "Input: "])
).map("".join)


@given(st.one_of(st.text(), likely, st.binary().map(lambda data: data.decode(errors="replace"))))
@settings(max_examples=300, deadline=None)
def test_any_text_gives_a_report_and_maybe_a_named_failure(text: str) -> None:
    assert isinstance(parse_report(text), CompilerReport)
    found = printed_error(text)
    assert found is None or found[0] in CompileError


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("Compilation failed due to large activation tensors in model.", CompileError.LARGE_ACTIVATIONS),
        ("Internal compiler error. Aborting!", CompileError.INTERNAL_ERROR),
        ("ERROR: Didn't find op for builtin opcode 'CONV_2D' version '6'.\nInvalid model: x", CompileError.OP_VERSION),
        ("Invalid model: m.tflite\nModel not quantized", CompileError.NOT_QUANTIZED),
        ("Model could not be parsed.", CompileError.INVALID_MODEL),
        ("a graph that has dynamic-sized tensors\nInternal compiler error. Aborting!", CompileError.DYNAMIC_SHAPE),
        ("Compilation child process timed out.", CompileError.TIMED_OUT),
    ],
)
def test_each_failure_has_its_name(text: str, error: CompileError) -> None:
    found = printed_error(
        f"Edge TPU Compiler version 16\nStarted a compilation timeout timer of 180 seconds.\n{text}\n"
    )
    assert found is not None
    assert found[0] is error
    assert found[1] in text


def test_a_good_text_names_no_failure() -> None:
    assert printed_error(report_text(operators=[(op, 1, op) for op in STATUSES if "\n" not in op])) is None


def test_every_failure_has_a_meaning_and_every_mark_a_failure() -> None:
    for error in CompileError:
        made = failure(error, "detail\n" * 999)
        assert (made.stage, made.error) == ("compile", error.value)
        assert made.message.startswith(error.meaning)
        assert len(made.message) < 500
        assert "\n" not in made.message
    assert len({error for error, _ in PRINTED}) == len(PRINTED)
    assert {op_status(text) for text in STATUSES} == set(OpStatus)


LONG = 1 << 20


@pytest.mark.parametrize(
    "line",
    [
        "CONV_2D 1 a" + (" " * 50 + "b") * (LONG // 51),
        "CONV_2D 1 a" + " " * LONG + "b",
        "CONV_2D 1" + " " * LONG,
        "x" * LONG,
        " " * LONG + "x",
        "1 " * (LONG // 2),
        "Input model:" + " " * LONG,
        "Input size: 1" + " " * LONG + "x",
        "Operator Count Status" + " " * LONG + "x",
    ],
    ids=["gaps", "a gap", "no status", "a word", "indented", "counts", "no name", "no unit", "a head"],
)
def test_a_line_of_a_mebibyte_says_nothing_and_hides_nothing(line: str) -> None:
    """Work that grows with the square of the length would not end here: 10^12 steps."""
    text = f"Operator Count Status\nADD 1 Mapped to Edge TPU\n{line}\nMUL 2 Mapped to Edge TPU\nInput size: 7.00B\n"
    (model,) = parse_report(with_table(text, line)).models
    assert [(row.op, row.count) for row in model.operators] == [("ADD", 1), ("MUL", 2)]
    assert model.input_size is not None
    assert model.input_size.size_bytes == 7


def test_a_table_of_a_mebibyte_is_whole() -> None:
    rows = LONG // len("A 1 x\n")
    (model,) = parse_report("Operator Count Status\n" + "A 1 x\n" * rows).models
    assert len(model.operators) == rows


def test_a_status_is_all_that_stands_behind_the_count() -> None:
    (row,) = parse_report("Operator Count Status\n  ADD\t3   12 of  them  \n").operators
    assert (row.op, row.count, row.text) == ("ADD", 3, "12 of  them")
