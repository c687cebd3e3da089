"""spec -> LayerGraph: parameterised families of networks. Pure; nothing is drawn, nothing written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Generic, TypeAlias, TypeVar, get_args

from paraedge.core.errors import BadInput, short
from paraedge.core.graph import LayerGraph
from paraedge.core.spec import ModelSpec, Params, Precision
from paraedge.models.cnn import CnnParams, build_cnn
from paraedge.models.conv_stack import ConvStackParams, build_conv_stack
from paraedge.models.fc import FcParams, build_fc
from paraedge.models.file import FileParams, build_file
from paraedge.models.matmul import MatmulParams, build_matmul
from paraedge.models.precision import CHANGES
from paraedge.models.rnn import RnnParams, build_rnn
from paraedge.models.zoo import ZooParams, build_zoo

P = TypeVar("P", bound=Params)

MOST_BATCH = 2**20
MOST_SEED = 2**63 - 1
PRECISIONS = get_args(Precision)


@dataclass(frozen=True, kw_only=True)
class Family(Generic[P]):
    """A family of networks: its hyperparameters and its generator."""

    name: str
    params: type[P]
    generate: Callable[[ModelSpec, P], LayerGraph]
    summary: str

    def build(self, spec: ModelSpec) -> LayerGraph:
        """The network of `spec`; raises BadInput where its parameters are another family's or can't be."""
        if not isinstance(spec.params, self.params):
            raise BadInput(f"{self.name} takes {self.params.__name__}, not {type(spec.params).__name__}")
        return self.generate(spec, spec.params)


AnyFamily: TypeAlias = (
    "Family[FcParams] | Family[CnnParams] | Family[ConvStackParams] | Family[RnnParams] | Family[MatmulParams]"
    " | Family[ZooParams] | Family[FileParams]"
)

FAMILIES: Mapping[str, AnyFamily] = {
    "fc": Family(name="fc", params=FcParams, generate=build_fc, summary="fully connected layers with ReLU"),
    "cnn": Family(name="cnn", params=CnnParams, generate=build_cnn, summary="residual or bottleneck networks"),
    "conv_stack": Family(
        name="conv_stack", params=ConvStackParams, generate=build_conv_stack, summary="equal convolutions with ReLU"
    ),
    "matmul": Family(name="matmul", params=MatmulParams, generate=build_matmul, summary="one square matrix product"),
    "rnn": Family(name="rnn", params=RnnParams, generate=build_rnn, summary="unrolled RNNs, LSTMs and GRUs"),
    "zoo": Family(
        name="zoo", params=ZooParams, generate=build_zoo, summary="real networks, from MobileNet to RetinaNet and ViT"
    ),
    "file": Family(name="file", params=FileParams, generate=build_file, summary="model files of one's own"),
}


def build_graph(spec: ModelSpec) -> LayerGraph:
    """The network of a spec: weights named by seed and stream, not drawn. Raises BadInput for impossible parameters."""
    family = FAMILIES.get(spec.family)
    if family is None:
        raise BadInput(f"unknown family {spec.family!r}: one of {', '.join(FAMILIES)}")
    for name, value in (("batch", spec.batch), ("precision", spec.precision), ("seed", spec.seed)):
        right = check_common(name, value)
        if right is not None:
            raise BadInput(f"{name} = {short(repr(value), 60)}: must be {right}")
    change = CHANGES.get(spec.precision)
    if change is None or spec.family == "file":  # whose precision is what it has
        return family.build(spec)
    return replace(change(family.build(replace(spec, precision="float32"))), name=spec.label())


def check_common(name: str, value: object) -> str | None:
    """What would be right, where `value` can't be a spec's `batch`, `precision` or `seed`; None where it can."""
    if name == "precision":
        return None if value in PRECISIONS else f"one of {', '.join(map(repr, PRECISIONS))}"
    least, most = (1, MOST_BATCH) if name == "batch" else (0, MOST_SEED)
    if type(value) is int and least <= value <= most:  # a bool is no number
        return None
    return f"a whole number from {least} to {most}"
