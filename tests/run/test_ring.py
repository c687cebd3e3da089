"""Rings between two ends in one process, and between processes that end."""

from __future__ import annotations

import os
import threading
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paraedge.core.errors import BadInput
from paraedge.run.ring import PeerGone, Receiver, RingEnd, Sender, TensorType, Turns, unnamed_memory

pytestmark = pytest.mark.usefixtures("nothing_left")

DTYPES = ("int8", "uint8", "bool", "float16", "int32", "float32", "int64", "complex64")
SHAPES = st.lists(st.integers(0, 5), max_size=4).map(tuple)
TYPES = st.builds(lambda shape, dtype: TensorType(shape=shape, dtype=dtype), SHAPES, st.sampled_from(DTYPES))


class Pair:
    """Both ends of a ring over real pipes and real memory."""

    def __init__(self, types: dict[int, TensorType], slots: int) -> None:
        memory = unnamed_memory()
        filled, free = os.pipe(), os.pipe()
        common = {"stage": 1, "peer": 0, "peers": 1, "tensors": tuple(types), "slots": slots}
        self.ends = (
            RingEnd(memory=memory, filled=filled[1], free=free[0], **common),  # type: ignore[arg-type]
            RingEnd(memory=os.dup(memory), filled=filled[0], free=free[1], **common),  # type: ignore[arg-type]
        )
        self.sender, self.receiver = Sender(self.ends[0], types), Receiver(self.ends[1], types)
        self.open = set(self.ends)

    def __enter__(self) -> Pair:
        return self

    def __exit__(self, *_: object) -> None:
        self.sender.forget()
        self.receiver.forget()
        for end in list(self.open):
            self.die(end)

    def die(self, end: RingEnd) -> None:
        self.open.remove(end)
        end.close()


@given(st.dictionaries(st.integers(0, 99), TYPES, max_size=4), st.integers(1, 5), st.integers(0, 12), st.data())
def test_values_arrive_as_they_were_sent(
    types: dict[int, TensorType], slots: int, count: int, data: st.DataObject
) -> None:
    """Whoever has the next turn is drawn: the sender while a slot is free, the receiver while one is filled."""
    generator = np.random.default_rng(count)
    with Pair(types, slots) as pair:
        waiting: list[dict[int, np.ndarray]] = []
        sent = 0
        while sent < count or waiting:
            assert pair.sender.wait(0) == (len(waiting) < slots)
            assert pair.receiver.wait(0) == bool(waiting)
            can = [who for who, able in (("send", sent < count and len(waiting) < slots), ("take", waiting)) if able]
            if data.draw(st.sampled_from(can)) == "send":
                raw = {i: generator.integers(0, 2, t.shape).astype(t.dtype) for i, t in types.items()}
                for i, slot in pair.sender.slot().items():
                    slot[...] = raw[i]
                pair.sender.send()
                waiting.append(raw)
                sent += 1
            else:
                assert not pair.receiver.ended
                found = pair.receiver.slot()
                for i, wanted in waiting.pop(0).items():
                    assert (found[i].dtype, found[i].shape) == (wanted.dtype, wanted.shape)
                    np.testing.assert_array_equal(found[i], wanted)
                pair.receiver.release()
        pair.sender.end()
        assert pair.receiver.wait(0)
        assert pair.receiver.ended


ONE = {7: TensorType(shape=(3,), dtype="int8")}


def test_slots_lie_on_lines_of_the_cache_and_do_not_overlap() -> None:
    types = {i: TensorType(shape=(i,), dtype="int8") for i in (1, 63, 64, 65)}
    with Pair(types, 2) as pair:
        starts = []
        for _ in range(2):
            assert pair.sender.wait(0)
            starts += [(slot.ctypes.data, slot.nbytes) for slot in pair.sender.slot().values()]
            pair.sender.send()
        assert all((start - starts[0][0]) % 64 == 0 for start, _ in starts)
        assert all(a + size <= b for (a, size), (b, _) in pairwise(starts))


@pytest.mark.parametrize("timeout_s", [0, 0.05])
def test_waiting_gives_up_in_time(timeout_s: float) -> None:
    with Pair(ONE, 1) as pair:
        assert not pair.receiver.wait(timeout_s)
        pair.sender.send()
        assert not pair.sender.wait(timeout_s)


def test_a_waiting_end_wakes_when_the_other_acts() -> None:
    with Pair(ONE, 1) as pair:
        later = threading.Timer(0.1, pair.sender.send)
        later.start()
        assert pair.receiver.wait(None)
        later = threading.Timer(0.1, pair.receiver.release)
        later.start()
        assert pair.sender.wait(None)
        later.join()


def test_the_death_of_the_receiver_is_seen() -> None:
    with Pair(ONE, 1) as pair:
        pair.sender.send()
        pair.die(pair.ends[1])
        with pytest.raises(PeerGone):
            pair.sender.wait(None)
        with pytest.raises(PeerGone):
            pair.sender.send()
        pair.sender.end()  # it may have heard so from another, and be gone in good order


def test_the_death_of_the_sender_is_seen_after_what_it_had_sent() -> None:
    with Pair(ONE, 2) as pair:
        pair.sender.slot()[7][...] = 5
        pair.sender.send()
        pair.die(pair.ends[0])
        assert pair.receiver.wait(None)
        assert pair.receiver.slot()[7].tolist() == [5, 5, 5]
        pair.receiver.release()  # nobody is left to hear of it, which does no harm
        with pytest.raises(PeerGone):
            pair.receiver.wait(None)


def test_a_receiver_that_has_the_end_needs_the_sender_no_more() -> None:
    with Pair(ONE, 2) as pair:
        pair.sender.end()
        pair.die(pair.ends[0])
        assert pair.receiver.wait(None)
        assert pair.receiver.ended


def test_memory_has_no_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for way in ("memfd_create", "temporary file"):
        descriptor = unnamed_memory()
        assert os.fstat(descriptor).st_nlink == 0
        assert not os.get_inheritable(descriptor)
        os.close(descriptor)
        if way == "memfd_create":
            monkeypatch.delattr(os, "memfd_create")


def test_a_ring_where_files_can_only_be_lengthened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "posix_fallocate")
    with Pair(ONE, 1) as pair:
        pair.sender.slot()[7][...] = 9
        pair.sender.send()
        assert pair.receiver.wait(0)
        assert pair.receiver.slot()[7].tolist() == [9, 9, 9]


@pytest.mark.parametrize("dtype", ["bytes", "bytes40", "str", "object", "nonsense"])
def test_values_without_a_size_are_refused(dtype: str) -> None:
    with pytest.raises(BadInput, match=f"values of type {dtype} have no fixed size"):
        _ = TensorType(shape=(1,), dtype=dtype).size_bytes


@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 50))
def test_turns_are_taken_by_number(first: int, second: int, index: int) -> None:
    common = {"tensors": (), "slots": 1, "memory": 0, "filled": 0, "free": 0}
    ends = [
        (RingEnd(stage=stage, peer=peer, peers=peers, **common), f"{stage}/{peer}")  # type: ignore[arg-type]
        for stage, peers in ((1, first), (2, second))
        for peer in range(peers)
    ]
    turns = Turns(ends)  # type: ignore[type-var]
    assert turns.of(index) == [f"1/{index % first}", f"2/{index % second}"]
    assert len(turns.all()) == first + second
