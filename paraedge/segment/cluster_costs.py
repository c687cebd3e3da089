"""What every span of a model's layers costs each host of a cluster, and each hand-over between two."""

from __future__ import annotations

import numpy as np

from paraedge import simulate
from paraedge.core.device import Origin
from paraedge.core.errors import BadInput
from paraedge.core.graph import LayerGraph
from paraedge.core.spans import Spans
from paraedge.core.words import milliseconds
from paraedge.devices.quantized import why_not_simulated
from paraedge.partition.problem import DeviceType, Problem
from paraedge.segment.cost_nouns import Costs
from paraedge.segment.cuttable import cuttable
from paraedge.simulate.host_spans import HostCosts
from paraedge.simulate.hosts import Cluster, Host


def cluster_costs(graph: LayerGraph, cluster: Cluster) -> Costs:
    """By formula; raises BadInput for a float model on an Edge TPU."""
    costs = HostCosts(graph)
    buses = {bus.name: bus for bus in cluster.buses}
    types = tuple(
        DeviceType(
            devices=host.names,
            spans=_host_spans(graph, host, costs),
            bus=host.bus,
            bus_ms=None if host.bus is None else costs.bus_ms(buses[host.bus]),
        )
        for host in cluster.hosts
    )
    handover = [[costs.handover_ms(sender, receiver) for receiver in cluster.hosts] for sender in cluster.hosts]
    problem = Problem(
        model=graph.name,
        layers=len(graph.layers),
        types=types,
        host_ms=cluster.host_ms,
        handover_ms=np.array(handover),
        handover_overlaps=cluster.overlap,
        cuttable=cuttable(graph),
    )
    order = tuple(number for number, host in enumerate(cluster.hosts) for _ in host.names)
    sentences = tuple(_cluster_sentences(graph, cluster))
    return Costs(problem=problem, order=order, origins=(Origin.SIMULATED,), sentences=sentences)


def _host_spans(graph: LayerGraph, host: Host, costs: HostCosts) -> Spans:
    if host.device is None:
        return costs.spans(host)
    why = why_not_simulated(graph)
    if why is not None:
        raise BadInput(f"host {host.name} ({host.device}): {why}")
    return simulate.spans(graph, simulate.load_hardware(host.device), alone=True)


def _cluster_sentences(graph: LayerGraph, cluster: Cluster) -> list[str]:
    meanwhile = "while hosts compute" if cluster.overlap else "while both hosts wait"
    found = [
        f"cluster {cluster.name}: a host takes MACs / rate and a time for each layer, and holds parameters and the "
        "largest live activations, or can't take the segment",
        f"all that later layers need is handed over at the slower link, {meanwhile}",
        "the first host has the inputs, and the last one keeps the outputs",
    ]
    found += [f"{host.name} is costed as {host.device} on a host of its own" for host in cluster.hosts if host.device]
    for bus in cluster.buses:
        names = [name for host in cluster.hosts if host.bus == bus.name for name in host.names]
        if names:
            found.append(f"the bus {bus.name}, {bus.mb_per_s:.3g} MB/s, is shared by all that {', '.join(names)} move")
    if cluster.host_ms:
        found.append(f"whoever feeds it spends {milliseconds(cluster.host_ms)} ms on each input, one after another")
    unknown = sorted({layer.op for layer, macs in zip(graph.layers, graph.macs_by_layer, strict=True) if macs is None})
    if unknown:
        found.append(f"MACs of {', '.join(unknown)} are unknown and count nothing")
    return found
