"""Pools: the devices that one name in a sweep with pipelines stands for, and in which order they are taken."""

from __future__ import annotations

from collections.abc import Sequence

from paraedge.core.device import Absence, DeviceInfo, Origin, Target
from paraedge.core.errors import BadInput
from paraedge.core.graph import LayerGraph
from paraedge.devices import registry
from paraedge.devices.driver import Driver, Session
from paraedge.simulate.cluster import load_cluster
from paraedge.simulate.hosts import Cluster

CLUSTER = "cluster:"
"""A device name that begins so is a cluster file's: `cluster:four-boards`, `cluster:my.toml`."""


class ClusterDriver:
    """A cluster behind the door of a driver: its hosts are simulated, and only pipelines run on them.

    batch_mode: an Edge TPU among them loops over a batch, so an input is one example for all.
    """

    name = "cluster"
    isolated = False
    needs_file = False
    needs_compiled = False

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.batch_mode: str = self.info().batch_mode

    def info(self) -> DeviceInfo:
        """The cluster as a device."""
        return DeviceInfo(
            id=CLUSTER + self.cluster.name,
            origin=Origin.SIMULATED,
            batch_mode="looped" if any(host.device for host in self.cluster.hosts) else "native",
            runtime="simulator",
            details={"summary": self.cluster.summary},
        )

    def probe(self) -> Sequence[DeviceInfo | Absence]:
        """The same."""
        return [self.info()]

    def targets(self, device: str, threads: Sequence[int], kernels: Sequence[str]) -> tuple[Target, ...]:
        """The cluster itself: it has neither threads nor kernels."""
        return (Target(device=device),)

    def why_not(self, graph: LayerGraph, target: Target) -> str | None:
        """What its hosts can't hold or run shows when the network is cut."""
        return None

    def open(self, target: Target) -> Session:
        """Raises BadInput: a cluster runs no whole model."""
        raise BadInput(f"{target.device} is several hosts: give the sweep a [pipeline] table")


def cluster_of(target: Target) -> Cluster | None:
    """The cluster that a target names, if it does; raises BadInput."""
    return load_cluster(target.device[len(CLUSTER) :]) if target.device.startswith(CLUSTER) else None


def find_driver(device: str, most: int | None) -> Driver:
    """The driver of a sweep's device, of which pipelines take up to `most`; None where models run whole.

    Raises DeviceMissing for what is not here, BadInput for fewer devices than are asked for.
    """
    cluster = cluster_of(Target(device=device))
    if cluster is not None:
        if most is None:
            raise BadInput(f"{device} is several hosts: give the sweep a [pipeline] table")
        if most > cluster.size:
            raise BadInput(f"{device} has {cluster.size} hosts, and the sweep asks for segments = {most}")
        return ClusterDriver(cluster)
    if most is None:
        return registry.find(device)
    found = [registry.find(name) for name in members(Target(device=device), most)]
    return found[0]


def members(target: Target, most: int) -> tuple[str, ...]:
    """The first `most` devices that the target's name stands for.

    A simulated device and the CPU are as many as one likes (of the CPU, processes); `edgetpu` is `edgetpu:0` and on.
    Raises DeviceMissing for a device that is not here, BadInput for several of a device that is one.
    """
    device = target.device
    cluster = cluster_of(target)
    if cluster is not None:
        return tuple(name for host in cluster.hosts for name in host.names)[:most]
    if device not in registry.present() and device in {driver.name for driver in registry.drivers()}:
        return tuple(f"{device}:{number}" for number in range(most))
    if most > 1 and device != "cpu" and registry.find(device).isolated:
        family = device.partition(":")[0]
        raise BadInput(f"{device} is one device, and the sweep asks for {most}: name {family} for several of them")
    return (device,) * most


def info(target: Target) -> DeviceInfo:
    """What is known of a target's device, of the first where it is several; raises DeviceMissing."""
    cluster = cluster_of(target)
    if cluster is not None:
        return ClusterDriver(cluster).info()
    return registry.info(members(target, 1)[0] if target.segments is not None else target.device)


def device_of(name: str) -> str:
    """The device of a name that may be numbered because there are several like it: `cpu` of `cpu#2`."""
    return name.partition("#")[0]


def simulated_as(target: Target, name: str) -> str | None:
    """The hardware file of one of a simulated target's devices; None for a host that has a speed and a memory."""
    cluster = cluster_of(target)
    if cluster is None:
        return target.device
    return next(host.device for host in cluster.hosts if name in host.names)
