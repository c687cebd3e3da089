"""What a sweep file's keys outside its grids may be: each check in code, and in words for its error."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeAlias, get_args

from paraedge.core.device import Kernels
from paraedge.core.errors import BadInput, short
from paraedge.core.words import did_you_mean

Builder: TypeAlias = Literal["direct", "tensorflow"]
"""What makes the model files that measured devices get: our own writer, or TensorFlow's converter."""
BUILDERS: tuple[Builder, ...] = get_args(Builder)

FOLDER_NAME = (
    "up to 100 letters, digits, '-', '_' or '.', beginning with a letter or digit: it names the results' folder"
)


def is_folder_name(value: object) -> bool:
    """Fit to name a folder on any system."""
    return isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", value) is not None


def is_device_name(value: object) -> bool:
    """Might be a device's name; which there are is the drivers' to say."""
    return isinstance(value, str) and value.strip() == value != ""


def is_thread_count(value: object) -> bool:
    """A number of threads."""
    return type(value) is int and 1 <= value <= 1024


def is_kernels(value: object) -> bool:
    """One of the kernels that LiteRT is asked for."""
    return isinstance(value, str) and value in get_args(Kernels)


def is_builder(value: object) -> bool:
    """One of the makers of model files."""
    return isinstance(value, str) and value in BUILDERS


def checked_builder(name: str) -> Builder:
    """`name` where it is a builder's; raises BadInput."""
    for builder in BUILDERS:
        if builder == name:
            return builder
    raise BadInput(f"unknown builder {short(repr(name), 60)}: {did_you_mean(name, BUILDERS)}")


def is_model_path(value: object) -> bool:
    """Might be a file's path, or a pattern of such."""
    return isinstance(value, str) and value.strip() != "" and "\0" not in value


def is_strategy(value: object) -> bool:
    """A way to spread a network over devices that needs no cuts of the user's."""
    return isinstance(value, str) and value in STRATEGIES


def is_segment_count(value: object) -> bool:
    """A number of devices for one network."""
    return type(value) is int and 1 <= value <= MOST_SEGMENTS


def is_input_count(value: object) -> bool:
    """How many inputs are pushed through a pipeline."""
    return type(value) is int and 1 <= value <= MOST_INPUTS


def _is_positive_int(value: object) -> bool:
    return type(value) is int and 1 <= value < 2**63


def _is_number(value: object) -> bool:
    return type(value) in (int, float)


def _is_positive(value: Any) -> bool:
    return _is_number(value) and 0 < value <= MOST_SECONDS


def _is_seed(value: object) -> bool:
    return type(value) is int and 0 <= value < 2**63


STRATEGIES = ("params", "size6", "fit", "balanced", "profiled", "optimal", "pipedream", "equal", "data")
MOST_SEGMENTS = 256
MOST_INPUTS = 1_000_000
PIPELINE: Mapping[str, tuple[Callable[[object], bool], str]] = {
    "segments": (is_segment_count, f"a whole number of devices, 1 to {MOST_SEGMENTS}"),
    "strategy": (is_strategy, f"one of {', '.join(STRATEGIES)}"),
    "inputs": (is_input_count, "a whole number of inputs, 1 to a million"),
}
"""The keys of [pipeline]: what is good, in code and in words."""

AIM: Mapping[str, tuple[Callable[[object], bool], str]] = {
    "objective": (lambda value: value in ("throughput", "latency"), "'throughput' or 'latency'"),
    "replicate": (lambda value: isinstance(value, bool), "true or false: whether optimal may replicate stages"),
    "bus": (lambda value: value in ("own", "shared"), "'own' or 'shared': of simulated devices"),
}
"""The keys of [pipeline] that have one value for the whole sweep."""

MOST_SECONDS = 1e6
_COUNT = (_is_positive_int, "a whole number, 1 or more")
_POSITIVE = (_is_positive, "a number above 0 and at most a million")
SETTINGS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "rounds": _COUNT,
    "time_budget_s": _POSITIVE,
    "precision": (lambda value: _is_number(value) and 0 < value < 1, "a number between 0 and 1, as 0.01 for 1 %"),
    "warm_up_s": (lambda value: _is_number(value) and 0 <= value <= MOST_SECONDS, "a number, 0 to a million"),
    "min_blocks": _COUNT,
    "block_ms": _POSITIVE,
    "max_invokes": _COUNT,
    "timeout_s": _POSITIVE,
    "memory_mb": _COUNT,
    "seed": (_is_seed, "a whole number, 0 or more"),
    "allow_cpu_ops": (lambda value: type(value) is bool, "true or false"),
}
"""The keys of [measure] that are MeasureSettings' fields: what is good, in code and in words."""
