"""What quantization gives, on rows whose ratios are known: who is compared with whom, means, intervals, sizes."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from paraedge.analyze.points import points
from paraedge.analyze.precision import Gain, PrecisionResult, precision_gains, sentences
from paraedge.core.errors import BadInput

ROUNDS = 3
GAINS = {"int8": 4.0, "dynamic_range": 2.0, "float16": 1.01}
BYTES = {"float32": 4000, "int8": 1000, "dynamic_range": 1100, "float16": 2000}


@pytest.fixture
def campaign(run, make_runs) -> pd.DataFrame:
    """Six fc models (16 to 512 nodes) and one cnn, in four precisions; a larger model gains more in int8."""
    rows = []
    for index, (family, node) in enumerate([("fc", 16 * 2**i) for i in range(6)] + [("cnn", 8)]):
        for precision in BYTES:
            gain = GAINS.get(precision, 1.0) * (1 + 0.1 * index * (precision == "int8"))
            for number, noise in enumerate((1.0, 1.02, 0.98)):
                rows.append(
                    run(
                        spec_id=f"s{index}{precision}", family=family, node=node, precision=precision, round=number,
                        latency_median_ms=(index + 1) / gain * (noise if precision == "float32" else 1.0),
                        macs=1000 * node * node, weight_bytes=BYTES[precision],
                    )
                )  # fmt: skip
    return points(make_runs(*rows))


def gain(result: PrecisionResult, precision: str, kind: str = "all", name: str = "all") -> Gain:
    return next(g for g in result.gains if (g.precision, g.kind, g.name) == (precision, kind, name))


def test_each_model_is_compared_with_itself_in_float32(campaign: pd.DataFrame) -> None:
    result = precision_gains(campaign)
    assert result.unmatched == {}
    pairs = result.pairs
    assert set(pairs["precision"]) == set(GAINS)
    assert len(pairs) == 7 * len(GAINS)
    assert pairs.groupby("precision")["bytes_share"].first().to_dict() == {
        name: BYTES[name] / 4000 for name in ("dynamic_range", "float16", "int8")
    }
    ranged = pairs[pairs["precision"] == "dynamic_range"]
    middle = math.exp(np.log([1.0, 1.02, 0.98]).mean())
    assert ranged["speedup"].to_numpy() == pytest.approx(2.0 * middle)


def test_the_interval_of_a_pair_is_welchs(campaign: pd.DataFrame) -> None:
    pairs = precision_gains(campaign).pairs
    one = pairs[(pairs["precision"] == "float16") & (pairs["node"] == 64) & (pairs["family"] == "fc")].iloc[0]
    logs = np.log([1.0, 1.02, 0.98]) + math.log(1.01)
    expected = stats.ttest_ind(logs, np.zeros(3), equal_var=False).confidence_interval()
    assert (one["low"], one["high"]) == pytest.approx((math.exp(expected.low), math.exp(expected.high)))


def test_a_mean_is_over_models_and_its_interval_between_rounds(campaign: pd.DataFrame) -> None:
    result = precision_gains(campaign)
    found = gain(result, "dynamic_range")
    middle = math.exp(np.log([1.0, 1.02, 0.98]).mean())
    half = stats.t.ppf(0.975, 2) * np.log([1.0, 1.02, 0.98]).std(ddof=1) / math.sqrt(3)
    assert (found.count, found.slower) == (7, 0)
    assert found.mean.value == pytest.approx(2 * middle)
    assert found.mean.low == pytest.approx(2 * middle * math.exp(-half))
    assert found.mean.high == pytest.approx(2 * middle * math.exp(half))
    assert gain(result, "int8").least == pytest.approx(4 * middle)
    assert gain(result, "int8").most == pytest.approx(4 * 1.6 * middle)


def test_means_by_family_and_by_size(campaign: pd.DataFrame) -> None:
    result = precision_gains(campaign)
    assert (gain(result, "int8", "family", "fc").count, gain(result, "int8", "family", "cnn").count) == (6, 1)
    # by MACs: the cnn of 8 nodes, then fc from 16 to 512
    sizes = [gain(result, "int8", "size", name) for name in ("small", "middle", "large")]
    assert [one.count for one in sizes] == [2, 2, 3]
    assert sizes[1].mean.value < sizes[2].mean.value
    assert gain(result, "int8", "size", "small").most == pytest.approx(gain(result, "int8").most)


def test_sentences_rank_the_precisions(campaign: pd.DataFrame) -> None:
    (sentence,) = sentences(precision_gains(campaign))
    assert sentence.startswith("On cpu threads=1 kernels=xnnpack (measured), compared with float32, int8 is 5.")
    assert sentence.index("int8") < sentence.index("dynamic_range is 2 times as fast") < sentence.index("float16")
    assert "float16 is as fast" in sentence  # 1 % is within the noise floor
    assert "int8 gives most to cnn (6.4) and least to fc" in sentence
    assert "over 7 models" in sentence


def test_other_targets_and_batches_are_not_partners(run, make_runs) -> None:
    base = run(spec_id="a", precision="float32", latency_median_ms=2.0)
    others = [
        run(spec_id="b", precision="int8", latency_median_ms=1.0, threads=2),
        run(spec_id="c", precision="int8", latency_median_ms=1.0, batch=8),
        run(spec_id="d", precision="int8", latency_median_ms=1.0, device="gpu", kernels=None, threads=None),
        run(spec_id="e", precision="float16", status="failed", error="run: X"),
    ]
    result = precision_gains(points(make_runs(base, *others)))
    assert result.pairs.empty
    assert result.gains == ()
    assert result.unmatched == {"int8": 3}
    assert list(sentences(result)) == []


def test_a_failed_float32_leaves_its_partners_alone(run, make_runs) -> None:
    rows = [run(spec_id="a", precision="float32", status="failed", error="build: X"), run(spec_id="b")]
    assert precision_gains(points(make_runs(*rows))).unmatched == {"int8": 1}


def test_one_round_gives_a_ratio_without_an_interval(run, make_runs) -> None:
    rows = [run(spec_id="a", precision="float32", latency_median_ms=3.0), run(spec_id="b", latency_median_ms=1.5)]
    result = precision_gains(points(make_runs(*rows)))
    (pair,) = result.pairs.to_dict("records")
    assert pair["speedup"] == pytest.approx(2.0)
    assert math.isnan(pair["low"])
    assert math.isnan(pair["high"])
    found = gain(result, "int8")
    assert (found.mean.low, found.mean.high) == (None, None)
    assert [g.kind for g in result.gains] == ["all", "family"]  # one model has no thirds
    assert result.as_dict()["unmatched"] == {}


def test_a_difference_within_the_rounds_spread_is_none(run, make_runs) -> None:
    rows = [run(spec_id="a", precision="float32", round=i, latency_median_ms=t) for i, t in enumerate((1.0, 2.0, 1.5))]
    rows += [run(spec_id="b", round=i, latency_median_ms=1.2) for i in range(3)]
    assert "int8 is 1.2 times as fast, but undecided by the rounds (1.2 to 1.2)" in next(
        sentences(precision_gains(points(make_runs(*rows))))
    )


def test_no_family_gains_most_where_nothing_is_sure(run, make_runs) -> None:
    rows = [
        run(spec_id=f"{family} {precision}", family=family, precision=precision, round=i, latency_median_ms=ms)
        for family, gain in (("fc", 2.0), ("cnn", 1.2))
        for precision, times in (("float32", (1.0, 3.0)), ("int8", (1.0 / gain, 1.0 / gain)))
        for i, ms in enumerate(times)
    ]
    said = next(sentences(precision_gains(points(make_runs(*rows)))))
    assert "undecided" in said
    assert "gives most" not in said


def test_slower_is_said_as_such(run, make_runs) -> None:
    rows = [run(spec_id="a", precision="float32", latency_median_ms=1.0), run(spec_id="b", latency_median_ms=4.0)]
    result = precision_gains(points(make_runs(*rows)))
    assert gain(result, "int8").slower == 1
    assert "int8 is 4 times slower" in next(sentences(result))


def test_a_table_of_something_else_is_refused() -> None:
    with pytest.raises(BadInput, match="precision"):
        precision_gains(pd.DataFrame({"family": ["fc"], "device": ["cpu"], "latency_median_ms": [1.0]}))
