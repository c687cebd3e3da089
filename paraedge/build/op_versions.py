"""Which ops the Edge TPU compiler would refuse for their version, told before it is started.

edgetpu_compiler 16.0.384591198 is of July 2021 and will not change. It reads a model with the TensorFlow Lite of that
month, and a model with an op or a version that this doesn't know is refused as a whole ("Didn't find op for builtin
opcode"), wherever the op would run. KNOWN is what TensorFlow Lite 2.7 (November 2021) registers, found by opening a
one-op model of each version with tflite-runtime 2.7.0. It is an upper bound: what is not in it is refused for certain,
what is in it may still be too new by up to four months.

TAKEN is a lower bound: the highest version of each op that was mapped to the device in published int8 models of
google-coral/test_data. Between the two nothing is certain: the compiler may map the op, or leave it on the CPU with
"Operation version not supported".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from paraedge.core.graph import LayerGraph
from paraedge.core.words import op_name


@dataclass(frozen=True, kw_only=True)
class OpVersion:
    """An op whose version is, or may be, too new. highest: version known to be fine; 0 for an op that isn't known."""

    index: int
    op: str
    version: int
    highest: int
    certain: bool

    def text(self) -> str:
        """One line that names the op, what comes of it, and why."""
        op = op_name(self.index, self.op)
        if not self.highest:
            return f"{op} would be refused: edgetpu_compiler 16.0, which is of 2021, doesn't know it"
        has = f"it has version {self.version}, and edgetpu_compiler 16.0"
        if self.certain:
            return f"{op} would be refused: {has} knows it up to version {self.highest}"
        return f"{op} may be left on the CPU: {has} was seen to map it up to version {self.highest}"


def refused_versions(graph: LayerGraph) -> tuple[OpVersion, ...]:
    """Ops for which the compiler refuses the model for certain, in the graph's order. Custom ops have no version."""
    found = ((index, layer) for index, layer in enumerate(graph.layers) if layer.op != "CUSTOM")
    return tuple(
        OpVersion(index=index, op=layer.op, version=layer.version, highest=KNOWN.get(layer.op, 0), certain=True)
        for index, layer in found
        if layer.version > KNOWN.get(layer.op, 0)
    )


def doubtful_versions(graph: LayerGraph) -> tuple[OpVersion, ...]:
    """Ops of a version that the compiler can read and that nobody was seen to have mapped."""
    return tuple(
        OpVersion(index=index, op=layer.op, version=layer.version, highest=TAKEN[layer.op], certain=False)
        for index, layer in enumerate(graph.layers)
        if layer.op in TAKEN and TAKEN[layer.op] < layer.version <= KNOWN[layer.op]
    )


_BY_VERSION: Mapping[int, str] = {
    1: """ADD_N ASSIGN_VARIABLE BROADCAST_ARGS CALL_ONCE CEIL COMPLEX_ABS CONV_3D CONV_3D_TRANSPOSE COS CUMSUM DENSIFY
        ELU EMBEDDING_LOOKUP_SPARSE EXP EXPAND_DIMS FLOOR FLOOR_MOD HARD_SWISH HASHTABLE HASHTABLE_FIND HASHTABLE_IMPORT
        HASHTABLE_LOOKUP HASHTABLE_SIZE IF IMAG L2_POOL_2D LOCAL_RESPONSE_NORMALIZATION LOG LOGICAL_AND LOGICAL_NOT
        LOGICAL_OR LSH_PROJECTION MATRIX_DIAG MATRIX_SET_DIAG NEG NON_MAX_SUPPRESSION_V4 NON_MAX_SUPPRESSION_V5 ONE_HOT
        POW PRELU RANDOM_STANDARD_NORMAL RANGE RANK READ_VARIABLE REAL REDUCE_ALL REDUCE_ANY RELU_N1_TO_1 RESHAPE
        REVERSE_SEQUENCE RFFT2D ROUND SCATTER_ND SEGMENT_SUM SELECT_V2 SHAPE SIN SKIP_GRAM SQRT SQUARE UNIQUE
        VAR_HANDLE WHERE WHILE ZEROS_LIKE""",
    2: """ARG_MAX ARG_MIN CAST DEPTH_TO_SPACE DIV FAKE_QUANT FLOOR_DIV GREATER GREATER_EQUAL L2_NORMALIZATION LEAKY_RELU
        LESS LESS_EQUAL LOG_SOFTMAX MIRROR_PAD REDUCE_PROD RSQRT SELECT SPACE_TO_DEPTH SPLIT_V SQUARED_DIFFERENCE
        SQUEEZE SUM TILE TOPK_V2""",
    3: """AVERAGE_POOL_2D BATCH_TO_SPACE_ND BIDIRECTIONAL_SEQUENCE_LSTM BIDIRECTIONAL_SEQUENCE_RNN BROADCAST_TO
        CONCATENATION EMBEDDING_LOOKUP EQUAL FILL GATHER_ND LOGISTIC MAX_POOL_2D MEAN NOT_EQUAL PACK QUANTIZE
        REDUCE_MAX REDUCE_MIN RELU RELU6 REVERSE_V2 RNN SOFTMAX SPACE_TO_BATCH_ND SPARSE_TO_DENSE TANH TRANSPOSE_CONV
        UNIDIRECTIONAL_SEQUENCE_LSTM UNIDIRECTIONAL_SEQUENCE_RNN""",
    4: """ABS ADD BATCH_MATMUL LSTM MAXIMUM MINIMUM PAD PADV2 RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR SPLIT SVDF
        UNPACK""",
    5: "CONV_2D DEQUANTIZE GATHER MUL SLICE SUB TRANSPOSE",
    6: "DEPTHWISE_CONV_2D STRIDED_SLICE",
    9: "FULLY_CONNECTED",
}  # fmt: skip

KNOWN: Mapping[str, int] = {op: version for version, ops in _BY_VERSION.items() for op in ops.split()}
"""Highest version of each op in TensorFlow Lite 2.7."""

TAKEN: Mapping[str, int] = {
    "ADD": 2, "CONCATENATION": 2, "CONV_2D": 3, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 4,
    "LOGISTIC": 2, "MUL": 2, "PAD": 2, "QUANTIZE": 1, "RESHAPE": 1, "RESIZE_BILINEAR": 3, "SOFTMAX": 2, "SUB": 2,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": 1,
}  # fmt: skip
"""Highest version of each op that a published int8 model has and that was mapped to the device."""
