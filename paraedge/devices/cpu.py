"""The CPU through LiteRT. The driver is cheap to import; LiteRT is loaded by `open`, in the child."""

from __future__ import annotations

import importlib.util
import itertools
import statistics
import time
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Literal, cast

from paraedge.core.device import Absence, DeviceInfo, Kernels, MeasureSettings, Origin, Roof, Target
from paraedge.core.errors import BadInput, DeviceMissing
from paraedge.core.graph import LayerGraph
from paraedge.core.outcome import Block, Job, Measurement, Outcome
from paraedge.devices import host, stage
from paraedge.devices.timed_loop import time_invokes

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

KERNELS: tuple[Kernels, ...] = ("xnnpack", "builtin")
REMEDY = "pip install ai-edge-litert"
TRANSFERS = 5
"""Setting the input and getting the output are each timed so often; the median is kept."""

DRIFT = 0.1
"""A visit whose second half is so much slower or faster than its first carries a warning."""


class CpuDriver:
    """Driver of the device `cpu`."""

    name = "cpu"
    isolated = True
    needs_file = True
    batch_mode: Literal["native"] = "native"

    def probe(self) -> Sequence[DeviceInfo | Absence]:
        """The CPU, or why LiteRT can't run on it; imports nothing."""
        if importlib.util.find_spec("ai_edge_litert") is None:
            return [Absence(id="cpu", reason="LiteRT (ai_edge_litert) is not installed", remedy=REMEDY)]
        return [_info({"cores": str(host.usable_cores())})]

    def targets(self, device: str, threads: Sequence[int], kernels: Sequence[str]) -> tuple[Target, ...]:
        """Every combination of `threads` (default 1) and `kernels` (default xnnpack); raises BadInput."""
        for count in threads:
            if count < 1:
                raise BadInput(f"threads = {count} is not possible; take 1 or more")
        for name in kernels:
            if name not in KERNELS:
                raise BadInput(f"unknown kernels {name!r}; take {' or '.join(KERNELS)}")
        pairs = itertools.product(threads or (1,), kernels or KERNELS[:1])
        return tuple(Target(device=device, threads=t, kernels=cast(Kernels, k)) for t, k in pairs)

    def why_not(self, graph: LayerGraph, target: Target) -> str | None:
        """A model compiled for the Edge TPU needs one; whatever else fails is found out in the child."""
        if any(layer.custom_code == "edgetpu-custom-op" for layer in graph.layers):
            return "the model is compiled for the Edge TPU"
        return None

    def open(self, target: Target) -> CpuSession:
        """Load LiteRT; raises DeviceMissing where it can't be."""
        try:
            from ai_edge_litert import interpreter
        except ImportError as error:
            raise DeviceMissing(f"LiteRT can't be loaded: {error}; {REMEDY}") from error
        return CpuSession(interpreter, target)


class CpuSession:
    """LiteRT in this process: run it in a child, a damaged model file can take the process along."""

    def __init__(self, runtime: Any, target: Target) -> None:
        self.target = target
        self.threads = target.threads or 1
        self.kernels: Kernels = target.kernels or "xnnpack"
        self.info = _info({"threads": str(self.threads), "kernels": self.kernels})
        self._runtime = runtime

    def sample(self, job: Job, settings: MeasureSettings) -> Outcome:
        """Open the job's file, set seeded input values once, and time invokes."""
        stage.enter("load")
        try:
            return self._sample(job, settings)
        except Exception as error:  # whatever LiteRT raises of a model is a row
            return stage.failure(error)

    def roofs(self, probes: Sequence[Job], settings: MeasureSettings) -> tuple[Roof, ...]:
        """Compute roofs and the floor from the probes, bandwidths with numpy; see `cpu_roofs`."""
        from paraedge.devices import cpu_roofs

        return cpu_roofs.measure(self, probes, settings)

    def outputs(self, job: Job, seed: int = 0) -> list[npt.NDArray[Any]]:
        """The model's outputs of one invoke on the input values that `sample` sets."""
        model = self._load(job)
        for index, values in input_values(model, seed):
            model.set_tensor(index, values)
        model.invoke()
        return [model.get_tensor(output["index"]) for output in model.get_output_details()]

    def close(self) -> None:
        """Nothing is held between samples."""

    def _load(self, job: Job) -> Any:
        if job.artifact is None:
            raise BadInput("the cpu needs a model file, the job has none")
        kinds = self._runtime.OpResolverType
        resolver = kinds.AUTO if self.kernels == "xnnpack" else kinds.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        model = self._runtime.Interpreter(
            model_path=str(job.artifact.path), num_threads=self.threads, experimental_op_resolver_type=resolver
        )
        model.allocate_tensors()
        return model

    def _sample(self, job: Job, settings: MeasureSettings) -> Measurement:
        begin = time.perf_counter_ns()
        model = self._load(job)
        open_ns = time.perf_counter_ns() - begin
        stage.enter("run")
        inputs = input_values(model, settings.seed)
        set_ns = _median_ns(lambda: [model.set_tensor(index, values) for index, values in inputs])
        begin = time.perf_counter_ns()
        model.invoke()
        first_ns = time.perf_counter_ns() - begin
        stage.alive()
        timing = time_invokes(model.invoke, settings, beat=stage.alive)
        outputs = [output["index"] for output in model.get_output_details()]
        get_ns = _median_ns(lambda: [model.get_tensor(index) for index in outputs])
        return Measurement(
            device=self.info,
            blocks=timing.blocks,
            stop_reason=timing.stop_reason,
            open_ns=open_ns,
            first_ns=first_ns,
            set_ns=set_ns,
            get_ns=get_ns,
            warm_up_invokes=timing.warm_up_invokes,
            temperature_c=host.temperature_c(),
            warnings=_warnings(timing.blocks),
        )


def input_values(model: Any, seed: int) -> list[tuple[int, npt.NDArray[Any]]]:
    """(tensor index, values) for each input: the same for the same model and seed.

    int8 and uint8 over their whole range, floats uniform in [-1, 1); other types, which are mostly indices, zero.
    """
    import numpy as np

    generator = np.random.default_rng(seed)
    return [(int(i["index"]), _values(generator, tuple(i["shape"]), i["dtype"])) for i in model.get_input_details()]


def _values(generator: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> npt.NDArray[Any]:
    import numpy as np

    kind = np.dtype(dtype)
    if kind in (np.dtype(np.int8), np.dtype(np.uint8)):
        limits = np.iinfo(kind)
        return np.asarray(generator.integers(limits.min, limits.max + 1, size=shape, dtype=dtype))
    if kind.kind == "f":
        return np.asarray(generator.uniform(-1.0, 1.0, size=shape), dtype=kind)
    return np.zeros(shape, kind)


def _median_ns(transfer: Callable[[], object]) -> int:
    durations = []
    for _ in range(TRANSFERS):
        begin = time.perf_counter_ns()
        transfer()
        durations.append(time.perf_counter_ns() - begin)
    return int(statistics.median(durations))


def _warnings(blocks: Sequence[Block]) -> tuple[str, ...]:
    latencies = [block.duration_ns / block.invokes for block in blocks]
    half = len(latencies) // 2
    if half < 5:
        return ()
    change = statistics.median(latencies[-half:]) / statistics.median(latencies[:half]) - 1
    return (f"latency drifted by {change:+.0%} within the visit",) if abs(change) > DRIFT else ()


def _info(details: dict[str, str]) -> DeviceInfo:
    try:
        runtime_version = version("ai-edge-litert")
    except PackageNotFoundError:
        runtime_version = None
    return DeviceInfo(
        id="cpu",
        origin=Origin.MEASURED,
        batch_mode="native",
        clock_mhz=host.clock_mhz(),
        runtime="LiteRT",
        runtime_version=runtime_version,
        host=host.cpu_model(),
        details=details,
    )
