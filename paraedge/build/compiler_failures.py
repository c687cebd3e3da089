"""Why there is no compiled model, and why an op was left on the CPU: every reason as a type of its own.

Sources: what edgetpu_compiler was seen to print (issues of google-coral/edgetpu, its documentation at
coral.ai/docs/edgetpu/compiler) and how it was seen to end.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping

from paraedge.core.errors import short
from paraedge.core.outcome import Failure


class CompileError(str, enum.Enum):
    """Why there is no compiled model; the value is the name in a Failure."""

    NO_COMPILER = "NoCompiler"
    NOT_STARTED = "NotStarted"
    OP_VERSION = "OpVersion"
    LARGE_ACTIVATIONS = "LargeActivations"
    NOT_QUANTIZED = "NotQuantized"
    DYNAMIC_SHAPE = "DynamicShape"
    INVALID_MODEL = "InvalidModel"
    NOTHING_MAPPED = "NothingMapped"
    INTERNAL_ERROR = "InternalError"
    CRASHED = "Crashed"
    TIMED_OUT = "TimedOut"
    NO_OUTPUT = "NoOutput"
    BAD_OUTPUT = "BadOutput"
    UNKNOWN = "CompilationFailed"

    @property
    def meaning(self) -> str:
        """What happened, and what to try."""
        return MEANINGS[self]


class OpStatus(str, enum.Enum):
    """What the compiler's table says of an op; the value is our wording of the reason."""

    MAPPED = "mapped to the Edge TPU"
    SUBGRAPH = "more than one subgraph is not supported"
    LIMITATION = "supported, but not mapped for a limitation that the compiler doesn't name"
    UNSUPPORTED = "operation not supported"
    VERSION = "operation version not supported"
    DATA_TYPE = "works on an unsupported data type"
    OTHER = "left on the CPU, for a reason that paraedge doesn't know"


MEANINGS: Mapping[CompileError, str] = {
    CompileError.NO_COMPILER: "no edgetpu_compiler here",
    CompileError.NOT_STARTED: "the compiler can't be started",
    CompileError.OP_VERSION: "the compiler doesn't know an op's version; convert with an older TensorFlow",
    CompileError.LARGE_ACTIVATIONS: "activation tensors are too large for the device; try a smaller input",
    CompileError.NOT_QUANTIZED: "the model is not quantized; convert it to full-integer int8",
    CompileError.DYNAMIC_SHAPE: "a tensor's shape is not fixed; convert with a fixed batch and input size",
    CompileError.INVALID_MODEL: "the compiler can't read the model",
    CompileError.NOTHING_MAPPED: "no op can run on the Edge TPU",
    CompileError.INTERNAL_ERROR: "internal error of the compiler",
    CompileError.CRASHED: "the compiler crashed",
    CompileError.TIMED_OUT: "the compiler didn't end in time; allow it longer",
    CompileError.NO_OUTPUT: "the compiler ended without an error and without a compiled file",
    CompileError.BAD_OUTPUT: "the compiler wrote a file that is no compiled model",
    CompileError.UNKNOWN: "the compiler failed",
}

RANDOM = frozenset({CompileError.INTERNAL_ERROR, CompileError.CRASHED})
"""The same model has failed so on one attempt and compiled on the next: worth another attempt."""

LASTING = frozenset(
    {
        CompileError.OP_VERSION, CompileError.LARGE_ACTIVATIONS, CompileError.NOT_QUANTIZED, CompileError.DYNAMIC_SHAPE,
        CompileError.INVALID_MODEL, CompileError.NOTHING_MAPPED,
    }
)  # fmt: skip
"""The same compiler says so of the same model every time: worth remembering."""

PRINTED: tuple[tuple[CompileError, re.Pattern[str]], ...] = tuple(
    (error, re.compile(pattern, re.IGNORECASE))
    for error, pattern in (
        (CompileError.OP_VERSION, r"^.*didn't find op for builtin opcode.*$"),
        (CompileError.LARGE_ACTIVATIONS, r"^.*large activation tensors.*$"),
        (CompileError.NOT_QUANTIZED, r"^.*model (?:is )?not quantized.*$"),
        (CompileError.DYNAMIC_SHAPE, r"^.*dynamic(?:-|ally | )(?:sized?|shapes?).*$"),
        (CompileError.INVALID_MODEL, r"^.*(?:invalid model|could not be parsed).*$"),
        (CompileError.TIMED_OUT, r"^.*(?:timed out|did not complete within).*$"),
        (CompileError.INTERNAL_ERROR, r"^.*internal compiler error.*$"),
    )
)
"""Marks in the compiler's text, in the order in which one explains another."""

STATUSES: tuple[tuple[str, OpStatus], ...] = (
    ("mapped to edge tpu", OpStatus.MAPPED),
    ("more than one subgraph", OpStatus.SUBGRAPH),
    ("unspecified limitation", OpStatus.LIMITATION),
    ("version not supported", OpStatus.VERSION),
    ("operation not supported", OpStatus.UNSUPPORTED),
    ("unsupported data type", OpStatus.DATA_TYPE),
)
"""Marks in the column Status of the compiler's table."""


def printed_error(text: str) -> tuple[CompileError, str] | None:
    """The failure that the compiler's text names, with the line that does; None for a text that names none."""
    lines = text.splitlines()
    for error, pattern in PRINTED:
        for line in lines:
            if pattern.match(line):
                return error, line.strip()
    return None


def op_status(text: str) -> OpStatus:
    """The status that a cell of the compiler's table means; OTHER for one that is not documented."""
    lowered = " ".join(text.lower().split())
    return next((status for mark, status in STATUSES if mark in lowered), OpStatus.OTHER)


def failure(error: CompileError, detail: str = "", signal: str | None = None) -> Failure:
    """The failure of stage `compile` that this error is; `detail` is a foreign text, cut short."""
    message = f"{error.meaning}: {short(detail, 300)}" if detail else error.meaning
    return Failure(stage="compile", error=error.value, message=message, signal=signal)
