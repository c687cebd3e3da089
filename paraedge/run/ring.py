"""A ring of slots in shared memory between two processes, one that sends tensors and one that receives them.

The memory has no name: nothing is left behind, however the processes end. Two pipes carry a byte for each slot that was
filled and for each that is free again. Each process holds only its own ends of them, so the death of one is an end of
file for the other.
"""

from __future__ import annotations

import contextlib
import math
import mmap
import os
import select
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

from paraedge.core.errors import BadInput
from paraedge.core.graph import ITEM_BYTES

if TYPE_CHECKING:
    import numpy.typing as npt

    Slot: TypeAlias = Mapping[int, npt.NDArray[Any]]

ALIGN_BYTES = 64
MOST_SLOTS = 2048
"""A pipe holds at least 4096 bytes, and none of ours must ever be full."""

FREE, FILLED, END = b"\0", b"\1", b"\2"


class PeerGone(Exception):
    """The process at the other end has ended."""


@dataclass(frozen=True, kw_only=True)
class TensorType:
    """Shape and numpy's name of the type of a tensor's values."""

    shape: tuple[int, ...]
    dtype: str

    @property
    def size_bytes(self) -> int:
        """Bytes of the values; raises BadInput for a type whose values have no fixed size."""
        item = ITEM_BYTES.get(self.dtype)
        if item is None:
            raise BadInput(f"values of type {self.dtype} have no fixed size and can't go through shared memory")
        return item * math.prod(self.shape)

    def __str__(self) -> str:
        return f"{self.dtype} {self.shape}"


@dataclass(frozen=True, kw_only=True)
class RingEnd:
    """One process's end of a ring: file descriptors, and what a slot holds.

    peer: the number of the process at the other end among those that take inputs in turn, of `peers`. tensors: ids, in
    the order in which they lie in a slot. memory: the file. filled: the pipe of filled slots, free: that of free ones.
    """

    stage: int
    peer: int
    peers: int
    tensors: tuple[int, ...]
    slots: int
    memory: int
    filled: int
    free: int

    @property
    def descriptors(self) -> tuple[int, int, int]:
        """All that the process must inherit."""
        return self.memory, self.filled, self.free

    def close(self) -> None:
        """Close the descriptors."""
        for descriptor in self.descriptors:
            os.close(descriptor)


def unnamed_memory() -> int:
    """A descriptor of an empty file that has no name: in memory, else an unlinked one in the temporary folder."""
    if hasattr(os, "memfd_create"):
        with contextlib.suppress(OSError):  # a kernel or a sandbox may not have it
            return os.memfd_create("paraedge")
    with tempfile.TemporaryFile(buffering=0) as file:
        return os.dup(file.fileno())


class Sender:
    """The end that fills slots."""

    def __init__(self, end: RingEnd, types: Mapping[int, TensorType]) -> None:
        self._slots = _slots(end, types)
        self._filled = end.filled
        self._free = _Tokens(end.free)
        self._room = end.slots
        self._next = 0

    def wait(self, timeout_s: float | None) -> bool:
        """Wait until a slot is free; False where none is in time, None waits on. Raises PeerGone."""
        while not self._room:
            if self._free.take(timeout_s) is None:
                return False
            self._room += 1
        return True

    def slot(self) -> Slot:
        """The values to fill in, by tensor id; only after `wait`."""
        return self._slots[self._next]

    def send(self) -> None:
        """Hand the slot over; raises PeerGone."""
        _put(self._filled, FILLED)
        self._next = (self._next + 1) % len(self._slots)
        self._room -= 1

    def end(self) -> None:
        """Say that no more comes. A receiver that has heard so from another need not be there any more."""
        with contextlib.suppress(PeerGone):
            _put(self._filled, END)

    def forget(self) -> None:
        """Let go of the memory."""
        self._slots = []


class Receiver:
    """The end that takes filled slots."""

    def __init__(self, end: RingEnd, types: Mapping[int, TensorType]) -> None:
        self._slots = _slots(end, types)
        self._filled = _Tokens(end.filled)
        self._free = end.free
        self._next = 0
        self._has: bytes | None = None

    def wait(self, timeout_s: float | None) -> bool:
        """Wait until a slot is filled, or no more comes; False where neither is in time, None waits on.

        Raises PeerGone.
        """
        if self._has is None:
            self._has = self._filled.take(timeout_s)
        return self._has is not None

    @property
    def ended(self) -> bool:
        """Whether no more comes; only after `wait`."""
        return self._has == END

    def slot(self) -> Slot:
        """The values, by tensor id, which are good until `release`; only after `wait`."""
        return self._slots[self._next]

    def release(self) -> None:
        """Give the slot back. A sender that has ended in the meantime needs it no more."""
        with contextlib.suppress(PeerGone):
            _put(self._free, FREE)
        self._next = (self._next + 1) % len(self._slots)
        self._has = None

    def forget(self) -> None:
        """Let go of the memory."""
        self._slots = []


End = TypeVar("End", Receiver, Sender)


class Turns(Generic[End]):
    """Ends of the rings to other stages, whose replicas take inputs in turn."""

    def __init__(self, ends: Sequence[tuple[RingEnd, End]]) -> None:
        self._by_stage: dict[int, dict[int, End]] = {}
        self._peers = {end.stage: end.peers for end, _ in ends}
        for end, ring in ends:
            self._by_stage.setdefault(end.stage, {})[end.peer] = ring

    def of(self, index: int) -> list[End]:
        """Those that input `index` goes through, one for each stage."""
        return [rings[index % self._peers[number]] for number, rings in self._by_stage.items()]

    def all(self) -> list[End]:
        """Every one of them."""
        return [ring for rings in self._by_stage.values() for ring in rings.values()]


class _Tokens:
    """The reading end of a pipe of single bytes."""

    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor
        self._ready = bytearray()
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN)

    def take(self, timeout_s: float | None) -> bytes | None:
        """The next byte, or None where there is none in time; raises PeerGone."""
        if not self._ready and not self._fill():
            self._poll.poll(None if timeout_s is None else math.ceil(1e3 * timeout_s))
            if not self._fill():
                return None
        return bytes((self._ready.pop(0),))

    def _fill(self) -> bool:
        try:
            found = os.read(self._descriptor, MOST_SLOTS)
        except BlockingIOError:
            return False
        if not found:
            raise PeerGone
        self._ready += found
        return True


def _put(descriptor: int, token: bytes) -> None:
    try:
        os.write(descriptor, token)
    except BrokenPipeError as error:
        raise PeerGone from error


def _slots(end: RingEnd, types: Mapping[int, TensorType]) -> list[Slot]:
    """Arrays over the shared memory; either process may be the first to give the file its size."""
    import numpy as np

    sizes = {i: types[i].size_bytes for i in end.tensors}
    padded = [-(-sizes[i] // ALIGN_BYTES) * ALIGN_BYTES for i in end.tensors]
    total_bytes = max(1, end.slots * sum(padded))
    _reserve(end.memory, total_bytes)
    memory = mmap.mmap(end.memory, total_bytes)
    slots: list[Slot] = []
    offset = 0
    for _ in range(end.slots):
        slot: dict[int, npt.NDArray[Any]] = {}
        for i, size in zip(end.tensors, padded, strict=True):
            flat = np.frombuffer(memory, np.uint8, sizes[i], offset)
            slot[i] = flat.view(types[i].dtype).reshape(types[i].shape)
            offset += size
        slots.append(slot)
    return slots


def _reserve(descriptor: int, size_bytes: int) -> None:
    """Give the file its size; where memory lacks, that is an error now in place of a signal later."""
    try:
        os.posix_fallocate(descriptor, 0, size_bytes)
    except AttributeError:  # not every system has it
        os.ftruncate(descriptor, size_bytes)
