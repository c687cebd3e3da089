"""Graphs built by hand, so that nothing but the nouns is trusted."""

from __future__ import annotations

from collections.abc import Sequence

from paraedge.core.graph import ConstantWeights, Layer, LayerGraph, Quantization, SeededWeights, Tensor

WEIGHTS = SeededWeights(seed=0, stream=0, bound=127)


class Builder:
    """Appends tensors and layers; `graph` closes it."""

    def __init__(self) -> None:
        self.tensors: list[Tensor] = []
        self.layers: list[Layer] = []

    def tensor(self, shape: tuple[int, ...], dtype: str = "int8", *, constant: bool = False, scales: int = 1) -> int:
        self.tensors.append(
            Tensor(
                name=f"t{len(self.tensors)}",
                shape=shape,
                dtype=dtype,
                quantization=Quantization(scales=(0.5,) * scales, zero_points=(0,) * scales),
                weights=WEIGHTS if constant else None,
            )
        )
        return len(self.tensors) - 1

    def values(self, *values: int, shape: tuple[int, ...] | None = None) -> int:
        weights = ConstantWeights(values=values)
        self.tensors.append(Tensor(name="c", shape=shape or (len(values),), dtype="int32", weights=weights))
        return len(self.tensors) - 1

    def op(
        self, name: str, inputs: Sequence[int], shape: tuple[int, ...], dtype: str = "int8", **options: object
    ) -> int:
        output = self.tensor(shape, dtype)
        custom = options.pop("custom_code", None)
        self.layers.append(
            Layer(op=name, inputs=tuple(inputs), outputs=(output,), options=options, custom_code=custom)  # type: ignore[arg-type]
        )
        return output

    def dense(self, x: int, units: int, *, bias: bool = True) -> int:
        depth = self.tensors[x].shape[-1]
        w = self.tensor((units, depth), constant=True)
        b = self.tensor((units,), "int32", constant=True) if bias else -1
        return self.op("FULLY_CONNECTED", (x, w, b), (1, units))

    def conv(self, x: int, filters: int, *, kernel: int = 3, scales: int | None = None, **options: object) -> int:
        shape = self.tensors[x].shape
        w = self.tensor((filters, kernel, kernel, shape[-1]), constant=True, scales=scales or filters)
        b = self.tensor((filters,), "int32", constant=True)
        return self.op("CONV_2D", (x, w, b), (*shape[:-1], filters), **options)

    def graph(self, inputs: Sequence[int], outputs: Sequence[int]) -> LayerGraph:
        return LayerGraph(
            name="by hand",
            tensors=tuple(self.tensors),
            layers=tuple(self.layers),
            inputs=tuple(inputs),
            outputs=tuple(outputs),
        )
