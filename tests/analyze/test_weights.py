"""Weights against scikit-learn and statsmodels, and their intervals against simulation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.linear_model import LinearRegression
from sklearn.preprocessing import StandardScaler

from paraedge.analyze.weights import weights
from paraedge.core.errors import BadInput


def grid(seed: int = 1, noise: float = 0.3) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    layer, node, batch = (a.ravel() for a in np.meshgrid([4, 8, 16, 32], [32, 128, 512], [1, 4, 16]))
    rate = 3 * np.log(node) + 0.1 * layer - 0.2 * batch
    return pd.DataFrame(
        {"layer": layer, "node": node, "batch": batch, "gops_per_s": rate + generator.normal(0, noise, len(rate))}
    )


def scikit(table: pd.DataFrame, features: list[str], target: str) -> tuple[np.ndarray, float]:
    x = StandardScaler().fit_transform(table[features].to_numpy(dtype=float))
    y = StandardScaler().fit_transform(table[[target]].to_numpy(dtype=float))[:, 0]
    line = LinearRegression().fit(x, y)
    return line.coef_, float(line.score(x, y))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(6, 60), k=st.integers(1, 4), scale=st.floats(-6, 6))
def test_coefficients_are_scikit_learns(seed: int, n: int, k: int, scale: float) -> None:
    generator = np.random.default_rng(seed)
    names = [f"f{i}" for i in range(k)]
    table = pd.DataFrame(generator.lognormal(0, 1, (n, k)) * 10**scale, columns=names).assign(
        y=generator.normal(size=n)
    )
    group = weights(table, names, "y").groups[0]
    coefficients, r2 = scikit(table, names, "y")
    assert [weight.value for weight in group.weights] == pytest.approx(coefficients, abs=1e-9)
    assert group.r2 == pytest.approx(r2, abs=1e-9)
    assert group.n == n


def test_log2_is_scikit_learns_on_logarithms() -> None:
    table = grid()
    group = weights(table, ["layer", "node", "batch"], "gops_per_s", log2=True).groups[0]
    logged = np.log2(table[["layer", "node", "batch"]]).assign(gops_per_s=table["gops_per_s"])
    assert [w.value for w in group.weights] == pytest.approx(
        scikit(logged, ["layer", "node", "batch"], "gops_per_s")[0], abs=1e-9
    )
    both = weights(table, ["layer", "node"], "gops_per_s", log2=True, target_log2=True).groups[0]
    coefficients = scikit(np.log2(table), ["layer", "node"], "gops_per_s")[0]
    assert [w.value for w in both.weights] == pytest.approx(coefficients, abs=1e-9)


def test_intervals_are_hc3_by_the_formula() -> None:
    """MacKinnon and White (1985): (X'X)^-1 X' diag(e^2 / (1 - h)^2) X (X'X)^-1."""
    table = grid(noise=1.0)
    names = ["layer", "node", "batch"]
    group = weights(table, names, "gops_per_s").groups[0]
    x = np.column_stack([np.ones(len(table)), StandardScaler().fit_transform(table[names].to_numpy(dtype=float))])
    y = StandardScaler().fit_transform(table[["gops_per_s"]])[:, 0]
    bread = np.linalg.inv(x.T @ x)
    beta = bread @ x.T @ y
    leverage = np.einsum("ij,jk,ik->i", x, bread, x)
    meat = x.T @ np.diag(((y - x @ beta) / (1 - leverage)) ** 2) @ x
    half = stats.t.ppf(0.975, len(y) - 4) * np.sqrt(np.diag(bread @ meat @ bread))
    for i, weight in enumerate(group.weights, start=1):
        assert (weight.low, weight.high) == pytest.approx((beta[i] - half[i], beta[i] + half[i]), rel=1e-9)


def test_intervals_cover_the_truth_under_heteroscedastic_noise() -> None:
    """Noise that grows with the feature: HC3 keeps about 95 %, the usual interval doesn't."""
    generator = np.random.default_rng(7)
    inside = usual = 0
    x = np.linspace(0, 1, 60)
    for _ in range(200):
        table = pd.DataFrame({"x": x, "y": 2 * x + generator.normal(0, 0.05 + 3 * (x - 0.5) ** 2, 60)})
        weight = weights(table, ["x"], "y").groups[0].weights[0]
        truth = 2 * x.std() / table["y"].std(ddof=0)
        assert weight.low is not None
        assert weight.high is not None
        inside += weight.low <= truth <= weight.high
        plain_fit = sm.OLS(table["y"], sm.add_constant(table["x"])).fit()
        low, high = plain_fit.conf_int().loc["x"]
        usual += low <= 2 <= high
    assert 0.91 <= inside / 200 <= 0.985
    assert usual < inside


def test_on_chip_and_streamed_points_are_apart() -> None:
    table = grid().assign(off_chip_bytes=0)
    table.loc[table["node"] == 512, "off_chip_bytes"] = 5_000_000
    table.loc[table.index[:2], "off_chip_bytes"] = np.nan
    result = weights(table, ["layer", "node", "batch"], "gops_per_s")
    by_name = {group.name: group for group in result.groups}
    assert set(by_name) == {"on chip", "streamed", "all points"}
    streamed = by_name["streamed"]
    coefficients, _ = scikit(table[table["off_chip_bytes"] > 0], ["layer", "batch"], "gops_per_s")
    assert [w.value for w in streamed.weights if w.value is not None] == pytest.approx(coefficients, abs=1e-9)
    assert [w.feature for w in streamed.weights if w.value is None] == ["node"]
    assert "node doesn't vary here and is left out" in streamed.notes
    assert by_name["all points"].reason is not None  # two points


def test_groups_by_target_and_family() -> None:
    table = pd.concat([grid(1).assign(device="cpu", threads=1), grid(2).assign(device="cpu", threads=2)])
    groups = weights(table.assign(family="fc"), ["layer", "node"], "gops_per_s").groups
    assert [group.where for group in groups] == [{"threads": 1}, {"threads": 2}]
    one = weights(table, ["layer", "node", "threads"], "gops_per_s").groups
    assert len(one) == 1  # threads is a feature here
    assert len(weights(table, ["layer"], "gops_per_s", by=()).groups) == 1


def test_collinear_features_are_left_out_with_a_note() -> None:
    table = grid().assign(double=lambda t: 2 * t["layer"] + t["node"] + 1)
    group = weights(table, ["layer", "node", "double"], "gops_per_s").groups[0]
    assert [w.value is None for w in group.weights] == [False, False, True]
    assert any("double follows linearly" in note for note in group.notes)
    coefficients, _ = scikit(table, ["layer", "node"], "gops_per_s")
    assert [w.value for w in group.weights[:2]] == pytest.approx(coefficients, abs=1e-9)
    assert group.r2 == pytest.approx(scikit(table, ["layer", "node", "double"], "gops_per_s")[1])


def test_reasons_instead_of_numbers() -> None:
    table = grid()
    few = weights(table.iloc[[0, 14, 20, 33]], ["layer", "node", "batch"], "gops_per_s").groups[0]
    assert few.reason is not None
    assert few.weights == ()
    enough = weights(table.sample(5, random_state=2), ["layer", "node", "batch"], "gops_per_s").groups[0]
    assert enough.reason is None
    constant = weights(table.assign(gops_per_s=0.1), ["layer"], "gops_per_s").groups[0]
    assert constant.reason == "gops_per_s doesn't vary"
    same = weights(table.assign(layer=0.1), ["layer"], "gops_per_s").groups[0]
    assert same.reason == "no feature varies"
    empty = weights(table.assign(layer=np.nan), ["layer"], "gops_per_s").groups[0]
    assert empty.reason == "no row has all the numbers"


def test_rows_without_a_number_are_counted() -> None:
    table = grid()
    table.loc[[0, 1], "layer"] = np.nan
    table.loc[2, "gops_per_s"] = np.inf
    group = weights(table, ["layer", "node"], "gops_per_s").groups[0]
    assert (group.n, group.n_dropped) == (33, 3)
    zero = table.assign(node=table["node"] - 32)
    assert weights(zero, ["node"], "gops_per_s", log2=True).groups[0].n_dropped == 12 + 1 - int(zero["node"][2] == 0)


def test_failed_rows_are_left_out() -> None:
    table = grid().assign(status="ok")
    table.loc[0, "status"] = "failed"
    result = weights(table, ["layer"], "gops_per_s")
    assert result.groups[0].n == 35
    assert result.notes == ("1 failed rows are left out",)


def test_a_point_that_alone_decides_leaves_no_interval() -> None:
    table = pd.DataFrame({"x": [0.0, 0, 0, 0, 0, 1], "y": [1.0, 2, 3, 2, 1, 9]})
    group = weights(table, ["x"], "y").groups[0]
    assert group.weights[0].value == pytest.approx(scikit(table, ["x"], "y")[0][0])
    assert group.weights[0].low is None


@pytest.mark.parametrize(
    ("features", "target", "message"),
    [
        ([], "gops_per_s", "at least one"),
        (["layer", "layer"], "gops_per_s", "differ"),
        (["gops_per_s"], "gops_per_s", "differ"),
        (["layers"], "gops_per_s", "did you mean 'layer'"),
        (["layer"], "speed", "no column 'speed'"),
        (["kind"], "gops_per_s", "must hold numbers"),
    ],
)
def test_bad_input(features: list[str], target: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        weights(grid().assign(kind="residual"), features, target)


def test_as_dict_has_the_words_of_the_documentation() -> None:
    found = weights(grid(), ["layer", "node"], "gops_per_s").as_dict()
    group = found["groups"][0]
    assert set(group) == {"name", "where", "n", "n_dropped", "r2", "weights", "notes", "reason"}
    assert set(group["weights"][0]) == {"feature", "value", "low", "high"}
