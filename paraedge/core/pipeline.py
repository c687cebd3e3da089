"""PipelineRun: what came of pushing inputs through a pipeline, the same nouns for a real and a simulated one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class StageRun:
    """One device of a pipeline: medians over the inputs that it took, in milliseconds.

    stage: from 1. replica: from 1, of the stage's devices. layers [first, end). receive_ms: from shared memory or the
    link into the model's inputs; send_ms: back. wait_ms: until an input was there; blocked_ms: until there was room for
    the output. busy_share: of the time between its first input and its last output.
    """

    stage: int
    replica: int
    device: str
    first: int
    end: int
    inputs: int
    receive_ms: float
    compute_ms: float
    send_ms: float
    wait_ms: float
    blocked_ms: float
    busy_share: float
    input_bytes: int
    output_bytes: int
    on_chip_bytes: int | None = None
    off_chip_bytes: int | None = None


@dataclass(frozen=True, kw_only=True)
class PipelineRun:
    """`inputs` inputs pushed one after another as fast as there is room.

    wall_ms: from the first push to the last pop. fill_ms: from the first push to the first output. drain_ms: from when
    the last input entered the first stage to the last output. pass_ms: each input from its push to its output.
    steady_per_s: outputs a second between the first and the last; None for one input. earlier_ms: wall times of the
    same run made just before, where so few inputs say little.
    """

    inputs: int
    wall_ms: float
    fill_ms: float
    drain_ms: float
    pass_ms: tuple[float, ...]
    stages: tuple[StageRun, ...]
    earlier_ms: tuple[float, ...] = ()

    @property
    def throughput_per_s(self) -> float:
        """Inputs a second, filling and draining included."""
        return 1e3 * self.inputs / self.wall_ms

    @property
    def steady_per_s(self) -> float | None:
        """Outputs a second from the first to the last; None for one input."""
        if self.inputs < 2 or self.wall_ms <= self.fill_ms:
            return None
        return 1e3 * (self.inputs - 1) / (self.wall_ms - self.fill_ms)
