"""What makes model files: the direct writer, or TensorFlow's converter; files of the user's own are copied by both."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from paraedge.build.direct import OWN_RECIPE, build_artifact
from paraedge.build.store import write_whole
from paraedge.checks import Builder
from paraedge.core.graph import LayerGraph
from paraedge.core.outcome import Artifact, Failure
from paraedge.core.spec import ModelSpec

Build: TypeAlias = "Callable[[ModelSpec, LayerGraph, Path], Artifact | Failure]"
"""(spec, its graph, folder) -> the spec's file in that folder."""


@dataclass(frozen=True, kw_only=True)
class Maker:
    """A builder ready to build."""

    name: Builder
    build: Build

    def of(self, spec: ModelSpec) -> str:
        """Where the file of `spec` comes from: this builder, or `file`."""
        return OWN_RECIPE if spec.family == "file" else self.name


DIRECT = Maker(name="direct", build=build_artifact)
KEPT_BYTES = 4 << 30
"""Converted files beyond this are not kept: they would fill a small disk."""


@contextlib.contextmanager
def open_builder(name: Builder, *, log: Path, told: Callable[[ModelSpec, str], None] | None = None) -> Iterator[Maker]:
    """The builder of this name, for many models; what TensorFlow converted is kept until the end, for later rounds.

    log: file that TensorFlow's messages are appended to. told: called with each model that TensorFlow converts and what
    is being done to it. Raises BadInput where TensorFlow is not installed.
    """
    if name == "direct":
        yield DIRECT
        return
    from paraedge.build.converter import Converter
    from paraedge.build.scratch import work_folder

    with Converter(log, told=told) as converter, work_folder(in_memory=False) as kept:
        convert = _Keeping(converter.build, kept)

        def build(spec: ModelSpec, graph: LayerGraph, folder: Path) -> Artifact | Failure:
            return build_artifact(spec, graph, folder) if spec.family == "file" else convert(spec, folder)

        yield Maker(name=name, build=build)


class _Keeping:
    """A converter that is asked for each model once. A failure stays one, too: a crash costs time as a model does."""

    def __init__(self, convert: Callable[[ModelSpec, Path], Artifact | Failure], folder: Path) -> None:
        self.convert, self.folder = convert, folder
        self.made: dict[str, Artifact | Failure] = {}
        self.room_bytes = KEPT_BYTES

    def __call__(self, spec: ModelSpec, folder: Path) -> Artifact | Failure:
        made = self.made.get(spec.spec_id) or self.convert(spec, folder)
        if isinstance(made, Failure):
            self.made[spec.spec_id] = made
            return made
        try:
            return self._copied(made, spec, folder)
        except OSError as error:
            return Failure(stage="build", error=type(error).__name__, message=f"{error.filename}: {error.strerror}")

    def _copied(self, made: Artifact, spec: ModelSpec, folder: Path) -> Artifact:
        """The file in `folder`, and where there is room among those that are kept."""
        if spec.spec_id in self.made:
            return replace(made, path=_copy(made.path, folder))
        if made.file_bytes <= self.room_bytes:
            with contextlib.suppress(OSError):  # no space left: it is converted again
                self.made[spec.spec_id] = replace(made, path=_copy(made.path, self.folder))
                self.room_bytes -= made.file_bytes
        return made


def _copy(path: Path, folder: Path) -> Path:
    with path.open("rb") as source:
        write_whole(source, folder / path.name)
    return folder / path.name


def check_builder(name: Builder) -> None:
    """Raise BadInput where this builder lacks what it needs; nothing is started."""
    if name == "tensorflow":
        from paraedge.build.converter import check_installed

        check_installed()
