"""A pipeline of one's own: a model file, where to cut it, and the devices, ready for push and pop."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from paraedge import run, tflite
from paraedge.build.scratch import work_folder
from paraedge.core.device import MeasureSettings
from paraedge.core.errors import BadInput, ParaedgeError
from paraedge.core.outcome import Artifact
from paraedge.core.words import plural
from paraedge.devices import registry
from paraedge.segment.execute import segment_file


@contextlib.contextmanager
def open_pipeline(
    model: Path,
    cuts: Sequence[int],
    devices: Sequence[str],
    *,
    queue: int = 2,
    settings: MeasureSettings | None = None,
) -> Iterator[run.Pipeline]:
    """The segments of a `.tflite` file on `devices`, one each and in order, as a `run.Pipeline`; a context manager.

    cuts: the op that each segment but the first begins with, as `choose` finds them. devices: `cpu`, `edgetpu:0`, ...;
    `cpu` may be named several times. Without cuts every device has the whole model, and they take inputs in turn (data
    parallel). For Edge TPUs each segment is compiled. Tensors are pushed and popped by their ids in the whole model.
    Raises BadInput for cuts and devices that don't go together, DeviceBusy, and ParaedgeError where a segment can't be
    compiled or loaded.
    """
    model = Path(model)
    if isinstance(devices, str):
        raise BadInput(f"devices = {devices!r}: give a list, as [{devices!r}, {devices!r}]")
    if not devices or (cuts and len(cuts) + 1 != len(devices)):
        segments = plural(len(cuts) + 1, "segment")
        raise BadInput(f"{segments} on {plural(len(devices), 'device')}: name one device for each segment")
    with contextlib.ExitStack() as held:
        for name in sorted({registry.lock_name(device) for device in devices}):
            held.enter_context(run.device_lock(name))
        graph = tflite.read_graph(model)  # before anything is made of it: what is wrong with the file is said here
        folder = held.enter_context(work_folder())
        stages = list(_stages(model, cuts, devices, folder, held))
        made = {tensor_id for stage in stages for tensor_id in stage.outputs}
        outputs = [tensor_id for tensor_id in dict.fromkeys(graph.outputs) if tensor_id in made]
        yield held.enter_context(run.Pipeline(stages, outputs=outputs, queue=queue, settings=settings))


def _stages(
    model: Path, cuts: Sequence[int], devices: Sequence[str], folder: Path, files: contextlib.ExitStack
) -> Iterator[run.PipelineStage]:
    """A stage for each segment; the only one on all devices where there is no cut."""
    targets = [registry.find(device).targets(device, (), ())[0] for device in devices]
    for number, segment in enumerate(tflite.cut_model(model.read_bytes(), cuts, name=str(model))):
        mine = (targets[number],) if cuts else tuple(targets)
        driver = registry.find(mine[0].device)
        file = segment_file(segment, folder / f"{number}.tflite", driver, files)
        if not isinstance(file, Artifact):
            raise ParaedgeError(f"segment {number + 1} of {model}: {file.text()}")
        yield run.PipelineStage(
            driver=driver, targets=mine, artifact=file, inputs=segment.inputs, outputs=segment.outputs,
            first=segment.first, end=segment.end,
        )  # fmt: skip
