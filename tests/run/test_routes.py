"""Routes of random pipelines: every tensor gets where it is taken, and nobody waits for ever."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paraedge.core.errors import BadInput
from paraedge.run.ring import RingEnd
from paraedge.run.routes import Ring, Station, inputs_of, make_rings, outputs_of, routes

pytestmark = pytest.mark.usefixtures("nothing_left")


@st.composite
def stations(draw: st.DrawFn) -> list[Station]:
    """Stages that each take some of the tensors there are, in any order, and make one to three."""
    there = [0, 1]
    found = []
    for _ in range(draw(st.integers(1, 5))):
        takes = draw(st.lists(st.sampled_from(there), min_size=1, max_size=4, unique=True))
        makes = list(range(len(there), len(there) + draw(st.integers(1, 3))))
        there += makes
        replicas = draw(st.integers(1, 3))
        found.append(Station(inputs=tuple(takes), outputs=tuple(makes), replicas=replicas))
    return found


@given(stations(), st.integers(1, 3), st.data())
def test_every_tensor_gets_where_it_is_taken(line: list[Station], queue: int, data: st.DataObject) -> None:
    outputs = data.draw(st.lists(st.sampled_from([t for s in line for t in s.outputs]), min_size=1, unique=True))
    makers = {tensor: number for number, station in enumerate(line, 1) for tensor in station.outputs}
    arrived: dict[int, set[int]] = {number: set() for number in range(1, len(line) + 2)}
    for route in routes(line, outputs, queue):
        assert route.source < route.sink
        assert route.room >= queue
        for tensor in route.tensors:
            assert makers.get(tensor, 0) == route.source
            assert tensor not in arrived[route.sink], "it comes once"
            arrived[route.sink].add(tensor)
    wanted = {number: set(station.inputs) for number, station in enumerate(line, 1)} | {len(line) + 1: set(outputs)}
    assert arrived == wanted
    taken = {t for s in line for t in s.inputs}
    assert set(inputs_of(line)) == taken - set(makers)
    assert set(outputs_of(line)) == set(makers) - taken


@dataclass
class Link:
    """A ring as two numbers: what is on its way, and how much room there is."""

    room: int
    filled: deque[int] = field(default_factory=deque)


@settings(max_examples=200)
@given(stations(), st.integers(1, 3), st.randoms())
def test_nobody_waits_for_ever(line: list[Station], queue: int, random: object) -> None:
    """Replicas act in any order as far as their rings allow; all inputs come out, each with its own tensors."""
    outputs = outputs_of(line)
    rings = make_rings(line, routes(line, outputs, queue))
    for ring in rings:
        ring.sender.close()
        ring.receiver.close()
    links = {id(ring): Link(room=ring.sender.slots) for ring in rings}
    replicas = [1, *(station.replicas for station in line), 1]
    actors = [(number, replica) for number, count in enumerate(replicas) for replica in range(count)]
    done = dict.fromkeys(actors, 0)
    count = 20

    def step(actor: tuple[int, int]) -> bool:
        number, replica = actor
        index = replica + done[actor] * replicas[number]
        takes = [ring for ring in rings if ring.sink == actor and index % ring.receiver.peers == ring.receiver.peer]
        gives = [ring for ring in rings if ring.source == actor and index % ring.sender.peers == ring.sender.peer]
        able = all(links[id(ring)].filled for ring in takes) and all(links[id(ring)].room for ring in gives)
        if index >= count or not able:
            return False
        for ring in takes:
            assert links[id(ring)].filled.popleft() == index
            links[id(ring)].room += 1
        for ring in gives:
            links[id(ring)].filled.append(index)
            links[id(ring)].room -= 1
        done[actor] += 1
        return True

    while True:
        random.shuffle(actors)  # type: ignore[attr-defined]
        if not any([step(actor) for actor in actors]):  # noqa: C419 (all of them act)
            break
    assert done[len(line) + 1, 0] == count


def test_a_tensor_that_skips_has_room_for_all_between() -> None:
    """Three queues of two and two stages with an input each: eight inputs may be on their way."""
    line = [
        Station(inputs=(0,), outputs=(1, 9)),
        Station(inputs=(1,), outputs=(2,)),
        Station(inputs=(2,), outputs=(3,)),
        Station(inputs=(3, 9), outputs=(4,)),
    ]
    rooms = {(route.source, route.sink): route.room for route in routes(line, (4,), 2)}
    assert rooms == {(0, 1): 2, (1, 2): 2, (2, 3): 2, (3, 4): 2, (1, 4): 8, (4, 5): 2}


def pairs(rings: Sequence[Ring]) -> Counter[tuple[tuple[int, int], tuple[int, int]]]:
    return Counter((ring.source, ring.sink) for ring in rings)


def test_replicas_that_never_meet_have_no_ring() -> None:
    """Of 2 and 4 in turn, input i is of i % 2 and i % 4: 0 meets 0 and 2, 1 meets 1 and 3."""
    line = [Station(inputs=(0,), outputs=(1,), replicas=2), Station(inputs=(1,), outputs=(2,), replicas=4)]
    rings = make_rings(line, routes(line, (2,), 3))
    between = {(a[1], b[1]) for (a, b) in pairs(rings) if a[0] == 1 and b[0] == 2}
    assert between == {(0, 0), (0, 2), (1, 1), (1, 3)}
    assert set(pairs(rings).values()) == {1}
    assert {ring.sender.slots for ring in rings} == {3}
    for ring in rings:
        assert isinstance(ring.sender, RingEnd)
        assert (ring.sender.stage, ring.sender.peer) == ring.sink
        assert (ring.receiver.stage, ring.receiver.peer) == ring.source
        ring.sender.close()
        ring.receiver.close()


def test_a_tensor_handed_through_comes_from_where_it_was_made() -> None:
    line = [Station(inputs=(0,), outputs=(1,)), Station(inputs=(1, 0), outputs=(2, 0, 1))]
    assert inputs_of(line) == (0,)
    found = {(route.source, route.sink): route.tensors for route in routes(line, (2, 0, 1), 1)}
    assert found == {(0, 1): (0,), (0, 2): (0,), (1, 2): (1,), (2, 3): (2,), (0, 3): (0,), (1, 3): (1,)}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ([((0,), (1,)), ((1,), (1, 2)), ((2,), (3,))], None),
        ([((0,), (1,)), ((0,), (1,))], "tensor 1 is made by stage 1 and again by stage 2"),
        ([((2,), (1,)), ((1,), (2,))], "stage 1 takes tensor 2, which only stage 2 makes"),
    ],
)
def test_what_does_not_fit_together_is_refused(
    line: list[tuple[tuple[int, ...], tuple[int, ...]]], said: str | None
) -> None:
    made = [Station(inputs=inputs, outputs=outputs) for inputs, outputs in line]
    if said is None:
        assert inputs_of(made) == (0,)
        return
    with pytest.raises(BadInput, match=said):
        inputs_of(made)
