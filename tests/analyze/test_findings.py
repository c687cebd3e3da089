"""Sentences against the numbers that they are made of."""

from __future__ import annotations

import pytest

from paraedge.analyze.findings import figure, findings
from paraedge.analyze.points import points
from paraedge.analyze.roofline import roofline

MIB = 2**20
TPU = "sim-edgetpu-pcie"


def campaign(run, make_runs):
    """FC points that are as fast as their nodes, a slow CONV family, and a simulated device with a cliff at 6 MiB."""
    rows = []
    for layer in (4, 8):
        for node in (64, 128, 256, 512, 1024):
            macs = layer * node * node
            given = {"spec_id": f"{layer}-{node}", "layer": layer, "node": node, "macs": macs, "weight_bytes": macs}
            for i, noise in enumerate((0.98, 1.0, 1.02)):
                rows.append(run(**given, round=i, latency_median_ms=noise * macs / node * 1e-4))
            off_chip = macs if macs > 6 * MIB else 0
            tpu = {"device": TPU, "origin": "simulated", "threads": None, "kernels": None, "off_chip_bytes": off_chip}
            rows.append(run(**given, **tpu, latency_median_ms=0.1 + 2.71 * off_chip / MIB))
    slow = {"family": "conv_stack", "layer": None, "node": None, "kernel": 3, "macs": 1000}
    rows += [run(**slow, spec_id="conv", round=i, latency_median_ms=10.0) for i in range(3)]
    rows.append(run(**slow, spec_id="big", status="failed", error="build: TooLarge: over 2 GiB"))
    return points(make_runs(*rows))


def test_sentences_say_what_the_numbers_say(run, make_runs) -> None:
    table = campaign(run, make_runs)
    found = findings(table)
    text = "\n".join(found)
    cpu = table[(table["device"] == "cpu") & (table["status"] == "ok")]
    best = cpu["gops_per_s"].max()
    assert f"(measured) reaches at most {figure(best)} GOPS/s (fc layer=4 node=1024)" in text
    assert "fc (" in text
    assert "conv_stack (0.0002 GOPS/s) its slowest" in text
    cliff = next(line for line in found if "stay on chip" in line)
    assert cliff.startswith(f"On {TPU} (simulated), an fc invoke takes 0.100 ms")
    assert "that stay on chip (4.00 MiB) and 21.8 ms" in cliff
    assert "218 times as long for 2.00 times the weights" in cliff
    weights = next(line for line in found if "standard deviations" in line)
    assert "For fc on cpu threads=1 kernels=xnnpack (measured), node moves GOPS/s most" in weights
    noise = next(line for line in found if "Between 3 rounds" in line)
    assert "spreads by 2.02 %" in noise  # exp(sd of the logs of 0.98, 1, 1.02) - 1
    failed = next(line for line in found if "no result" in line)
    assert failed == (
        "1 of 12 points on cpu threads=1 kernels=xnnpack (measured) has no result: 1 x build: TooLarge: over 2 GiB."
    )


def test_the_cliff_names_its_two_points(run, make_runs) -> None:
    rows = [
        run(spec_id=str(mib), device=TPU, origin="simulated", threads=None, kernels=None, weight_bytes=mib * MIB,
            off_chip_bytes=0 if mib < 8 else mib * MIB, latency_median_ms=ms, batch=2, batch_mode="looped")
        for mib, ms in [(2, 0.2), (6, 0.4), (9, 50.0), (20, 120.0)]
    ]  # fmt: skip
    cliff = next(line for line in findings(points(make_runs(*rows))) if "stay on chip" in line)
    assert cliff == (
        f"On {TPU} (simulated), an fc invoke takes 0.200 ms with the largest weights that stay on chip (6.00 MiB) and "
        "25.0 ms with the smallest that are streamed (9.00 MiB): 125 times as long for 1.50 times the weights."
    )


def test_a_simulated_speed_up_is_called_a_prediction(run, make_runs) -> None:
    tpu = {"device": TPU, "origin": "simulated", "threads": None, "kernels": None}
    rows = [run(spec_id=s, latency_median_ms=8.0) for s in "ab"]
    rows += [run(spec_id="a", latency_median_ms=4.0, **tpu), run(spec_id="b", latency_median_ms=1.0, **tpu)]
    sentence = next(line for line in findings(points(make_runs(*rows))) if "By simulation" in line)
    assert f"{TPU} is 4.00 [" in sentence  # the geometric mean of 2 and 8
    assert "times as fast as measured on cpu threads=1 kernels=xnnpack (geometric mean over 2 points good" in sentence
    assert sentence.endswith("a prediction against a measurement.")


def test_roofs_and_implausible_points(run, make_runs) -> None:
    roofs = {
        "cpu threads=1 kernels=xnnpack": [
            {
                "name": "peak",
                "kind": "compute",
                "level": "int8",
                "value": 100.0,
                "unit": "gops_per_s",
                "origin": "measured",
            }
        ]
    }
    table = points(
        make_runs(run(macs=10**9, latency_median_ms=40.0), run(spec_id="b", macs=10**9, latency_median_ms=1.0))
    )
    found = findings(table, roofline(table, roofs))
    assert any("lie above every roof that could hold them" in line and "20 ms" in line for line in found)
    assert any("its points are limited: 2 by compute" in line for line in found)


def test_a_whole_campaign_and_an_empty_one(run, make_runs) -> None:
    table = points(make_runs(run()))
    assert "All 1 points have a result." in findings(table)
    assert findings(table.iloc[:0]) == []


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.01234, "0.0123"), (4.567, "4.57"), (12.34, "12.3"), (123.4, "123"), (1234.5, "1,234"),
     (1e-5, "1e-05"), (2.5e8, "2.5e+08"), (float("nan"), "?")],
)  # fmt: skip
def test_figures(value: float, text: str) -> None:
    assert figure(value) == text
