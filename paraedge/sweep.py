"""Sweep file -> ordered ModelSpecs. A sweep is TOML: a name, devices, how to measure, and one or more grids.

    name = "example"
    devices = ["cpu", "sim-edgetpu-usb3"]

    [measure]
    rounds = 3
    threads = [1, 2]

    [[grid]]
    family = "fc"
    layer = 4                                  # a value
    node = { min = 32, max = 8192, times = 2 }   # or { min, max, plus }
    batch = [1, 8]                             # a list of values

    [pipeline]                                 # each point over several of each device, see docs/pipelines.md
    segments = [1, 2, 4]
    strategy = ["params", "optimal", "data"]
    inputs = [1, 100]

`family = "file"` with `path`, one or more of these or patterns, from the sweep file's folder on, gives a point for each
model file. `builder = "tensorflow"` has the others made by TensorFlow's converter where a device is measured.

Points come in the file's order, the last key varying fastest. Every error is one line that names the file, the key
(`grid[1]` is the first grid) and what would be right.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from paraedge.checks import (
    AIM,
    FOLDER_NAME,
    PIPELINE,
    SETTINGS,
    STRATEGIES,
    Builder,
    is_builder,
    is_device_name,
    is_folder_name,
    is_kernels,
    is_model_path,
    is_thread_count,
)
from paraedge.core.device import Kernels, MeasureSettings
from paraedge.core.errors import BadInput, short
from paraedge.core.partition import Aim
from paraedge.core.spec import ModelSpec, ParamValue
from paraedge.core.words import did_you_mean
from paraedge.grid import COMMON, Grid, Pipelines, Values, one_point, points_of, size_of
from paraedge.models import FAMILIES, check_common
from paraedge.models.file import find_models
from paraedge.models.params import check_value
from paraedge.named_files import read_named

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """A sweep as its file has it: what to sample, where and how. `text` is the file's own.

    folder: where paths of model files begin. builder: what makes the model files that measured devices get.
    pipeline: None where models run whole.
    """

    name: str
    devices: tuple[str, ...]
    measure: MeasureSettings
    threads: tuple[int, ...]
    kernels: tuple[Kernels, ...]
    grids: tuple[Grid, ...]
    text: str
    source: str
    folder: Path
    builder: Builder = "direct"
    pipeline: Pipelines | None = None

    def size(self) -> int:
        """Number of points, without expanding them."""
        return size_of(self.grids)

    def points(self) -> Iterator[ModelSpec]:
        """The points in order, each once, lazily. Raises BadInput at one whose values can't be combined."""
        try:
            yield from points_of(self.grids)
        except BadInput as error:
            raise BadInput(f"{self.source}: {error}") from None


def load_sweep(path_or_name: str | Path) -> Sweep:
    """Read a sweep file, or a shipped sweep by its name (`quick`). Raises BadInput for what can't be read as one."""
    text, source = read_named(path_or_name, "sweep")
    return parse_sweep(text, source=source)


def parse_sweep(text: str, *, source: str, folder: Path | None = None) -> Sweep:
    """A sweep from the TOML `text`. Raises BadInput, one line, for anything wrong.

    source: names it in errors. folder: where paths of model files begin; None: the folder of `source`.
    """
    if not text.strip():
        raise BadInput(f"{source} is empty: a sweep needs a name, devices and a [[grid]]")
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # also whole numbers too long for Python, lists nested too deep
        raise BadInput(f"{source} is not TOML: {short(error, 200)}") from None
    return _Reader(source, Path(source).parent if folder is None else folder).sweep(table, text)


class _Reader:
    """Checks one file's tables; knows the file's name so that every error has it."""

    def __init__(self, source: str, folder: Path) -> None:
        self.source = source
        self.folder = folder
        self.contents: set[str] = set()  # spec_ids of the model files so far

    def sweep(self, table: Mapping[str, Any], text: str) -> Sweep:
        keys = ("name", "devices", "builder", "measure", "pipeline", "grid")
        self.known(table, keys, "", needed=("name", "devices", "grid"))
        measure = table.get("measure", {})
        if not isinstance(measure, dict):
            self.bad("measure", measure, "a table: [measure]")
        options = {"threads": measure.get("threads", 1), "kernels": measure.get("kernels", "xnnpack")}
        return Sweep(
            name=self.checked("name", table["name"], is_folder_name, FOLDER_NAME),
            devices=self.strings("devices", table["devices"]),
            builder=self.checked("builder", table.get("builder", "direct"), is_builder, "'direct' or 'tensorflow'"),
            measure=self.settings(measure),
            threads=self.several("measure.threads", options["threads"], is_thread_count, "a whole number, 1 to 1024"),
            kernels=self.several("measure.kernels", options["kernels"], is_kernels, "'xnnpack' or 'builtin'"),
            grids=self.grids(table["grid"]),
            text=text,
            source=self.source,
            folder=self.folder,
            pipeline=self.pipelines(table["pipeline"]) if "pipeline" in table else None,
        )

    def pipelines(self, table: object) -> Pipelines:
        if not isinstance(table, dict):
            self.bad("pipeline", table, "a table: [pipeline]")
        self.known(table, (*PIPELINE, *AIM), "pipeline.", needed=("segments", "inputs"))
        segments, strategies, inputs = (
            self.several(f"pipeline.{key}", table[key], *check) if key in table else ()
            for key, check in PIPELINE.items()
        )
        if max(segments) > 1 and not strategies:
            self.fail(f"pipeline.strategy is missing: one or more of {', '.join(STRATEGIES)}")
        given = {key: self.checked(f"pipeline.{key}", table[key], *AIM[key]) for key in AIM if key in table}
        bus = given.pop("bus", "own")
        return Pipelines(
            segments=segments, strategies=strategies, inputs=inputs, aim=Aim(**given, shared_bus=bus == "shared")
        )

    def settings(self, table: Mapping[str, Any]) -> MeasureSettings:
        self.known(table, (*SETTINGS, "threads", "kernels"), "measure.")
        given = {key: value for key, value in table.items() if key in SETTINGS}
        for key, value in given.items():
            good, right = SETTINGS[key]
            self.checked(f"measure.{key}", value, good, right)
        return dataclasses.replace(MeasureSettings(), **given)

    def grids(self, tables: object) -> tuple[Grid, ...]:
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            self.bad("grid", tables, "one or more tables: [[grid]]")
        if not tables:
            self.fail("has no grid: add one or more [[grid]] tables")
        return tuple(grid for at, table in enumerate(tables, start=1) for grid in self.grid(f"grid[{at}]", table))

    def grid(self, where: str, table: Mapping[str, Any]) -> Iterator[Grid]:
        if "family" not in table:
            self.fail(f"{where}.family is missing: one of {', '.join(FAMILIES)}")
        family = table["family"]
        if not isinstance(family, str) or family not in FAMILIES:
            self.fail(f"{where}.family = {short(repr(family), 60)}: unknown: {did_you_mean(str(family), FAMILIES)}")
        if family == "file":
            yield from self.files(where, table)
            return
        params = FAMILIES[family].params
        fields = {field.name: field.default for field in dataclasses.fields(params)}
        needed = tuple(name for name, default in fields.items() if default is dataclasses.MISSING)
        self.known(table, ("family", *fields, *COMMON), f"{where}.", needed=needed)
        given = {key: self.axis(where, family, key, value) for key, value in table.items() if key != "family"}
        defaults: dict[str, Any] = {**fields, "batch": 1, "precision": "int8", "seed": 0}
        axes: dict[str, Values] = {key: (value,) for key, value in defaults.items() if key not in given}
        grid = Grid(family=family, axes={**axes, **given})
        try:
            next(grid.points())
        except BadInput as error:
            self.fail(f"{where}: {error}")
        yield grid

    def files(self, where: str, table: Mapping[str, Any]) -> Iterator[Grid]:
        """A grid for each model file, the first of those with equal content."""
        for key in table:
            if key in COMMON:
                self.fail(f"{where}.{key}: a model file has its own {key}; leave the key out")
        self.known(table, ("family", "path"), f"{where}.", needed=("path",))
        right = "the path of a .tflite file, or a pattern, as 'models/*.tflite'"
        for pattern in self.several(f"{where}.path", table["path"], is_model_path, right):
            try:
                found = find_models(pattern, self.folder)
            except BadInput as error:
                self.fail(f"{where}.path: {error}")
            yield from (one_point(spec) for spec in found if spec.spec_id not in self.contents)
            self.contents.update(spec.spec_id for spec in found)

    def axis(self, where: str, family: str, key: str, value: object) -> Values:
        """The values of one key: a value, a list of values, or a range."""
        name = f"{where}.{key}"
        is_list = key not in COMMON and FAMILIES[family].params.__dataclass_fields__[key].metadata["kind"] == "counts"
        if isinstance(value, dict):
            low, high = self.bounds(name, value)
            values: Values = self.range(name, value, low, high)
            ends: Iterable[object] = (low, high)
        else:
            nested = is_list and isinstance(value, list) and any(isinstance(item, list) for item in value)
            items = value if isinstance(value, list) and (nested or not is_list) else [value]
            if not items:
                self.fail(f"{name} = []: an empty list has no points; give one value or more")
            ends = [tuple(item) if is_list and isinstance(item, list) else item for item in items]
            values = ()
        for item in ends:
            right = check_common(key, item) if key in COMMON else check_value(FAMILIES[family].params, key, item)
            if right is not None:
                self.bad(name, list(item) if isinstance(item, tuple) else item, right)
        return values or tuple(dict.fromkeys(_as_values(ends)))

    def bounds(self, name: str, table: Mapping[str, Any]) -> tuple[int, int]:
        self.known(table, ("min", "max", "times", "plus"), f"{name}.", needed=("min", "max"))
        for key, value in table.items():
            if type(value) is not int:
                self.bad(f"{name}.{key}", value, "a whole number")
        if ("times" in table) == ("plus" in table):
            self.fail(f"{name}: a range has min, max and either times or plus, as {{ min = 1, max = 8, times = 2 }}")
        if table["min"] > table["max"]:
            self.fail(f"{name}: the range is empty, its min {table['min']} is above its max {table['max']}")
        return table["min"], table["max"]

    def range(self, name: str, table: Mapping[str, Any], low: int, high: int) -> Values:
        if "plus" in table:
            if table["plus"] < 1:
                self.bad(f"{name}.plus", table["plus"], "1 or more")
            return range(low, high + 1, table["plus"])
        if table["times"] < 2:
            self.bad(f"{name}.times", table["times"], "2 or more, or the range would never end")
        if low < 1:
            self.bad(f"{name}.min", low, "1 or more where a range multiplies")
        values = [low]
        while values[-1] * table["times"] <= high:
            values.append(values[-1] * table["times"])
        return tuple(values)

    def strings(self, name: str, value: object) -> tuple[str, ...]:
        if not isinstance(value, list):
            self.bad(name, value, 'a list of names, as ["cpu"]')
        return self.several(name, value, is_device_name, "a device's name, as 'cpu'; see `paraedge devices`")

    def several(self, name: str, value: Any, good: Callable[[object], bool], right: str) -> tuple[Any, ...]:
        """A value or a list of at least one, each once."""
        items = value if isinstance(value, list) else [value]
        if not items:
            self.fail(f"{name} = []: give at least one")
        return tuple(dict.fromkeys(self.checked(name, item, good, right) for item in items))

    def checked(self, name: str, value: Any, good: Callable[[object], bool], right: str) -> Any:
        return value if good(value) else self.bad(name, value, right)

    def known(self, table: Mapping[str, Any], keys: tuple[str, ...], prefix: str, needed: tuple[str, ...] = ()) -> None:
        """Fail for the first key that isn't known or, after that, that is needed and isn't there."""
        for key in table:
            if key not in keys:
                self.fail(f"{prefix}{short(key, 60)} is unknown: {did_you_mean(key, keys)}")
        for key in needed:
            if key not in table:
                self.fail(f"{prefix}{key} is missing")

    def bad(self, name: str, value: object, right: str) -> NoReturn:
        self.fail(f"{name} = {short(_toml(value), 60)}: must be {right}")

    def fail(self, message: str) -> NoReturn:
        raise BadInput(f"{self.source}: {message}")


def _as_values(items: Iterable[Any]) -> Iterator[ParamValue]:
    yield from items  # each was checked before


def _toml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value)
