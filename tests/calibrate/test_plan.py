"""Plans: which unknown prices what."""

from __future__ import annotations

from paraedge.calibrate.plan import CHIP, OWN, own_plan, published_plan
from paraedge.simulate.counts import COSTS

COUNTS = [cost.count for cost in COSTS]
PCIE, USB2, USB3 = "PCIe Gen2 x1 (inferred)", "USB 2", "USB 3"
UNPRICED = {"elements", "weight_bytes"}
"""Counts whose cost no table tells."""


def test_the_published_unknowns() -> None:
    plans = {
        interface: {count: published_plan(count, "a", interface) for count in COUNTS}
        for interface in (PCIE, USB2, USB3)
    }
    for plan in plans.values():
        assert {count: plan[count] for count in CHIP} == {count: count for count in CHIP}
        assert (plan["invokes"], plan["input_bytes"], plan["instruction_bytes"]) == ("a/invokes", "a/link", "a/link")
        assert {plan[count] for count in UNPRICED} == {None}
    assert plans[PCIE]["streamed_bytes"] == "PCIe/streamed_bytes" == published_plan("streamed_bytes", "b", PCIE)
    assert plans[USB2]["streamed_bytes"] == "a/link"
    assert plans[USB3]["streamed_bytes"] is None
    for count in ("streams", "output_bytes", "output_blocks"):
        assert plans[PCIE][count] == f"PCIe/{count}"
        assert plans[USB2][count] is plans[USB3][count] is None


def test_ones_own_unknowns_are_those_chosen() -> None:
    none, all_of_them = own_plan(()), own_plan(tuple(OWN))
    assert {none(count, "a", USB3) for count in COUNTS} == {None}
    priced = {count for count in COUNTS if all_of_them(count, "a", USB3) is not None}
    assert priced == set(COUNTS) - CHIP - UNPRICED == {count for counts in OWN.values() for count in counts}
    one = own_plan(("link",))
    assert [one(count, "a", USB3) for count in ("input_bytes", "instruction_bytes", "invokes")] == [
        "a/link",
        "a/link",
        None,
    ]


def test_streaming_over_usb_2_goes_at_the_links_rate() -> None:
    for chosen, name in ((("stream",), None), (("link",), "a/link"), (("link", "stream"), "a/link")):
        assert own_plan(chosen)("streamed_bytes", "a", USB2) == name
    assert own_plan(("link", "stream"))("streamed_bytes", "a", USB3) == "a/stream"
