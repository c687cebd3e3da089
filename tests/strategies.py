"""Hypothesis strategies for the nouns of a sweep: specs, and the text of grids with the values that it must mean."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from hypothesis import strategies as st

from paraedge.core.spec import ModelSpec, Params
from paraedge.models import CnnParams, ConvStackParams, FcParams, MatmulParams

small = st.integers(1, 12)

fc_params = st.one_of(
    st.builds(FcParams, input=small, layer=st.integers(1, 6), node=small, output=small),
    st.builds(FcParams, input=small, output=small, widths=st.lists(small, min_size=1, max_size=5).map(tuple)),
)
cnn_params = st.one_of(
    st.builds(
        CnnParams,
        kind=st.sampled_from(["residual", "bottleneck"]),
        block=st.integers(1, 2),
        filter=small,
        image=st.integers(1, 40),
        output=small,
    ),
    st.builds(
        CnnParams,
        kind=st.sampled_from(["residual", "bottleneck"]),
        blocks=st.tuples(*[st.integers(1, 2)] * 4),
        filter=small,
        image=st.integers(1, 40),
        output=small,
    ),
)
conv_stack_params = st.builds(
    ConvStackParams, layer=st.integers(1, 3), kernel=st.integers(1, 5), image=small, channel=small, filter=small
)
matmul_params = st.builds(MatmulParams, n=small)


def specs(params: st.SearchStrategy[Params]) -> st.SearchStrategy[ModelSpec]:
    """Specs of any precision and batch with these parameters."""
    names = {FcParams: "fc", CnnParams: "cnn", ConvStackParams: "conv_stack", MatmulParams: "matmul"}
    return st.builds(
        lambda params, batch, precision, seed: ModelSpec(
            family=names[type(params)], params=params, batch=batch, precision=precision, seed=seed
        ),
        params,
        st.integers(1, 4),
        st.sampled_from(["int8", "float32"]),
        st.integers(0, 3),
    )


any_spec = specs(st.one_of(fc_params, cnn_params, conv_stack_params, matmul_params))


@dataclass(frozen=True)
class Axis:
    """The text of an axis' values and the values that it means, in order, with the text's own duplicates."""

    text: str
    values: tuple[object, ...]


@st.composite
def count_axes(draw: st.DrawFn) -> Axis:
    """A value, a list, a multiplied or an added range of small whole numbers."""
    form = draw(st.sampled_from(["value", "list", "times", "plus"]))
    if form == "value":
        value = draw(small)
        return Axis(str(value), (value,))
    if form == "list":
        values = draw(st.lists(small, min_size=1, max_size=4))
        return Axis(str(values), tuple(values))
    low = draw(small)
    high = low + draw(st.integers(0, 20))
    if form == "times":
        step = draw(st.integers(2, 4))
        powers = itertools.takewhile(lambda value: value <= high, (low * step**k for k in itertools.count()))
        return Axis(f"{{ min = {low}, max = {high}, times = {step} }}", tuple(powers))
    step = draw(st.integers(1, 7))
    return Axis(f"{{ min = {low}, max = {high}, plus = {step} }}", tuple(v for v in range(low, high + 1, step)))


@st.composite
def width_axes(draw: st.DrawFn) -> Axis:
    """One list of widths, or a list of such lists."""
    lists = draw(st.lists(st.lists(small, min_size=1, max_size=3), min_size=1, max_size=3))
    text = str(lists) if len(lists) > 1 or draw(st.booleans()) else str(lists[0])
    return Axis(text, tuple(map(tuple, lists)))


words = st.lists(st.sampled_from(["int8", "float32"]), min_size=1, max_size=3)
precision_axes = words.map(lambda values: Axis(str(values).replace("'", '"'), tuple(values)))


@st.composite
def fc_grids(draw: st.DrawFn) -> dict[str, Axis]:
    """The keys of an fc grid in any order, with their axes; `layer` and `node`, or `widths`."""
    needed = {"widths": width_axes()} if draw(st.booleans()) else {"layer": count_axes(), "node": count_axes()}
    optional = {"input": count_axes(), "batch": count_axes(), "seed": count_axes(), "precision": precision_axes}
    chosen = draw(st.sets(st.sampled_from(sorted(optional)), max_size=2))
    axes = {**needed, **{name: optional[name] for name in chosen}}
    return {name: draw(axes[name]) for name in draw(st.permutations(sorted(axes)))}
