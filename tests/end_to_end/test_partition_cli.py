"""`paraedge partition`: what it prints for people and for machines, and how bad input ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from compiled_files import compiled_model
from typer.testing import CliRunner

from paraedge import models
from paraedge.cli import app
from paraedge.core.spec import ModelSpec
from paraedge.models.fc import FcParams
from paraedge.tflite import write_model

KEYS = """model strategy objective origin cost_model cuts bottleneck_ms limit latency_ms lower_bound_ms gap any_bound_ms
    any_gap throughput_per_s speedup best_ms knee worst_ms regret unused stages""".split()
STAGE_KEYS = """stage first end devices receive_ms compute_ms send_ms busy_ms low_ms high_ms handover_ms input_bytes
    output_bytes on_chip_bytes off_chip_bytes ops""".split()


def call(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["partition", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result.stdout


def call_json(*arguments: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(call(*arguments, "--json"))
    assert set(KEYS) <= found.keys()
    assert all(set(STAGE_KEYS) <= stage.keys() for stage in found["stages"])
    return found


def refused(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["partition", *map(str, arguments)])
    assert result.exit_code == 2, result.output
    assert not result.stdout
    line = result.stderr.strip()
    assert line.startswith("paraedge: ")
    assert "\n" not in line
    return line


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("models") / "net.tflite")


def written(path: Path, precision: str = "int8") -> Path:
    params = FcParams(input=64, layer=6, node=2048, output=10)
    path.write_bytes(write_model(models.build_graph(ModelSpec(family="fc", params=params, precision=precision))))
    return path


def test_the_table_and_the_json_say_the_same(model: Path) -> None:
    found = call_json(model, "--segments", 5)
    text = call(model, "--segments", 5)
    assert found["origin"] == "simulated"
    assert len(found["best_ms"]) == 5
    assert found["gap"] == pytest.approx(0)
    assert found["speedup"] > 5
    assert [stage["first"] for stage in found["stages"]][1:] == found["cuts"]
    assert sum(stage["ops"] for stage in found["stages"]) == 7
    for said in (
        f"{found['throughput_per_s']:.4g} a second",
        f"limited by {found['limit']}",
        "the best there is among contiguous splits",
        "contiguous or not, gets below",
        found["knee"],
        found["super_linear"],
        "(simulated)",
        f"cost model: {found['cost_model']}",
        "no device was named, so these are sim-edgetpu-usb3",
        "measured on the PCIe host only",
    ):
        assert said in text
    assert found["cost_model"].count("\n") == 0


@pytest.mark.parametrize("strategy", ["params", "balanced", "equal", "profiled", "pipedream", "data", "optimal"])
@pytest.mark.parametrize("objective", ["throughput", "latency"])
def test_every_strategy_for_every_objective(model: Path, strategy: str, objective: str) -> None:
    options = ("--device", "sim-edgetpu-pcie", "--segments", 3, "--strategy", strategy, "--objective", objective)
    found = call_json(model, *options)
    assert (found["strategy"], found["objective"]) == (strategy, objective)
    assert found["gap"] >= -1e-9
    value = found["bottleneck_ms"] if objective == "throughput" else found["latency_ms"]
    assert found["any_bound_ms"] <= found["lower_bound_ms"] * (1 + 1e-9) <= value * (1 + 1e-6)
    assert f"{strategy}, for {objective}" in call(model, *options)


def test_the_best_split_is_named_where_it_is_another(model: Path) -> None:
    best = call_json(model, "--segments", 3, "-d", "sim-edgetpu-pcie")
    text = call(model, "--segments", 3, "-d", "sim-edgetpu-pcie", "--strategy", "manual", "--at", "1,2")
    assert f"the best contiguous split, which cuts at {', '.join(map(str, best['cuts']))}" in text


def test_devices_in_order_and_hosts_of_a_cluster(model: Path) -> None:
    mixed = call_json(model, "-d", "sim-edgetpu-usb2", "-d", "sim-edgetpu-pcie", "--strategy", "params")
    assert [stage["devices"] for stage in mixed["stages"]] == [["sim-edgetpu-usb2"], ["sim-edgetpu-pcie"]]
    cluster = call_json(model, "--cluster", "four-boards", "--segments", 2)
    assert len(cluster["stages"]) == 2
    assert len(cluster["unused"]) == 2
    assert "cluster four-boards" in cluster["cost_model"]
    assert cluster["stages"][0]["handover_ms"] > 0
    assert cluster["stages"][0]["low_ms"] is None
    assert cluster["regret"] is None
    assert "hand-over ms" in call(model, "--cluster", "four-boards")


def test_a_model_that_no_single_host_holds_has_no_speedup(model: Path, tmp_path: Path) -> None:
    cluster = tmp_path / "small.toml"
    cluster.write_text(
        'name = "small"\n[[host]]\nname = "h"\ncount = 5\ngmacs_per_s = 1\nmemory_mib = 9\nlink_mbit_per_s = 100\n'
    )
    found = call_json(model, "--cluster", cluster)
    assert found["speedup"] is None
    assert found["best_ms"][:2] == [None, None]
    assert found["knee"].startswith("it takes 3 devices to hold the model; ")
    assert "no single device holds the model" in call(model, "--cluster", cluster)


def test_strategies_that_find_their_number_of_devices(model: Path) -> None:
    fitting = call_json(model, "-d", "sim-edgetpu-pcie", "--strategy", "fit")
    assert [stage["off_chip_bytes"] for stage in fitting["stages"]] == [0] * 5
    assert len(call_json(model, "-d", "sim-edgetpu-pcie", "--strategy", "size6")["stages"]) == 4
    assert call_json(model, "--strategy", "manual", "--at", "2,4")["cuts"] == [2, 4]


def test_a_shared_bus_and_replicas(model: Path) -> None:
    own = call_json(model, "--segments", 5)
    shared = call_json(model, "--segments", 5, "--bus", "shared")
    assert shared["lower_bound_ms"] >= own["lower_bound_ms"]
    assert "share one bus" in shared["cost_model"]
    assert call_json(model, "--segments", 6, "--replicate")["lower_bound_ms"] <= own["lower_bound_ms"]


def test_the_cpu_s_ops_are_measured(model: Path) -> None:
    found = call_json(model, "-d", "cpu", "-d", "cpu")
    assert found["origin"] == "estimated from measured ops"  # no pipeline was run for it
    assert {name for stage in found["stages"] for name in stage["devices"]} <= {"cpu#1", "cpu#2"}
    assert all(stage["on_chip_bytes"] is None for stage in found["stages"])


def test_published_models_are_cut_or_refused_in_a_line(edgetpu_data: Path) -> None:
    for path in sorted((edgetpu_data / "models").glob("*.tflite")):
        result = CliRunner().invoke(app, ["partition", str(path), "--segments", "2", "--json"])
        if result.exit_code == 0:
            assert json.loads(result.stdout)["gap"] == pytest.approx(0, abs=1e-9)
        else:
            assert result.exit_code == 2, result.output
            assert result.stderr.startswith("paraedge: ")
            assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("", "say over what: --segments K, --device D once or more, or --cluster FILE"),
        ("--segments 0", "--segments 0: give a number of devices, 1 to 256"),
        ("--segments -3", "--segments -3: give a number of devices"),
        ("--segments 100000000", "--segments 100000000: give a number of devices"),
        ("--segments 8", "8 segments of a model of 7 ops"),
        ("--segments 2 --strategy optmal", "did you mean 'optimal'?"),
        ("--segments 2 --strategy manual", "the strategy manual needs cuts"),
        ("--segments 2 --at 1", "take the strategy manual"),
        ("--strategy manual --at 7", "can't be cut at op 7"),
        ("--strategy manual --at 0", "can't be cut at op 0"),
        ("--strategy manual --at 3,3", "given twice"),
        ("--strategy manual --at 3,x", "--at takes numbers of ops"),
        ("--strategy manual --at 1,2 --segments 2", "these cuts make 3 segments, one a device; for 2 devices"),
        ("--segments 2 --objective speed", "--objective 'speed': one of throughput, latency"),
        ("--segments 2 --bus both", "--bus 'both': one of own, shared"),
        ("--segments 2 --strategy equal --replicate", "only optimal can be asked to replicate"),
        ("--cluster mixed --device cpu", "--cluster and --device both name devices"),
        ("--cluster mixed --bus shared", "--bus goes with --device"),
        ("--cluster mixd", "did you mean 'mixed'?"),
        ("--cluster mixed --segments 6", "6 segments over 5 devices"),
        ("--cluster mixed --strategy data", "needs devices that are alike"),
        ("--cluster four-boards --strategy fit", "the strategy fit needs a device that tells"),
        ("--device cpu --strategy fit", "the strategy fit needs a device that tells"),
        ("--device cpu --bus shared", "the cpu is on none"),
        ("--device sim-edgetpu-usb4", "unknown device 'sim-edgetpu-usb4'"),
        ("--device nowhere.toml", "no hardware file there"),
        ("--device cpu --device cpu --segments 3", "--segments 3 over 2 devices"),
        ("--segments 2 --strategy fit", "fit asks for 5 segments"),
    ],
)  # fmt: skip
def test_bad_input_ends_in_one_line(model: Path, options: str, said: str) -> None:
    assert said in refused(model, *options.split())


def test_a_real_edge_tpu_that_is_not_here(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from paraedge.devices import registry

    monkeypatch.setenv("PARAEDGE_SYSFS_ROOT", str(tmp_path))
    registry.present.cache_clear()
    try:
        assert "device 'edgetpu:0' is not here" in refused(model, "--device", "edgetpu:0")
    finally:
        registry.present.cache_clear()


def test_models_that_can_not_be_cut_over_these(tmp_path: Path) -> None:
    compiled = tmp_path / "net_edgetpu.tflite"
    compiled.write_bytes(compiled_model(cached_bytes=100))
    assert "is compiled already" in refused(compiled, "--segments", 2)
    assert "needs an int8 model" in refused(written(tmp_path / "float.tflite", "float32"), "--segments", 2)
    garbage = tmp_path / "garbage.tflite"
    garbage.write_bytes(b"not a model")
    refused(garbage, "--segments", 2)
    refused(tmp_path, "--segments", 2)
    refused(tmp_path / "none.tflite", "--segments", 2)


@pytest.mark.parametrize(
    ("memory", "said"),
    [
        ("", "memory_mib is missing"),
        ("memory_mib = 0", "memory_mib = 0: must be a number above 0"),
        ("memory_mib = 1", "fits nowhere: op 1 runs on none of the devices"),
        ("memory_mib = 5", "fits nowhere: no split of its 7 ops over 2 devices runs"),
    ],
)
def test_a_cluster_that_does_not_hold_it(model: Path, tmp_path: Path, memory: str, said: str) -> None:
    cluster = tmp_path / "small.toml"
    cluster.write_text(
        f'name = "small"\n[[host]]\nname = "h"\ncount = 2\ngmacs_per_s = 1\n{memory}\nlink_mbit_per_s = 100\n'
    )
    assert said in refused(model, "--cluster", cluster)
