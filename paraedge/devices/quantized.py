"""What real and simulated Edge TPUs ask of a model before it is compiled."""

from __future__ import annotations

from paraedge.core.graph import LayerGraph

QUANTIZED = frozenset({"int8", "uint8"})


def why_not_simulated(graph: LayerGraph) -> str | None:
    """What `why_not_quantized` says, and that the layers of a compiled model can't be seen."""
    if graph.is_compiled:
        return "the model is compiled for the Edge TPU; what can be simulated is the file that it was compiled from"
    return why_not_quantized(graph)


def why_not_quantized(graph: LayerGraph) -> str | None:
    """A float model has no place on the Edge TPU; a model without any int8 or uint8 value can't be mapped."""
    made = [graph.tensors[i].dtype for layer in graph.layers for i in layer.outputs if 0 <= i < len(graph.tensors)]
    if any(dtype in QUANTIZED for dtype in made) or any(layer.op == "CUSTOM" for layer in graph.layers):
        return None
    kinds = ", ".join(sorted(set(made))) or "no values"
    return f"the Edge TPU needs an int8 model, and this one has {kinds}"
