"""The sweep file's grammar against a plain reading of it by nested loops, and every way to get it wrong."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import Axis, fc_grids

from paraedge import checks, segment
from paraedge.core.device import MeasureSettings, Target
from paraedge.core.errors import BadInput
from paraedge.core.partition import Aim
from paraedge.core.spec import ModelSpec
from paraedge.models import FcParams, MatmulParams, build_graph
from paraedge.named_files import shipped
from paraedge.sweep import Sweep, load_sweep, parse_sweep
from paraedge.tflite import write_model

HEAD = 'name = "t"\ndevices = ["cpu"]\n'
FILE = '[[grid]]\nfamily = "file"\n'
MATMUL = '[[grid]]\nfamily = "matmul"\n'


def parse(text: str) -> Sweep:
    return parse_sweep(text, source="t.toml")


def grid_text(axes: dict[str, Axis]) -> str:
    return '[[grid]]\nfamily = "fc"\n' + "".join(f"{name} = {axis.text}\n" for name, axis in axes.items())


def by_loops(grids: list[dict[str, Axis]]) -> list[tuple[ModelSpec, ...]]:
    """What the grids mean, read naively: all combinations in order, then duplicates removed."""
    found: dict[ModelSpec, None] = {}
    for axes in grids:
        for values in itertools.product(*(axis.values for axis in axes.values())):
            given = dict(zip(axes, values, strict=True))
            common = {name: given.pop(name) for name in ("batch", "precision", "seed") if name in given}
            found[ModelSpec(family="fc", params=FcParams(**given), **common)] = None
    return list(found)


@settings(max_examples=150, deadline=None)
@given(st.lists(fc_grids(), min_size=1, max_size=4))
def test_points_are_those_of_nested_loops_in_order_and_each_once(grids: list[dict[str, Axis]]) -> None:
    sweep = parse(HEAD + "".join(map(grid_text, grids)))
    points = list(sweep.points())
    assert points == by_loops(grids)
    assert sweep.size() == len(points) == len({spec.spec_id for spec in points})


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 60), st.integers(0, 200), st.integers(1, 30)), min_size=1, max_size=5),
    st.lists(st.integers(1, 260), min_size=1, max_size=20),
)
def test_overlapping_ranges_are_counted_once(ranges: list[tuple[int, int, int]], values: list[int]) -> None:
    texts = [f"n = {{ min = {low}, max = {low + more}, plus = {step} }}" for low, more, step in ranges]
    sweep = parse(HEAD + "".join(f"{MATMUL}{text}\n" for text in [*texts, f"n = {values}"]))
    expected = set(values).union(*(range(low, low + more + 1, step) for low, more, step in ranges))
    assert sweep.size() == len(list(sweep.points())) == len(expected)
    assert {spec.params for spec in sweep.points()} == {MatmulParams(n=n) for n in expected}


def test_the_last_key_varies_fastest() -> None:
    sweep = parse(HEAD + '[[grid]]\nfamily = "fc"\nnode = [1, 2]\nbatch = [1, 2]\nlayer = 1\n')
    assert [(spec.params.columns()["node"], spec.batch) for spec in sweep.points()] == [(1, 1), (1, 2), (2, 1), (2, 2)]


def test_a_huge_grid_is_counted_and_begun_at_once() -> None:
    axis = "{ min = 1, max = 1000000, plus = 1 }"
    grid = f'[[grid]]\nfamily = "fc"\nlayer = 4\nnode = {axis}\ninput = {axis}\nseed = {axis}\n'
    sweep = parse(HEAD + grid)
    assert sweep.size() == 10**18
    assert parse(HEAD + 3 * grid + grid.replace("min = 1", "min = 500001")).size() == 10**18
    assert next(sweep.points()).params == FcParams(layer=4, node=1, input=1)


def test_blocks_and_widths_are_one_value_each() -> None:
    text = '[[grid]]\nfamily = "cnn"\nblocks = [3, 4, 6, 3]\n[[grid]]\nfamily = "fc"\nwidths = [[8, 4], [2]]\n'
    first, *others = parse(HEAD + text).points()
    assert first.params.columns()["blocks"] == (3, 4, 6, 3)
    assert [spec.params.columns()["widths"] for spec in others] == [(8, 4), (2,)]


def test_points_that_two_grids_share_come_once_whatever_their_defaults() -> None:
    zoo = '[[grid]]\nfamily = "zoo"\nmodel = ["mobilenet_v1", "mobilenet_v2"]\n'
    sweep = parse(HEAD + zoo + zoo + "image = [96, 128]\n" + zoo + "image = [128, 160]\n")
    points = list(sweep.points())
    assert sweep.size() == len(points) == len({spec.spec_id for spec in points}) == 2 * (1 + 3)


def test_every_precision_is_an_axis_beside_kernels_and_threads() -> None:
    text = '[measure]\nthreads = [1, 2]\nkernels = ["builtin"]\n' + MATMUL
    text += 'n = [8, 16]\nprecision = ["float32", "float16", "int8", "dynamic_range"]\n'
    sweep = parse(HEAD + text)
    assert [spec.precision for spec in sweep.points()] == 2 * ["float32", "float16", "int8", "dynamic_range"]
    assert [build_graph(spec).macs for spec in sweep.points()] == 4 * [64] + 4 * [256]
    assert (sweep.threads, sweep.kernels) == ((1, 2), ("builtin",))


def test_model_files_are_found_from_the_sweep_file_on(tmp_path: Path) -> None:
    models = tmp_path / "sub" / "models"
    models.mkdir(parents=True)
    for seed in range(3):
        graph = build_graph(ModelSpec(family="matmul", params=MatmulParams(n=8), seed=seed % 2))
        (models / f"m{seed}.tflite").write_bytes(write_model(graph))
    path = tmp_path / "sub" / "own.toml"
    path.write_text(
        HEAD + FILE + 'path = ["models/m1.tflite", "models/*.tflite"]\n' + FILE + 'path = "models/m0.tflite"'
    )
    sweep = load_sweep(path)
    points = list(sweep.points())
    assert [spec.params.columns()["path"] for spec in points] == ["models/m1.tflite", "models/m0.tflite"]
    assert sweep.size() == len(points) == 2  # m2 has the content of m0
    assert [build_graph(spec).macs for spec in points] == [64, 64]


def test_measure_defaults_and_keys() -> None:
    assert parse(HEAD + MATMUL + "n = 1").measure == MeasureSettings()
    keys = "rounds=1\ntime_budget_s=1\nprecision=0.5\nwarm_up_s=0\nmin_blocks=2\nblock_ms=0.5\nmax_invokes=7\n"
    keys += 'timeout_s=9\nmemory_mb=10\nseed=0\nthreads=[1,2,1]\nkernels=["xnnpack","builtin"]\n'
    sweep = parse(HEAD + "[measure]\n" + keys + MATMUL + "n = 1")
    assert sweep.measure == MeasureSettings(
        rounds=1,
        time_budget_s=1,
        precision=0.5,
        warm_up_s=0,
        min_blocks=2,
        block_ms=0.5,
        max_invokes=7,
        timeout_s=9,
        memory_mb=10,
        seed=0,
    )
    assert (sweep.threads, sweep.kernels) == ((1, 2), ("xnnpack", "builtin"))


def piped(text: str) -> str:
    return f"[pipeline]\n{text}\n{MATMUL}n = 1"


def test_pipelines_are_every_combination_and_one_segment_needs_no_strategy() -> None:
    text = 'segments = [1, 2, 4, 2]\nstrategy = ["params", "data"]\ninputs = [1, 50]'
    pipeline = parse(HEAD + piped(text)).pipeline
    assert pipeline is not None
    alone = Target(device="cpu", threads=2, kernels="builtin")
    expected = [(1, None, 1), (1, None, 50)]
    expected += [(k, strategy, inputs) for k in (2, 4) for strategy in ("params", "data") for inputs in (1, 50)]
    targets = pipeline.targets(alone)
    assert [(each.segments, each.strategy, each.inputs) for each in targets] == expected
    assert {each.alone() for each in targets} == {alone}


def test_one_segment_alone_and_single_values() -> None:
    pipeline = parse(HEAD + piped("segments = 1\ninputs = 7")).pipeline
    assert pipeline is not None
    assert pipeline.targets(Target(device="cpu")) == (Target(device="cpu", segments=1, inputs=7),)


def test_what_pipelines_are_cut_for() -> None:
    pipeline = parse(HEAD + piped("segments = 1\ninputs = 7")).pipeline
    assert pipeline is not None
    assert pipeline.aim == Aim()
    text = 'segments = 1\ninputs = 7\nobjective = "latency"\nreplicate = true\nbus = "shared"'
    pipeline = parse(HEAD + piped(text)).pipeline
    assert pipeline is not None
    assert pipeline.aim == Aim(objective="latency", replicate=True, shared_bus=True)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ('objective = "speed"', "pipeline.objective = 'speed': must be 'throughput' or 'latency'"),
        ("replicate = 1", "pipeline.replicate = 1: must be true or false"),
        ('bus = "usb"', "pipeline.bus = 'usb': must be 'own' or 'shared'"),
    ],
)
def test_a_bad_aim_is_named(line: str, text: str) -> None:
    with pytest.raises(BadInput) as found:
        parse(HEAD + piped(f"segments = 1\ninputs = 7\n{line}"))
    assert text in str(found.value)


def test_a_sweep_without_the_table_has_no_pipelines() -> None:
    assert parse(HEAD + MATMUL + "n = 1").pipeline is None


def test_a_sweep_may_ask_for_what_needs_no_cuts_of_the_users() -> None:
    assert set(checks.STRATEGIES) == set(segment.STRATEGIES) - {"manual"}


WRONG = [
    # the text after a good head, then what the one line must say
    ("", "grid is missing"),
    ("grid = []", "has no grid"),
    ("grid = 3", "grid = 3: must be one or more tables"),
    ("[grid]\nn = 1", "grid = .*must be one or more tables"),
    ("[[grid]]\nn = 1", r"grid\[1\].family is missing: one of fc, cnn, conv_stack, matmul, rnn, zoo, file"),
    ('[[grid]]\nfamily = "matmull"\nn = 1', r"grid\[1\].family = 'matmull': unknown: did you mean 'matmul'\?"),
    ("[[grid]]\nfamily = 3", r"grid\[1\].family = 3: unknown"),
    (MATMUL, r"grid\[1\].n is missing"),
    (MATMUL + "n = 1\n" + MATMUL + "m = 1", r"grid\[2\].m is unknown: one of family, n, batch"),
    (MATMUL + "n = 1\nbacth = 2", r"grid\[1\].bacth is unknown: did you mean 'batch'\?"),
    (MATMUL + "n = 0", r"grid\[1\].n = 0: must be a whole number from 1 to"),
    (MATMUL + "n = -8", r"grid\[1\].n = -8: must be"),
    (MATMUL + "n = true", r"grid\[1\].n = true: must be"),
    (MATMUL + "n = 1.0", r"grid\[1\].n = 1.0: must be"),
    (MATMUL + 'n = "8"', r"grid\[1\].n = '8': must be"),
    (MATMUL + "n = [8, true]", r"grid\[1\].n = true: must be"),
    (MATMUL + "n = [8, [9]]", r"grid\[1\].n = \[9\]: must be"),
    (MATMUL + "n = 1" + "0" * 400, r"grid\[1\].n = 10+\.\.\.: must be"),
    (MATMUL + "n = 1" + "0" * 5000, "is not TOML"),
    (MATMUL + "n = 2000-01-01", r"grid\[1\].n = .*must be"),
    (MATMUL + "n = []", r"grid\[1\].n = \[\]: an empty list"),
    (MATMUL + "n = { min = 1, max = 8 }", r"grid\[1\].n: a range has min, max and either times or plus"),
    (MATMUL + "n = { min = 1, max = 8, times = 2, plus = 1 }", ".*either times or plus"),
    (MATMUL + "n = { min = 1, times = 2 }", r"grid\[1\].n.max is missing"),
    (MATMUL + "n = { min = 1, max = 8, step = 2 }", r"grid\[1\].n.step is unknown"),
    (MATMUL + "n = { min = 1, max = 8, tims = 2 }", r"grid\[1\].n.tims is unknown: did you mean 'times'\?"),
    (MATMUL + "n = { min = 1, max = 8, times = 1 }", r"grid\[1\].n.times = 1: must be 2 or more"),
    (MATMUL + "n = { min = 1, max = 8, times = -2 }", r"grid\[1\].n.times = -2: must be 2 or more"),
    (MATMUL + "n = { min = 1, max = 8, plus = 0 }", r"grid\[1\].n.plus = 0: must be 1 or more"),
    (MATMUL + "n = { min = 1, max = 8, plus = true }", r"grid\[1\].n.plus = true: must be a whole number"),
    (MATMUL + "n = { min = 8, max = 1, plus = 1 }", r"grid\[1\].n: the range is empty, its min 8 is above its max 1"),
    (MATMUL + "n = { min = 0, max = 8, plus = 1 }", r"grid\[1\].n = 0: must be"),
    (MATMUL + "n = 1\nseed = { min = 0, max = 8, times = 2 }", r"grid\[1\].seed.min = 0: must be 1 or more"),
    (MATMUL + "n = 1\nseed = -1", r"grid\[1\].seed = -1: must be"),
    (
        MATMUL + 'n = 1\nprecision = "int4"',
        r"grid\[1\].precision = 'int4': must be one of 'int8', 'float32', 'float16', 'dyn",
    ),
    (MATMUL + "n = 1\nprecision = { min = 1, max = 2, plus = 1 }", r"grid\[1\].precision = 1: must be"),
    ('[[grid]]\nfamily = "fc"\nlayer = 4', r"grid\[1\]: no node: give layer and node, or widths"),
    ('[[grid]]\nfamily = "fc"\nnode = 4\nwidths = [4]', r"grid\[1\]: widths stands in place of layer and node"),
    ('[[grid]]\nfamily = "fc"\nwidths = [4, 0]', r"grid\[1\].widths = \[4, 0\]: must be a list of"),
    ('[[grid]]\nfamily = "fc"\nwidths = [[4], 3]', r"grid\[1\].widths = 3: must be a list of"),
    ('[[grid]]\nfamily = "fc"\nwidths = []', r"grid\[1\].widths = \[\]: must be a list of"),
    ('[[grid]]\nfamily = "fc"\nwidths = 7', r"grid\[1\].widths = 7: must be a list of"),
    ('[[grid]]\nfamily = "cnn"\nblocks = [1, 2, 3]', r"grid\[1\].blocks = \[1, 2, 3\]: must be a list of 4"),
    ('[[grid]]\nfamily = "cnn"\nblock = 1\nkind = "wide"', r"grid\[1\].kind = 'wide': must be one of 'residual', 'bo"),
    ("[measure]\nround = 3\n" + MATMUL + "n = 1", r"measure.round is unknown: did you mean 'rounds'\?"),
    ("[measure]\nrounds = 0\n" + MATMUL + "n = 1", "measure.rounds = 0: must be a whole number, 1 or more"),
    ("[measure]\nrounds = true\n" + MATMUL + "n = 1", "measure.rounds = true: must be"),
    ("[measure]\ntime_budget_s = nan\n" + MATMUL + "n = 1", "measure.time_budget_s = nan: must be"),
    ("[measure]\ntimeout_s = inf\n" + MATMUL + "n = 1", "measure.timeout_s = inf: must be"),
    ("[measure]\nprecision = 1\n" + MATMUL + "n = 1", "measure.precision = 1: must be a number between 0 and 1"),
    ('[measure]\nprecision = "int8"\n' + MATMUL + "n = 1", "measure.precision = 'int8': must be a number"),
    ("[measure]\nthreads = []\n" + MATMUL + "n = 1", r"measure.threads = \[\]: give at least one"),
    ("[measure]\nthreads = [1, 0]\n" + MATMUL + "n = 1", "measure.threads = 0: must be a whole number"),
    ('[measure]\nkernels = "fast"\n' + MATMUL + "n = 1", "measure.kernels = 'fast': must be 'xnnpack' or 'builtin'"),
    ("measure = 3\n" + MATMUL + "n = 1", r"measure = 3: must be a table: \[measure\]"),
    ("pipeline = 3\n" + MATMUL + "n = 1", r"pipeline = 3: must be a table: \[pipeline\]"),
    (piped("inputs = 1"), r"pipeline.segments is missing"),
    (piped("segments = 1"), r"pipeline.inputs is missing"),
    (piped("segments = [1, 2]\ninputs = 1"), r"pipeline.strategy is missing: one or more of params, size6, fit,"),
    (piped("segment = 2\ninputs = 1"), r"pipeline.segment is unknown: did you mean 'segments'\?"),
    (piped('segments = 2\nstrategy = "optimum"\ninputs = 1'), r"pipeline.strategy = 'optimum': must be one of params,"),
    (piped('segments = 2\nstrategy = "manual"\ninputs = 1'), r"pipeline.strategy = 'manual': must be one of params,"),
    (piped("segments = 2\nstrategy = []\ninputs = 1"), r"pipeline.strategy = \[\]: give at least one"),
    (piped("segments = 0\ninputs = 1"), r"pipeline.segments = 0: must be a whole number of devices, 1 to 256"),
    (piped("segments = true\ninputs = 1"), r"pipeline.segments = true: must be a whole number of devices"),
    (piped("segments = [2.0]\ninputs = 1"), r"pipeline.segments = 2.0: must be a whole number of devices"),
    (piped("segments = 257\ninputs = 1"), r"pipeline.segments = 257: must be a whole number of devices, 1 to 256"),
    (
        piped("segments = 1\ninputs = [1, -1]"),
        r"pipeline.inputs = -1: must be a whole number of inputs, 1 to a million",
    ),
    (piped("segments = 1\ninputs = 1000001"), r"pipeline.inputs = 1000001: must be a whole number of inputs"),
    ('builder = "keras"\n' + MATMUL + "n = 1", "builder = 'keras': must be 'direct' or 'tensorflow'"),
    ("builder = []\n" + MATMUL + "n = 1", r"builder = \[\]: must be 'direct' or 'tensorflow'"),
    (FILE, r"grid\[1\].path is missing"),
    (FILE + "path = []", r"grid\[1\].path = \[\]: give at least one"),
    (FILE + "path = 3", r"grid\[1\].path = 3: must be the path of a .tflite file, or a pattern"),
    (FILE + 'path = ["a", ""]', r"grid\[1\].path = '': must be the path"),
    (FILE + 'path = "a\\u0000"', r"grid\[1\].path = 'a.x00': must be the path"),
    (FILE + 'path = "no.tflite"', r"grid\[1\].path: no.tflite: No such file"),
    (FILE + 'path = "no/*.tflite"', r"grid\[1\].path: no file matches 'no/\*.tflite' in /"),
    (FILE + 'path = "a"\nbatch = 1', r"grid\[1\].batch: a model file has its own batch; leave the key out"),
    (FILE + 'path = "a"\nprecision = "int8"', r"grid\[1\].precision: a model file has its own precision"),
    (FILE + 'path = "a"\nsha256 = "1"', r"grid\[1\].sha256 is unknown: one of family, path"),
    ("grids = 3", r"grids is unknown: did you mean 'grid'\?"),
    ("x = [" + "[" * 5000, "is not TOML"),
    ("n = = 3", "is not TOML"),
]


@pytest.mark.parametrize(("text", "message"), WRONG, ids=range(len(WRONG)))
def test_what_is_wrong_is_said_in_one_line(text: str, message: str) -> None:
    with pytest.raises(BadInput) as error:
        parse(HEAD + text)
    said = str(error.value)
    assert re.match(f"t.toml:? {message}", said), said
    assert "\n" not in said
    assert len(said) < 300


def test_values_that_can_not_be_combined_are_said_with_the_file_at_whatever_point() -> None:
    sweep = parse(HEAD + '[[grid]]\nfamily = "zoo"\nmodel = ["mobilenet_v1", "vgg16"]\nwidth = [100, 50]\n')
    with pytest.raises(BadInput, match=r"^t.toml: width = 50: vgg16 has the published width only, 100$"):
        list(sweep.points())


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ('devices = ["cpu"]', "name is missing"),
        ('name = "t"', "devices is missing"),
        ('name = "../t"\ndevices = ["cpu"]', "name = '../t': must be up to 100 letters"),
        ('name = ""\ndevices = ["cpu"]', "name = '': must be"),
        ('name = "a/b"\ndevices = ["cpu"]', "name = 'a/b': must be"),
        ('name = 3\ndevices = ["cpu"]', "name = 3: must be"),
        ('name = "t"\ndevices = "cpu"', "devices = 'cpu': must be a list"),
        ('name = "t"\ndevices = []', r"devices = \[\]: give at least one"),
        ('name = "t"\ndevices = [1]', "devices = 1: must be"),
        ('name = "t"\ndevices = [" "]', "devices = ' ': must be"),
    ],
)
def test_a_wrong_head(head: str, message: str) -> None:
    with pytest.raises(BadInput, match=f"^t.toml: {message}"):
        parse(f"{head}\n{MATMUL}n = 1\n")


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.text(), st.text().map(lambda tail: HEAD + MATMUL + "n = 1\n" + tail)))
def test_any_text_gives_a_sweep_or_our_error(text: str) -> None:
    try:
        sweep = parse(text)
    except BadInput as error:
        said = str(error)
    else:
        said = f"{sweep.size()} points"
    assert "\n" not in said
    assert said != "0 points"


def test_files_that_are_no_sweeps(tmp_path: Path) -> None:
    def refused(path: Path | str, message: str) -> None:
        with pytest.raises(BadInput, match=message):
            load_sweep(path)

    files = {"empty": b"", "blank": b" \n", "binary": b"TFL3\xff\xfe\x00", "huge": b"#" * (2**20 + 1)}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    refused(tmp_path / "none.toml", "no sweep file .*none.toml")
    refused("quik", "no sweep file quik, .*did you mean 'quick'")
    refused(tmp_path, "is not a file")
    refused(tmp_path / "empty", "is empty")
    refused(tmp_path / "blank", "is empty")
    refused(tmp_path / "binary", "is not text")
    refused(tmp_path / "huge", "is over 1 MiB")
    refused("a\0b", "no sweep file")
    refused("x" * 5000, "no sweep file")


def test_a_file_keeps_its_text_and_may_begin_with_a_mark(tmp_path: Path) -> None:
    text = HEAD + MATMUL + "n = [1, 2]\n"
    (tmp_path / "t.toml").write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    sweep = load_sweep(tmp_path / "t.toml")
    assert sweep.size() == 2
    assert sweep.text == text.replace("\n", "\r\n")
    assert sweep.source == str(tmp_path / "t.toml")


def test_a_folder_does_not_hide_a_shipped_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "quick").mkdir()
    assert load_sweep("quick").name == "quick"


@pytest.mark.parametrize(
    ("name", "points"),
    [
        ("paradnn-fc", 6 * 9 * 4 * 5),
        ("paradnn-cnn", 2 * 8 * 3 * 3 * 3),
        ("multi-tpu-conv", 144),
        ("multi-tpu-fc", 64),
        ("matmul", 5),
        ("zoo", 25),
        ("smoke", 6),
        ("paradnn-small", 301),
    ],
)
def test_shipped_sweeps_have_their_published_sizes(name: str, points: int) -> None:
    sweep = load_sweep(name)
    assert sweep.name == name
    assert sweep.text.startswith("# ")
    assert sweep.size() == len(list(sweep.points())) == points


def test_every_shipped_sweep_is_named_as_its_file() -> None:
    assert {name: load_sweep(name).name for name in shipped("sweep")} == {name: name for name in shipped("sweep")}


def test_quick_is_wide_enough_for_its_report() -> None:
    sweep = load_sweep("quick")
    specs = list(sweep.points())
    by_family = {family: [s for s in specs if s.family == family] for family in ("fc", "cnn", "conv_stack", "matmul")}
    assert 55 <= len(specs) <= 65
    assert all(len(found) >= 12 for found in by_family.values())
    for family in ("fc", "conv_stack"):  # on both sides of an Edge TPU's 8 MiB of parameters
        sizes = [build_graph(spec).weight_bytes for spec in by_family[family]]
        assert min(sizes) < 2**20
        assert max(sizes) > 9 * 2**20
