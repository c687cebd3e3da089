"""The stages of a pipeline as the caller gives them, made into what its parts need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from paraedge.core.device import Target
from paraedge.core.errors import BadInput
from paraedge.core.outcome import Artifact, Job
from paraedge.devices import registry
from paraedge.devices.driver import Driver
from paraedge.run.crew import Member
from paraedge.run.routes import Ring, Station
from paraedge.run.visit import absolute

MOST_QUEUE = 256


@dataclass(frozen=True, kw_only=True)
class PipelineStage:
    """A segment's model file on a device, or on several alike that take inputs in turn.

    inputs, outputs: tensor ids of the whole model, in the order of the file's own inputs and outputs. first, end: the
    whole model's layers [first, end), for messages and tables.
    """

    driver: Driver
    targets: tuple[Target, ...]
    artifact: Artifact
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    first: int
    end: int

    @property
    def layers(self) -> str:
        """For people: `layers 10-19`."""
        last = self.end - 1
        return f"layers {self.first}-{last}" if last > self.first else f"layer {self.first}"


def stations_of(stages: Sequence[PipelineStage], queue: int) -> list[Station]:
    """What routes need to know of the stages; raises BadInput for what can't be a pipeline."""
    if not stages or not all(stage.targets for stage in stages):
        raise BadInput("a pipeline needs at least one stage, and each stage a device")
    if not 1 <= queue <= MOST_QUEUE:
        raise BadInput(f"queue = {queue} is not possible; take 1 to {MOST_QUEUE}")
    seen: set[str] = set()
    for stage in stages:
        if not stage.driver.isolated:
            raise BadInput(f"{stage.targets[0].device} is simulated; its pipeline is too")
        for target in stage.targets:
            if target.device in seen and registry.port(target.device) is not None:
                raise BadInput(f"{target.device} has two places in the pipeline; a device has one at a time")
            seen.add(target.device)
    return [Station(inputs=one.inputs, outputs=one.outputs, replicas=len(one.targets)) for one in stages]


def members_of(stages: Sequence[PipelineStage], rings: Sequence[Ring], untimed: int) -> list[Member]:
    """The children, stage by stage, each with its ends of the rings; so many first inputs are not timed."""
    members = []
    for number, stage in enumerate(stages, 1):
        job = absolute(Job(spec=None, graph=None, artifact=stage.artifact))
        for replica, target in enumerate(stage.targets):
            receive = [ring.receiver for ring in rings if ring.sink == (number, replica)]
            send = [ring.sender for ring in rings if ring.source == (number, replica)]
            request = {
                "inputs": stage.inputs,
                "outputs": stage.outputs,
                "receive": [asdict(end) for end in receive],
                "send": [asdict(end) for end in send],
                "replica": replica,
                "replicas": len(stage.targets),
                "untimed": untimed,
            }
            turn = f", replica {replica + 1} of {len(stage.targets)}" if len(stage.targets) > 1 else ""
            place = f"stage {number} of {len(stages)}{turn} on {target.device}, {stage.layers}"
            ends = (*receive, *send)
            members.append(Member(place=place, driver=stage.driver, target=target, job=job, request=request, ends=ends))
    return members
