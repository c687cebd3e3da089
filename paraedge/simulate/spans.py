"""What every run of consecutive layers of a graph costs a simulated device as a stage of a pipeline, all at once."""

from __future__ import annotations

from paraedge.core.graph import LayerGraph
from paraedge.core.spans import Spans
from paraedge.simulate.constants import Hardware


def spans(graph: LayerGraph, hardware: Hardware, *, alone: bool = False) -> Spans:
    """Costs of all spans: `predict` of `core.cut.cut(graph, range(i, j))`, with what being a stage changes.

    A stage returns only the graph's own outputs: what goes to a later stage is paid for there, by
    `handover_ms_per_mib`, beside its own input. A stage that streams parameters is busy for `stream_pipelined_ms` more.
    [0, n) is the whole model on one device, no stage, and equals `predict(graph)`. Nothing overlaps. `host_ms` and
    `idle_ms` are the pipeline's, in no span.

    Of a span with ops on the CPU the part on the device counts, with all of its outputs returned and no interval; with
    none on the device it is busy for inf. off_chip_bytes and on_chip_bytes of a compiled op are -1. Bytes of
    activations and of the link are all that enter and leave, whoever waits for them.

    alone: each device has a host of its own, so a span is `predict` of its part as it stands: all outputs are returned
    to that host, and nothing is added.
    """
    from paraedge.simulate.span_table import span_table  # numpy: only who asks for spans waits for it to load

    return span_table(graph, hardware, alone=alone)
