"""Names of the TFLite schema (operators, options, enumerations, tensor types), from LiteRT's generated schema."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any

from ai_edge_litert import schema_py_generated as schema

IDENTIFIER = b"TFL3"
"""File identifier of a TFLite FlatBuffer, bytes 4 to 8 (schema.fbs, `file_identifier`)."""

OPTIONS_OF: Mapping[str, str] = {
    "AVERAGE_POOL_2D": "Pool2DOptions", "L2_POOL_2D": "Pool2DOptions", "MAX_POOL_2D": "Pool2DOptions",
    "L2_NORMALIZATION": "L2NormOptions", "UNIDIRECTIONAL_SEQUENCE_RNN": "SequenceRNNOptions",
    "MAXIMUM": "MaximumMinimumOptions", "MINIMUM": "MaximumMinimumOptions", "CONV_3D_TRANSPOSE": "Conv3DOptions",
    "MEAN": "ReducerOptions", "SUM": "ReducerOptions", "REDUCE_PROD": "ReducerOptions", "REDUCE_MAX": "ReducerOptions",
    "REDUCE_MIN": "ReducerOptions", "REDUCE_ANY": "ReducerOptions", "REDUCE_ALL": "ReducerOptions",
    "RANDOM_STANDARD_NORMAL": "RandomOptions", "RANDOM_UNIFORM": "RandomOptions", "MULTINOMIAL": "RandomOptions",
}  # fmt: skip
"""Options of the operators whose name doesn't give them away (CONV_2D does: Conv2DOptions)."""

ENUM_OF_FIELD: Mapping[str, str] = {
    "padding": "Padding", "fused_activation_function": "ActivationFunctionType",
    "weights_format": "FullyConnectedOptionsWeightsFormat", "kernel_type": "LSTMKernelType",
    "combiner": "CombinerType", "mode": "MirrorPadMode", "type": "LSHProjectionType",
    "quantized_bias_type": "TensorType", "in_data_type": "TensorType", "out_data_type": "TensorType",
    "output_type": "TensorType", "out_type": "TensorType", "idx_out_type": "TensorType", "key_dtype": "TensorType",
    "value_dtype": "TensorType", "reduce_function": "ReduceWindowFunction", "algorithm": "RngAlgorithm",
    "comparison_direction": "StablehloComparisonDirection", "compare_type": "StablehloComparisonType",
}  # fmt: skip
"""Fields of options that are enumerations; the generated Python keeps only that they are numbers."""


@functools.cache
def numbers(enum: str) -> Mapping[str, int]:
    """Number of each name of an enumeration of the schema; empty for one that this LiteRT doesn't know."""
    members = vars(getattr(schema, enum, object))
    return {name: value for name, value in members.items() if isinstance(value, int) and not name.startswith("_")}


@functools.cache
def names(enum: str) -> Mapping[int, str]:
    """Name of each number of an enumeration of the schema."""
    return {number: name for name, number in numbers(enum).items()}


@functools.cache
def dtypes() -> Mapping[int, str]:
    """Tensor types by number, under numpy's names where numpy has them (`int8`, `float32`, also `string`, `int4`)."""
    return {number: name.lower() for number, name in names("TensorType").items()}


@functools.cache
def dtype_numbers() -> Mapping[str, int]:
    """The inverse of `dtypes`."""
    return {name: number for number, name in dtypes().items()}


@functools.cache
def options_name(operator: str) -> str | None:
    """Name of the options table of an operator (`CONV_2D`: `Conv2DOptions`), None for one without options."""
    if operator in OPTIONS_OF:
        return OPTIONS_OF[operator]
    return _options_by_short_name().get(operator.replace("_", "").lower())


@functools.cache
def _options_by_short_name() -> Mapping[str, str]:
    known = [*numbers("BuiltinOptions"), *numbers("BuiltinOptions2")]
    return {name.removesuffix("Options").lower(): name for name in known if name != "NONE"}


@functools.cache
def option_fields(options: str) -> Mapping[str, str]:
    """Fields of an options table: snake-case name -> the generated Python's attribute; empty for an unknown table."""
    kind: Any = getattr(schema, f"{options}T", None)
    return {} if kind is None else {snake_case(attribute): attribute for attribute in vars(kind())}


def snake_case(name: str) -> str:
    """`dilationWFactor` -> `dilation_w_factor`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
