"""What a child does as a stage of a pipeline: receive, compute and send, input by input, each of them timed.

Clocks are monotonic, and the processes of a host share them.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from paraedge.core.device import MeasureSettings
from paraedge.core.errors import BadInput
from paraedge.core.outcome import Job
from paraedge.devices import interpreter, stage
from paraedge.devices.driver import Session, loader
from paraedge.run.ring import PeerGone, Receiver, RingEnd, Sender, TensorType, Turns
from paraedge.run.stage_times import StageTimes

LONGEST_BEAT_S = 1.0
"""The watcher is told at least so often that a stage lives, one that waits for others too."""


def serve(
    session: Session, job: Job, settings: MeasureSettings, message: Mapping[str, Any]
) -> Iterator[dict[str, object]]:
    """Load the model, tell its tensors (`loaded`), and pass inputs through until they end (`passed`).

    The message holds `inputs`, `outputs`: ids of the model's inputs and outputs in its own order. `receive`, `send`:
    fields of ring ends. `replica`, `replicas`: whose turn it is, from 0. `untimed`: so many first inputs don't count.
    """
    model = loader(session)(job, settings)
    inputs = _tensors(model.get_input_details(), message["inputs"], "inputs")
    outputs = _tensors(model.get_output_details(), message["outputs"], "outputs")
    types = {tensor: kind for tensor, _, kind in (*inputs, *outputs)}
    ends = {way: [RingEnd(**fields) for fields in message[way]] for way in ("receive", "send")}
    receive = Turns([(end, Receiver(end, types)) for end in ends["receive"]])
    send = Turns([(end, Sender(end, types)) for end in ends["send"]])
    stage.enter("run")
    interpreter.warm_up(model, settings)
    yield {"say": "loaded", "types": {tensor: (kind.shape, kind.dtype) for tensor, kind in types.items()}}
    gc.freeze()  # what is there by now need not be looked through again
    loop = _Loop(
        model=model,
        inputs=[pair[:2] for pair in inputs],
        outputs=[pair[:2] for pair in outputs],
        receive=receive,
        send=send,
        beat_s=min(LONGEST_BEAT_S, settings.timeout_s / 4),
    )
    try:
        loop.run(message["replica"], message["replicas"], message["untimed"])
    except PeerGone:  # the one that has ended is told of by its own watcher
        yield {"say": "passed", "times": None}
        return
    yield {"say": "passed", "times": loop.times.summary()}


def _tensors(details: Sequence[Mapping[str, Any]], ids: Sequence[int], what: str) -> list[tuple[int, int, TensorType]]:
    """(id in the whole model, index in this one, type) of each."""
    import numpy as np

    if len(details) != len(ids):
        raise BadInput(f"the model file has {len(details)} {what}, the stage is said to have {len(ids)}")
    return [
        (
            tensor,
            int(detail["index"]),
            TensorType(shape=tuple(map(int, detail["shape"])), dtype=np.dtype(detail["dtype"]).name),
        )
        for tensor, detail in zip(ids, details, strict=True)
    ]


@dataclass(kw_only=True)
class _Loop:
    """A model between rings. inputs, outputs: (id in the whole model, index in this one) of each tensor."""

    model: Any
    inputs: Sequence[tuple[int, int]]
    outputs: Sequence[tuple[int, int]]
    receive: Turns[Receiver]
    send: Turns[Sender]
    beat_s: float
    beat_at: float = 0.0
    times: StageTimes = field(default_factory=StageTimes)

    def run(self, replica: int, replicas: int, untimed: int) -> None:
        """Pass every replicas-th input through, from `replica` on, until the end; raises PeerGone."""
        clock = time.monotonic_ns
        index = replica
        while True:
            begin = clock()
            rings = self.receive.of(index)
            for ring in rings:
                self._wait(ring)
            if any(ring.ended for ring in rings):
                break
            there = clock()
            self._take(rings)
            received = clock()
            self.model.invoke()
            computed = clock()
            out = self.send.of(index)
            for other in out:
                self._wait(other)
            room = clock()
            self._fill(out)
            sent = clock()  # once it is handed over, its receiver may have this core
            for sender in out:
                sender.send()
            if index >= untimed:
                self.times.add(begin, there, received, computed, room, sent)
            index += replicas
            self._beat()
        for sender in self.send.all():
            sender.end()

    def _take(self, rings: Sequence[Receiver]) -> None:
        values = {tensor: array for ring in rings for tensor, array in ring.slot().items()}
        for tensor, at in self.inputs:
            self.model.set_tensor(at, values[tensor])
        for ring in rings:
            ring.release()

    def _fill(self, rings: Sequence[Sender]) -> None:
        for tensor, at in self.outputs:
            slots = [slot for ring in rings if tensor in (slot := ring.slot())]
            if not slots:
                continue
            values, shape = self.model.get_tensor(at), slots[0][tensor].shape
            if values.shape != shape:  # numpy would stretch some of these to fit
                raise BadInput(
                    f"tensor {tensor} came out as {values.shape}, not {shape}; "
                    "a model whose shapes are known only at run time can't go through a pipeline"
                )
            for slot in slots:
                slot[tensor][...] = values

    def _wait(self, ring: Receiver | Sender) -> None:
        while not ring.wait(self.beat_s):
            stage.alive()

    def _beat(self) -> None:
        if time.monotonic() >= self.beat_at:
            stage.alive()
            self.beat_at = time.monotonic() + self.beat_s
