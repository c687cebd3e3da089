"""The CPU through LiteRT. The driver is cheap to import; LiteRT is loaded by `open`, in the child."""

from __future__ import annotations

import importlib.util
import itertools
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Literal, cast

from paraedge.core.device import Absence, DeviceInfo, Kernels, MeasureSettings, Origin, Roof, Target
from paraedge.core.errors import BadInput, DeviceMissing
from paraedge.core.graph import LayerGraph
from paraedge.core.outcome import Job, Outcome
from paraedge.core.window import Window
from paraedge.devices import host, interpreter

if TYPE_CHECKING:
    import numpy.typing as npt

KERNELS: tuple[Kernels, ...] = ("xnnpack", "builtin")
REMEDY = "pip install ai-edge-litert"


class CpuDriver:
    """Driver of the device `cpu`."""

    name = "cpu"
    isolated = True
    needs_file = True
    needs_compiled = False
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
        if graph.is_compiled:
            return "the model is compiled for the Edge TPU"
        return None

    def open(self, target: Target) -> CpuSession:
        """Load LiteRT; raises DeviceMissing where it can't be."""
        try:
            from ai_edge_litert import interpreter as runtime
        except ImportError as error:
            raise DeviceMissing(f"LiteRT can't be loaded: {error}; {REMEDY}") from error
        return CpuSession(runtime, target)


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
        return interpreter.sample(lambda: self._load(job), settings, self.info, host.temperature_c)

    def sustain(self, job: Job, settings: MeasureSettings, *, for_s: float, window_s: float) -> Iterator[Window]:
        """Invoke the job's model without pause; see `interpreter.sustain`."""
        return interpreter.sustain(
            lambda: self._load(job), settings, host.temperature_c, for_s=for_s, window_s=window_s
        )

    def model(self, job: Job, settings: MeasureSettings) -> Any:
        """The interpreter of the job's file."""
        return self._load(job)

    def roofs(self, probes: Sequence[Job], settings: MeasureSettings) -> tuple[Roof, ...]:
        """Compute roofs and the floor from the probes, bandwidths with numpy; see `cpu_roofs`."""
        from paraedge.devices import cpu_roofs

        return cpu_roofs.measure(self, probes, settings)

    def outputs(self, job: Job, seed: int = 0) -> list[npt.NDArray[Any]]:
        """The model's outputs of one invoke on the input values that `sample` sets."""
        return interpreter.outputs(lambda: self._load(job), seed)

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
