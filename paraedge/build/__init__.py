"""LayerGraph -> Artifact: model files on disk, and compiled for the Edge TPU."""

from __future__ import annotations

from paraedge.build.compiled import CompiledModel, build_compiled, compile_artifact, compile_model
from paraedge.build.compiler import CompileOptions, Compiler, find_compiler
from paraedge.build.direct import build_artifact

__all__ = [
    "CompileOptions",
    "CompiledModel",
    "Compiler",
    "build_artifact",
    "build_compiled",
    "compile_artifact",
    "compile_model",
    "find_compiler",
]
