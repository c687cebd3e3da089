"""A pipeline stepped through tick by tick, its slots counted: slow, and independent of the simulation by events."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class Place:
    """A host, a stage, a hand-over or the sink: servers that take inputs in turn; whole milliseconds throughout.

    works: (receive, send, busy) of input 0, 1, ..., in a circle.
    """

    works: Sequence[tuple[int, int, int]]
    servers: int = 1
    bus: str | None = None
    bus_ms: int = 0
    idle_ms: int = 0


@dataclass
class Worker:
    """A server: what it does, since when, and what came of each of its inputs."""

    place: int
    key: int
    doing: str = "waiting"
    since: int = 0
    asked: int = 0
    granted: int = 0
    received: bool = True
    waits: list[int] = field(default_factory=list)
    blocks: list[int] = field(default_factory=list)
    receives: list[int] = field(default_factory=list)


class Stepped:
    """`inputs` inputs through `places`, of which the first is the host and the last the sink."""

    def __init__(self, places: Sequence[Place], inputs: int, queue: int) -> None:
        self.places, self.inputs, self.queue, self.now = places, inputs, queue, 0
        self.workers = [[Worker(n, k) for k in range(place.servers)] for n, place in enumerate(places)]
        self.there: list[set[int]] = [set() for _ in places]
        self.used: dict[tuple[int, int, int], int] = defaultdict(int)
        self.asking: list[tuple[int, int, int]] = []
        self.bus_until: dict[str, int] = defaultdict(int)
        self.entered: dict[int, int] = {}
        self.left: dict[int, int] = {}
        self.last_entry = 0
        while len(self.left) < inputs:
            while any(self.act(worker) for workers in self.workers for worker in workers) or self.grant():
                pass
            self.now += 1
            assert self.now < 100_000, "it hangs"

    def act(self, worker: Worker) -> bool:
        """Do one thing that can be done now, but for getting a bus."""
        place = self.places[worker.place]
        receive, send, busy = place.works[worker.key % len(place.works)]
        busy += place.idle_ms if worker.key < place.servers else 0
        if not worker.received and self.now >= worker.granted + receive:
            worker.received = True
            self.there[worker.place].discard(worker.key)
            self.used[self.pair(worker.place, worker.key)] -= 1
            return True
        steps = {"waiting": self.ask, "working": self.finish, "ready": self.reserve}
        if worker.doing in steps:
            return bool(steps[worker.doing](worker, place, busy - send))
        if worker.doing == "sending" and self.now >= worker.since + send:
            self.leave(worker, place)
            return True
        return False

    def pair(self, place: int, key: int) -> tuple[int, int, int]:
        """The queue before `place` that the input goes through: that of its sender and its receiver."""
        return place, key % self.places[place - 1].servers, key % self.places[place].servers

    def ask(self, worker: Worker, place: Place, _: int) -> bool:
        if worker.key >= self.inputs or (worker.place and worker.key not in self.there[worker.place]):
            return False
        worker.waits.append(self.now - worker.since)
        worker.doing, worker.asked = "asking", self.now
        if worker.place == 1:
            self.last_entry = self.now
        if place.bus is None:
            self.begin(worker, place)
        else:
            self.asking.append((self.now, -worker.place, worker.key))
        return True

    def begin(self, worker: Worker, place: Place) -> None:
        worker.doing, worker.granted, worker.received = "working", self.now, worker.place == 0
        worker.receives.append(self.now - worker.asked + place.works[worker.key % len(place.works)][0])

    def grant(self) -> bool:
        """Let the first of those who ask have its bus: by when it asked, then the later place, then the input."""
        held: set[str] = set()
        for asked in sorted(self.asking):
            place = self.places[-asked[1]]
            bus = place.bus or ""
            if bus in held or self.now < self.bus_until[bus]:
                held.add(bus)
                continue
            self.bus_until[bus] = self.now + place.bus_ms
            self.asking.remove(asked)
            self.begin(next(w for w in self.workers[-asked[1]] if w.key == asked[2]), place)
            return True
        return False

    def finish(self, worker: Worker, _: Place, work: int) -> bool:
        if self.now < worker.granted + work:
            return False
        worker.doing, worker.since = "ready", self.now
        return True

    def reserve(self, worker: Worker, _place: Place, _: int) -> bool:
        if worker.place + 1 < len(self.places):
            pair = self.pair(worker.place + 1, worker.key)
            if self.used[pair] == self.queue:
                return False
            self.used[pair] += 1
        worker.blocks.append(self.now - worker.since)
        worker.doing, worker.since = "sending", self.now
        if worker.place == 0:
            self.entered[worker.key] = self.now
        return True

    def leave(self, worker: Worker, place: Place) -> None:
        if worker.place + 1 < len(self.places):
            self.there[worker.place + 1].add(worker.key)
        else:
            self.left[worker.key] = self.now
        worker.key += place.servers
        worker.doing, worker.since = "waiting", self.now


def median(values: Sequence[int]) -> float:
    """0 for none."""
    return float(statistics.median(values)) if values else 0.0
