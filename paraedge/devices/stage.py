"""Where a sample stands, told to whoever watches: so a child that dies or hangs is known by what it was doing.

A session calls `enter` as it goes from opening to loading to running, and `alive` now and then while it runs; the
child passes both on to its parent. Nobody need listen: in one process the calls only keep `current` up to date.
"""

from __future__ import annotations

from collections.abc import Callable

from paraedge.core.errors import short
from paraedge.core.outcome import Failure, Stage


class _State:
    """One sample is taken at a time in a process, so one state is enough."""

    stage: Stage = "open"
    listener: Callable[[Stage], None] | None = None


def listen(listener: Callable[[Stage], None] | None) -> None:
    """Have `listener` called with the stage at each `enter` and `alive`; None ends that."""
    _State.listener = listener


def enter(stage: Stage) -> None:
    """The session begins `stage`."""
    _State.stage = stage
    alive()


def alive() -> None:
    """The session is still at work: the time that counts as silence begins anew."""
    if _State.listener is not None:
        _State.listener(_State.stage)


def current() -> Stage:
    """The stage entered last."""
    return _State.stage


def failure(error: BaseException) -> Failure:
    """The failure that `error` is at the current stage; its text is cut, LiteRT has put a whole model into one.

    An error that is a process's death has its signal's name as `signal`.
    """
    text = short(error) or ("an allocation failed" if isinstance(error, MemoryError) else "no message")
    signal = getattr(error, "signal", None)
    return Failure(stage=_State.stage, error=type(error).__name__, message=text, signal=signal)
