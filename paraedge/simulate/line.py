"""A row of servers with bounded queues, back-pressure and shared buses, in whole ticks. Discrete events.

Input k of a node goes to its server k mod r. A server that is free and has its input waits for the node's bus, if it
has one, in the order in which servers ask (at once: the later node first, and on a node the earlier input), and then
works for `busy` ticks: after the first `receive` of them the slot in front is free; before the last `send` it needs a
free slot behind and is blocked until there is one. Between any two servers that hand on to each other lie `queue`
slots. The first and the last node have one server each; the first always has an input, the last always has room.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias


class Work(NamedTuple):
    """Ticks of one input on a server; `compute` is only recorded."""

    receive: int
    compute: int
    send: int
    busy: int


@dataclass(frozen=True, kw_only=True)
class Node:
    """`servers` alike that take inputs in turn. `works`: of input 0, 1, ..., and again from the first after the last.

    bus: held for `bus_ticks` from when a server gets it. idle: more work with each server's first input.
    """

    works: Sequence[Work]
    servers: int = 1
    bus: str | None = None
    bus_ticks: int = 0
    idle: int = 0


@dataclass(slots=True)
class Server:
    """One server and its next step: to begin input `key` or, where `sending`, to send what it made of it.

    free: when it had sent its last one. ready: from when it can send. first: when it began its first input.
    kept: how many inputs took which ticks of wait, receive, compute, send, busy, blocked; waiting for the bus counts as
    receive and busy, `idle` as compute and busy. work: these of the input in hand, but for the last.
    """

    node: int
    key: int
    sending: bool = False
    free: int = 0
    ready: int = 0
    first: int | None = None
    work: tuple[int, ...] = ()
    kept: Counter[tuple[int, ...]] = field(default_factory=Counter)


Pending: TypeAlias = "dict[int, int]"
"""Input -> tick."""


class Line:
    """`nodes` in a row, through which `inputs` inputs go.

    passes: ticks from when the first node sends an input to its end at the last, in order. last_entry: when the
    last input began at the second node. last_exit: when it ended at the last.
    """

    def __init__(self, nodes: Sequence[Node], inputs: int, queue: int) -> None:
        self.servers = [[Server(node=index, key=k) for k in range(node.servers)] for index, node in enumerate(nodes)]
        self.passes: list[int] = []
        self.last_entry = self.last_exit = 0
        self.nodes, self.inputs = nodes, inputs
        counts = [node.servers for node in nodes]
        self.cycle = math.lcm(*counts, *(len(node.works) for node in nodes))
        self._slots = [0, *(queue * math.lcm(*pair) for pair in itertools.pairwise(counts))]
        self.filled: list[Pending] = [{} for _ in nodes]
        self.freed: list[Pending] = [{} for _ in nodes]
        self.entered: Pending = {}
        self.bus_free = {node.bus: 0 for node in nodes if node.bus is not None}
        self.events: list[tuple[int, bool, int, int]] = []
        for server in self.servers[0]:
            self._plan(server)

    def step(self) -> int | None:
        """Take the next event; returns the input that left the line by it."""
        time, _, minus_node, key = heapq.heappop(self.events)
        server = self._server(-minus_node, key)
        if not server.sending:
            self._begin(server, time)
            return None
        self._send(server, time)
        return key if server.node + 1 == len(self.nodes) else None

    def _server(self, node: int, key: int) -> Server:
        return self.servers[node][key % len(self.servers[node])]

    def _plan(self, server: Server) -> None:
        """Make the server's next step an event, if all that it waits for has happened."""
        node, key = server.node, server.key
        since: int | None = 0
        if server.sending:
            if node + 1 < len(self.nodes) and key >= self._slots[node + 1]:
                since = self.freed[node + 1].pop(key - self._slots[node + 1], None)
        elif key >= self.inputs:
            since = None
        elif node > 0:
            since = self.filled[node].pop(key, None)
        if since is not None:
            asks = not server.sending and self.nodes[node].bus is not None  # once all else of that time has happened
            time = max(server.ready if server.sending else server.free, since)
            heapq.heappush(self.events, (time, asks, -node, key))

    def _begin(self, server: Server, asked: int) -> None:
        node, key = self.nodes[server.node], server.key
        time = asked
        if node.bus is not None:
            time = max(asked, self.bus_free[node.bus])
            self.bus_free[node.bus] = time + node.bus_ticks
        receive, compute, send, busy = node.works[key % len(node.works)]
        idle = node.idle if server.first is None else 0
        if server.first is None:
            server.first = asked
        if server.node == 1:
            self.last_entry = asked
        server.work = (asked - server.free, time - asked + receive, compute + idle, send, time - asked + busy + idle)
        server.ready, server.sending = time + busy + idle - send, True
        self._plan(server)
        if server.node > 0:
            self.freed[server.node][key] = time + receive
            sender = self._server(server.node - 1, key + self._slots[server.node])
            if sender.sending and sender.key == key + self._slots[server.node]:
                self._plan(sender)

    def _send(self, server: Server, time: int) -> None:
        key = server.key
        server.kept[(*server.work, time - server.ready)] += 1
        server.free = time + server.work[3]
        if server.node == 0:
            self.entered[key] = time
        server.key, server.sending = key + len(self.servers[server.node]), False
        self._plan(server)
        if server.node + 1 == len(self.nodes):
            self.passes.append(server.free - self.entered.pop(key))
            self.last_exit = server.free
            return
        self.filled[server.node + 1][key] = server.free
        receiver = self._server(server.node + 1, key)
        if not receiver.sending and receiver.key == key:
            self._plan(receiver)
