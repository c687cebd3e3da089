"""What was found out about a problem, kept as long as the problem is: strategies ask for the same again and again."""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable
from typing import Any, Concatenate, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from paraedge.partition.problem import Problem

Given = ParamSpec("Given")
Made = TypeVar("Made")


def once(make: Callable[Concatenate[Problem, Given], Made]) -> Callable[Concatenate[Problem, Given], Made]:
    """`make`, called once for the same problem and arguments. A problem is never changed, and compared as an object."""
    kept: WeakKeyDictionary[Problem, dict[Hashable, Any]] = WeakKeyDictionary()

    def made(problem: Problem, /, *args: Given.args, **kwargs: Given.kwargs) -> Made:
        known = kept.setdefault(problem, {})
        key = (args, tuple(sorted(kwargs.items())))
        if key not in known:
            known[key] = make(problem, *args, **kwargs)
        found: Made = known[key]
        return found

    functools.update_wrapper(made, make)
    return made
