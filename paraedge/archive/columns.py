"""Every column of a campaign's tables: the source of their headers, of meta.json and of docs/archive.md."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["text", "integer", "number"]

Cell: TypeAlias = "int | float | str | None"
"""A value of a column; None is an empty cell."""

SCHEMA_VERSION = 1
"""Goes up when a reader of the old columns would misread the new ones."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column: what is in its cells. `filled`: never empty, also in a failed row."""

    name: str
    kind: Kind
    unit: str
    meaning: str
    filled: bool = False


def _text(name: str, meaning: str, *, filled: bool = False) -> Column:
    return Column(name=name, kind="text", unit="", meaning=meaning, filled=filled)


def _integer(name: str, unit: str, meaning: str, *, filled: bool = False) -> Column:
    return Column(name=name, kind="integer", unit=unit, meaning=meaning, filled=filled)


def _number(name: str, unit: str, meaning: str) -> Column:
    return Column(name=name, kind="number", unit=unit, meaning=meaning)


POINT: tuple[Column, ...] = (
    _text(
        "run_id",
        "`r` and 15 hexadecimal digits, from the key and the attempt; joins samples.csv, stages.csv",
        filled=True,
    ),
    _text("spec_id", "`s` and 15 hexadecimal digits of the SHA-256 of the spec's canonical JSON", filled=True),
    _text(
        "family",
        "generator of the model: `fc`, `cnn`, `conv_stack`, `matmul`, `rnn`, `zoo`; `file` for a file of one's own",
        filled=True,
    ),
)
"""Columns before the parameters."""

PARAMETERS: tuple[Column, ...] = (
    _integer("input", "elements", "fc: width of the input"),
    _integer("layer", "layers", "fc: hidden layers; conv_stack: convolutions; rnn: layers of cells"),
    _integer("node", "units", "fc: units of a hidden layer"),
    _text("widths", "fc: units of each layer, in place of `layer` and `node`, as `512x512x10`"),
    _text("kind", "cnn: `residual` or `bottleneck`"),
    _integer("block", "blocks", "cnn: blocks in each of the four groups"),
    _text("blocks", "cnn: blocks of each group, in place of `block`, as `3x4x6x3`"),
    _integer("filter", "filters", "cnn: filters of the first group; conv_stack: filters of a convolution"),
    _integer("image", "pixels", "cnn, conv_stack, zoo: height and width of the input; zoo: empty is the published"),
    _integer("channel", "channels", "conv_stack: channels of the input"),
    _integer("kernel", "pixels", "conv_stack: height and width of a kernel"),
    _integer("output", "units", "fc, cnn, zoo: units of the last layer; zoo: by default the published classes"),
    _integer("n", "units", "matmul: rows and columns of the weights"),
    _text("model", "zoo: which network"),
    _integer("width", "percent", "zoo: filters, or heads of a transformer, in percent of the published network's"),
    _text("cell", "rnn: `rnn`, `lstm` or `gru`"),
    _integer("embed", "units", "rnn: values of a step's input, and units of each layer"),
    _integer("length", "steps", "rnn: steps of the input sequence"),
    _integer("vocab", "units", "rnn: units of the last layer; words where there is an embedding"),
    _text("embedding", "rnn: `none`, the input is embedded already; `gather`, it is word numbers"),
    _text("path", "file: the model file, from the sweep file's folder on; spec_id holds its content"),
)
"""Parameters of the built-in families. runs.csv has those of its sweep, a third party's family brings its own."""

RESULT: tuple[Column, ...] = (
    _text(
        "precision",
        "`int8`, `float32`, `float16` (weights alone) or `dynamic_range` (int8 weights, float32 activations)",
        filled=True,
    ),
    _integer("batch", "examples", "examples in a batch", filled=True),
    _text("batch_mode", "`native`: batch is the leading dimension; `looped`: one invoke for each example", filled=True),
    _text("device", "what the point ran on", filled=True),
    _text("origin", "`measured` or `simulated`, as the driver says", filled=True),
    _integer("round", "", "visit of the point, from 1, each in a fresh process; only one if simulated", filled=True),
    _integer("attempt", "", "1, and one more for each retry of the same key", filled=True),
    _integer("threads", "threads", "threads of the interpreter; empty where the device has no such option"),
    _text("kernels", "`xnnpack` or `builtin`; empty where the device has no such option"),
    _integer("segments", "devices", "most devices that the pipeline could have; empty for a model on one without any"),
    _text("strategy", "how the network was cut, `data` for whole copies of it; empty for one segment"),
    _integer("inputs", "inputs", "pushed through the pipeline one after another, as fast as there is room"),
    _text("status", "`ok` or `failed`", filled=True),
    _text("stop_reason", "why sampling ended: `precision`, `time_budget`, `max_invokes` or `simulated`"),
    _number("latency_median_ms", "ms", "median over the blocks of their time for a whole batch"),
    _number("latency_low_ms", "ms", "lower end of the median's 95 % interval within the round; empty below 6 blocks"),
    _number("latency_high_ms", "ms", "upper end of the same interval"),
    _number("latency_p90_ms", "ms", "90th percentile over the blocks"),
    _number("latency_p99_ms", "ms", "99th percentile over the blocks"),
    _number("latency_mean_ms", "ms", "time of all blocks by the number of their invokes, for a whole batch"),
    _number("latency_min_ms", "ms", "fastest block"),
    _integer("samples", "blocks", "blocks in samples.csv; 1 for a simulated point"),
    _number("set_ms", "ms", "setting the inputs of a whole batch"),
    _number("get_ms", "ms", "getting the outputs of a whole batch"),
    _number("open_ms", "ms", "opening the model, once"),
    _number("first_ms", "ms", "first invoke (one, also of a looped batch); on an Edge TPU it uploads the weights"),
    _integer("macs", "MACs", "multiply-accumulates of a whole batch, padding excluded; empty where an op is unknown"),
    _integer("parameters", "values", "weights and biases"),
    _integer("weight_bytes", "bytes", "weights and biases as stored in the model"),
    _integer("activation_bytes", "bytes", "all tensors that are not constants, for a whole batch"),
    _integer("input_bytes", "bytes", "inputs of a whole batch"),
    _integer("output_bytes", "bytes", "outputs of a whole batch"),
    _integer("file_bytes", "bytes", "size of the model file; empty where none was written"),
    _integer("on_chip_bytes", "bytes", "parameters cached on the device, as it stores them"),
    _integer("off_chip_bytes", "bytes", "parameters streamed to the device in every invoke, as it stores them"),
    _text("placement", "whose word the placement is: `compiler` or `estimated`"),
    _text("placed", "layers by index, as `on_chip=0-2 off_chip=3 on_cpu=4`; `on_device=0-3` if only bytes are known"),
    _text("builder", "maker of the model file: `direct`, `tensorflow`, or `file` for one's own; empty where none is"),
    _text("compiler", "version of the edgetpu_compiler that made the file; empty where it is not compiled"),
    _number("gops_per_s", "1e9 operations/s", "2 x `macs` by `latency_median_ms`; empty where that leaves MACs out"),
    _number("examples_per_s", "examples/s", "`batch` by `latency_median_ms`"),
    _number("temperature_c", "degrees Celsius", "of the device at the end of the visit, where it can be read"),
    _text("warnings", "what makes the numbers doubtful, joined by `; `"),
    _number("compute_ms", "ms", "simulated: part of the latency of a whole batch spent in arithmetic"),
    _number("weights_ms", "ms", "simulated: part spent streaming parameters"),
    _number("input_ms", "ms", "simulated: part spent sending inputs"),
    _number("output_ms", "ms", "simulated: part spent receiving outputs"),
    _number("instructions_ms", "ms", "simulated: part spent sending instructions"),
    _number("overhead_ms", "ms", "simulated: part that no invoke can avoid"),
    _number("cpu_ms", "ms", "simulated: part spent in layers on the host's CPU"),
    _integer("instruction_bytes", "bytes", "simulated: instructions sent for a whole batch (inferred)"),
    _integer("link_bytes", "bytes", "simulated: everything that crosses the host link for a whole batch (inferred)"),
    _number("predicted_low_ms", "ms", "simulated: lower end of the prediction's 90 % interval, for a whole batch"),
    _number("predicted_high_ms", "ms", "simulated: upper end of the same interval"),
    _text("outside", "simulated: in which ways the model is unlike any that was measured, joined by `; `"),
    _number("throughput_per_s", "inputs/s", "pipeline: `inputs` by the whole time, filling and draining included"),
    _number("steady_per_s", "inputs/s", "pipeline: outputs a second from the first to the last; empty for one input"),
    _number("pass_ms", "ms", "pipeline: median over the inputs of their time from push to output"),
    _number("fill_ms", "ms", "pipeline: from the first push to the first output"),
    _number("drain_ms", "ms", "pipeline: from when the last input entered the first stage to the last output"),
    _integer("devices_used", "devices", "pipeline: devices that took an input; lines in stages.csv"),
    _text("cuts", "pipeline: first layer of each stage but the first, as `2,5`; empty where nothing is cut"),
    _number("bottleneck_ms", "ms", "pipeline: time between two outputs by the cost model that the cuts come from"),
    _number("lower_bound_ms", "ms", "pipeline: no contiguous split over these devices does better, by that model"),
    _number("gap", "ratio", "pipeline: how far `bottleneck_ms` is above `lower_bound_ms`; 0 is the best there is"),
    _text("error", "of a failed row, as `stage: error: signal: message`"),
)  # fmt: skip
"""Columns after the parameters."""

ADDED = frozenset(
    "builder compiler predicted_low_ms predicted_high_ms outside segments strategy inputs throughput_per_s steady_per_s"
    " pass_ms fill_ms drain_ms devices_used cuts bottleneck_ms lower_bound_ms gap".split()
)
"""Columns that campaigns of earlier releases lack: read as empty, and added to a campaign that is resumed."""

SAMPLES: tuple[Column, ...] = (
    _text("run_id", "joins runs.csv", filled=True),
    _integer("block", "", "number of the block in its run, from 0, in order of time", filled=True),
    _integer("invokes", "invokes", "invokes in the block", filled=True),
    _integer(
        "block_ns", "ns", "time of the whole block; a looped batch takes `batch` x `block_ns` / `invokes`", filled=True
    ),
)

STAGES: tuple[Column, ...] = (
    _text("run_id", "joins runs.csv", filled=True),
    _integer("stage", "", "number of the stage in its pipeline, from 1", filled=True),
    _integer(
        "replica", "", "number of the device among those that take the stage's inputs in turn, from 1", filled=True
    ),
    _text("device", "which device", filled=True),
    _integer("first", "", "first layer of the stage, from 0", filled=True),
    _integer("end", "", "the layer after its last", filled=True),
    _integer("inputs", "inputs", "inputs that this device took", filled=True),
    _number("receive_ms", "ms", "median time to bring an input to the device"),
    _number("compute_ms", "ms", "median time of an invoke"),
    _number("send_ms", "ms", "median time to bring its outputs away"),
    _number("wait_ms", "ms", "median time until there was an input"),
    _number("blocked_ms", "ms", "median time until there was room for its outputs"),
    _number("busy_share", "ratio", "part of the time from its first input to its last output that it was busy"),
    _integer("input_bytes", "bytes", "activations that enter with an input"),
    _integer("output_bytes", "bytes", "activations that leave"),
    _integer("on_chip_bytes", "bytes", "parameters cached on the device; empty where it doesn't tell"),
    _integer("off_chip_bytes", "bytes", "parameters streamed with every input; empty where it doesn't tell"),
)

OPS: tuple[Column, ...] = (
    _text("precision", "as in runs.csv", filled=True),
    _integer("batch", "examples", "examples in a batch", filled=True),
    _text("device", "what the model ran on", filled=True),
    _text("origin", "`measured` or `simulated`", filled=True),
    _integer("threads", "threads", "threads of the interpreter; empty where the device has no such option"),
    _text("kernels", "`xnnpack` or `builtin`; empty where the device has no such option"),
    _text(
        "part",
        "`op`; `term` of a simulated model that belongs to no op; `whole`, the last line of its model",
        filled=True,
    ),
    _text("op", "TFLite's name of the op, names joined by ` + ` of ops that can't be cut apart; name of a term"),
    _integer("op_index", "", "index of the op that was timed, from 0"),
    _integer("op_count", "ops", "ops that are alike, and each take this time"),
    _integer("op_length", "ops", "1; more where ops can't be cut apart"),
    _integer("macs", "MACs", "multiply-accumulates of one of them; empty where they are unknown"),
    _number("latency_ms", "ms", "of one, alone, for a whole batch; empty where there is none, and `error` says why"),
    _number("latency_low_ms", "ms", "lower end of its interval: 95 % within the visit; of a simulated whole 90 %"),
    _number("latency_high_ms", "ms", "upper end of the same interval"),
    _number("compute_ms", "ms", "simulated: part of an op's latency spent in arithmetic"),
    _number("weights_ms", "ms", "simulated: part spent streaming its parameters"),
    _number("latency_min_ms", "ms", "fastest block of a measured whole model"),
    _text("error", "why there is no time, as `stage: error: signal: message`; of a simulated op, why it is left out"),
)
"""Columns of ops.csv after the parameters; before them are those of POINT but `run_id`."""

TERMS = ("compute_ms", "weights_ms", "input_ms", "output_ms", "instructions_ms", "overhead_ms", "cpu_ms")
"""Parts of a simulated latency, as in `core.outcome.Prediction.terms`."""


def run_columns(parameters: Sequence[str]) -> tuple[Column, ...]:
    """The columns of a runs.csv whose sweep has these parameters, in order.

    Raises ValueError for a parameter that takes a column's name.
    """
    return _with_parameters(POINT, parameters, RESULT)


def op_columns(parameters: Sequence[str]) -> tuple[Column, ...]:
    """The columns of an ops.csv whose sweep has these parameters, in order.

    Raises ValueError for a parameter that takes a column's name.
    """
    return _with_parameters(POINT[1:], parameters, OPS)


def _with_parameters(
    before: Sequence[Column], parameters: Sequence[str], after: Sequence[Column]
) -> tuple[Column, ...]:
    taken = {column.name for column in (*before, *after)}
    clash = [name for name in parameters if name in taken]
    if clash or len(set(parameters)) != len(parameters):
        raise ValueError(f"parameters {list(parameters)} clash with the columns {clash or 'of each other'}")
    return (*before, *(parameter_column(name) for name in parameters), *after)


def parameter_column(name: str) -> Column:
    """The column of a parameter; one that the built-in families don't have is text until a reader sees integers."""
    return _KNOWN_PARAMETERS.get(name) or _text(name, "parameter of its family")


def names(columns: Iterable[Column]) -> tuple[str, ...]:
    """Just the names, in order."""
    return tuple(column.name for column in columns)


def described(columns: Iterable[Column]) -> list[dict[str, str]]:
    """Name, type, unit and meaning of each column, for meta.json."""
    return [{"name": c.name, "type": c.kind, "unit": c.unit, "meaning": c.meaning} for c in columns]


def markdown_table(columns: Iterable[Column]) -> str:
    """The same as a Markdown table, for docs/archive.md."""
    rows = [f"| `{c.name}` | {c.kind} | {c.unit} | {c.meaning} |" for c in columns]
    return "\n".join(["| column | type | unit | meaning |", "| --- | --- | --- | --- |", *rows]) + "\n"


_KNOWN_PARAMETERS: Mapping[str, Column] = {column.name: column for column in PARAMETERS}
