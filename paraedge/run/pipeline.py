"""A pipeline of real devices: one child process a segment and device, tensors through shared memory."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from paraedge.core.device import MeasureSettings
from paraedge.core.errors import BadInput, ParaedgeError, short
from paraedge.run import routes
from paraedge.run.crew import Crew
from paraedge.run.ring import PeerGone, Receiver, Sender, TensorType, Turns
from paraedge.run.stages import PipelineStage, members_of, stations_of
from paraedge.run.worker import CLOSE_S

if TYPE_CHECKING:
    import numpy.typing as npt

CHECK_S = 1.0
"""Whoever waits for a ring looks so often whether all is over without its pipes having ended."""


@dataclass(frozen=True, kw_only=True)
class Popped:
    """Outputs of an input by tensor id, and when it entered the pipeline and left it, by the monotonic clock."""

    outputs: dict[int, npt.NDArray[Any]]
    entered_ns: int
    left_ns: int


class Pipeline:
    """Segments of a model on several devices at once: push inputs, pop outputs in the same order.

    inputs, outputs: ids of the tensors that are pushed and popped. types: what the values of each tensor are.
    A context manager: when it ends, so do its children, whatever they do, and their memory is gone. The caller holds
    the locks of the devices. Push and pop may be called from different threads. A caller with one thread must pop as
    well as push: push waits while the pipeline is full.
    """

    def __init__(
        self,
        stages: Sequence[PipelineStage],
        *,
        outputs: Sequence[int] | None = None,
        queue: int = 2,
        untimed: int = 0,
        settings: MeasureSettings | None = None,
    ) -> None:
        """Start a child for each stage and device, and wait until all have loaded their models and warmed up.

        outputs: tensor ids to pop; by default those that no stage takes. queue: so many inputs may wait between two
        stages. untimed: so many first inputs don't count in the times of `finish`. Raises BadInput for stages that
        don't fit together, PipelineFailed where a child fails.
        """
        self.stages = tuple(stages)
        stations = stations_of(self.stages, queue)
        self.inputs = routes.inputs_of(stations)
        self.outputs = routes.outputs_of(stations) if outputs is None else tuple(dict.fromkeys(outputs))
        if not self.inputs or not self.outputs:
            raise BadInput("these stages leave no tensor to push or none to pop")
        self._push_lock, self._pop_lock = threading.Lock(), threading.Lock()
        self._pushed = self._popped = 0
        self._entered_ns: deque[int] = deque()
        self._ended = self._drained = False
        self._senders: Turns[Sender] = Turns([])
        self._receivers: Turns[Receiver] = Turns([])
        try:
            rings = routes.make_rings(stations, routes.routes(stations, self.outputs, queue))
        except OSError as error:
            raise ParaedgeError(f"no memory or no open file left for a pipeline: {short(error)}") from error
        self._to_first = [ring.sender for ring in rings if ring.source[0] == 0]
        self._from_last = [ring.receiver for ring in rings if ring.sink[0] == len(stations) + 1]
        self._crew = Crew(members_of(self.stages, rings, untimed), settings or MeasureSettings())
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def _start(self) -> None:
        self._crew.start()
        self.types = self._crew.loaded()
        try:
            self._senders = Turns([(end, Sender(end, self.types)) for end in self._to_first])
            self._receivers = Turns([(end, Receiver(end, self.types)) for end in self._from_last])
        except OSError as error:
            raise ParaedgeError(f"no memory left for the pipeline's tensors: {short(error)}") from error

    def push(self, inputs: Mapping[int, npt.NDArray[Any]] | None, *, timeout_s: float | None = None) -> bool:
        """Put an input in, values by tensor id; True once it is in, False where there was no room within `timeout_s`.

        Waits as long as it takes by default. None or an empty mapping: no more will come. Raises BadInput for values
        that are not the model's and for any input after the last, PipelineFailed where a stage has failed.
        """
        until = math.inf if timeout_s is None else time.monotonic() + timeout_s
        with self._push_lock:
            if inputs is not None and not isinstance(inputs, Mapping):
                raise BadInput(f"push values by tensor id, or None at the end, not {type(inputs).__name__}")
            if not inputs:
                self._end()
                return True
            if self._ended:
                raise BadInput("an empty push has said that no more inputs come")
            values = self._values(inputs)
            self._check()
            try:
                senders = self._senders.of(self._pushed)
                if not all(self._wait(sender, until) for sender in senders):
                    return False
                self._entered_ns.append(time.monotonic_ns())
                for sender in senders:
                    for tensor, slot in sender.slot().items():
                        slot[...] = values[tensor]
                    sender.send()
            except PeerGone:
                raise self._crew.cause(CLOSE_S) from None
            self._pushed += 1
            return True

    def pop(self) -> dict[int, npt.NDArray[Any]] | None:
        """The outputs of the next input by tensor id, or None after the last; waits for them.

        Raises PipelineFailed where a stage has failed.
        """
        found = self.take()
        return None if found is None else found.outputs

    def take(self) -> Popped | None:
        """As `pop`, with the times at which the input entered the pipeline and left it."""
        with self._pop_lock:
            if self._drained:
                return None
            self._check()
            try:
                receivers = self._receivers.of(self._popped)
                for receiver in receivers:
                    self._wait(receiver, math.inf)
            except PeerGone:
                raise self._crew.cause(CLOSE_S) from None
            if any(receiver.ended for receiver in receivers):
                self._drained = True
                return None
            slots = {tensor: values for receiver in receivers for tensor, values in receiver.slot().items()}
            outputs = {tensor: slots[tensor].copy() for tensor in self.outputs}
            for receiver in receivers:
                receiver.release()
            self._popped += 1
            return Popped(outputs=outputs, entered_ns=self._entered_ns.popleft(), left_ns=time.monotonic_ns())

    def finish(self) -> list[Mapping[str, float]]:
        """The times of each stage's children, in order (`StageTimes.summary`), once `pop` has given None.

        Raises PipelineFailed where a child failed at the very end, BadInput before the end.
        """
        self._check()
        if not self._drained:
            raise BadInput("there is more to come: push the end and pop until it comes out")
        self._crew.join()
        self._crew.check()
        found = [times for times in self._crew.times if times is not None]
        if len(found) < len(self._crew.times):
            raise ParaedgeError("a stage has left before the end")
        return found

    def close(self) -> None:
        """End all children: those that have passed everything on in their own time, all others now."""
        if self._drained:
            self._crew.join(CLOSE_S)
        self._crew.stop()
        self._crew.join()
        with self._push_lock, self._pop_lock:
            self._ended = True
            for end in (*self._to_first, *self._from_last):
                end.close()
            rings: list[Sender | Receiver] = [*self._senders.all(), *self._receivers.all()]
            for ring in rings:
                ring.forget()
            self._to_first, self._from_last = [], []

    def __enter__(self) -> Pipeline:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _end(self) -> None:
        if not self._ended:
            self._check()
            self._ended = True
            for sender in self._senders.all():
                sender.end()

    def _check(self) -> None:
        self._crew.check()
        if not self._to_first:
            raise ParaedgeError("the pipeline is closed")

    def _wait(self, ring: Sender | Receiver, until: float) -> bool:
        while not ring.wait(max(0.0, min(CHECK_S, until - time.monotonic()))):
            if self._crew.over:  # though another process, forked meanwhile, may hold its pipes open
                raise PeerGone
            if time.monotonic() >= until:
                return False
        return True

    def _values(self, inputs: Mapping[int, npt.NDArray[Any]]) -> Mapping[int, npt.NDArray[Any]]:
        import numpy as np

        if set(inputs) != set(self.inputs):
            raise BadInput(f"push the tensors {list(self.inputs)}, not {list(inputs)}")
        try:
            arrays = {tensor: np.asarray(values) for tensor, values in inputs.items()}
        except ValueError as error:  # lists of several lengths
            raise BadInput(f"these values are no arrays: {short(error)}") from None
        for tensor, values in arrays.items():
            found = TensorType(shape=values.shape, dtype=values.dtype.name)
            if found != self.types[tensor]:
                raise BadInput(f"tensor {tensor} is {self.types[tensor]}, not {found}")
        return arrays
