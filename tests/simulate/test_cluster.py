"""Cluster files: the shipped ones, a user's own, and every kind of bad one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paraedge.core.errors import BadInput
from paraedge.named_files import shipped
from paraedge.simulate.cluster import load_cluster
from paraedge.simulate.cluster_file import parse_cluster
from paraedge.simulate.hosts import Cluster

GOOD = """
name = "mine"
summary = "two kinds of hosts"
overlap = false
host_ms = 0.25

[[bus]]
name = "switch"
mb_per_s = 110

[[host]]
name = "fast"
count = 2
gmacs_per_s = 20
memory_mib = 512
layer_ms = 0.01
link_mbit_per_s = 1000
link_ms = 0.2
bus = "switch"

[[host]]
name = "coral"
device = "sim-edgetpu-usb3"
link_mbit_per_s = 100
"""


def parse(text: str) -> Cluster:
    return parse_cluster(text, source="mine.toml")


def refused(text: str) -> str:
    with pytest.raises(BadInput) as caught:
        parse(text)
    message = str(caught.value)
    assert message.startswith("mine.toml")
    assert "\n" not in message
    return message.removeprefix("mine.toml").removeprefix(": ")


def one_line_or_fine(text: str) -> None:
    try:
        said = parse(text).name
    except BadInput as error:
        said = str(error)
    assert "\n" not in said


def test_a_good_file_says_what_it_says() -> None:
    cluster = parse(GOOD)
    assert (cluster.name, cluster.overlap, cluster.host_ms, cluster.size) == ("mine", False, 0.25, 3)
    fast, coral = cluster.hosts
    assert fast.names == ("fast-1", "fast-2")
    assert (fast.gmacs_per_s, fast.memory_mib, fast.layer_ms, fast.bus) == (20, 512, 0.01, "switch")
    assert coral.names == ("coral",)
    assert (coral.device, coral.gmacs_per_s, coral.memory_mib, coral.link_ms) == ("sim-edgetpu-usb3", None, None, 0)


def test_shipped_clusters_are_called_as_their_files_are() -> None:
    assert shipped("cluster")
    for name, path in shipped("cluster").items():
        assert load_cluster(name).name == name
        assert load_cluster(path) == load_cluster(name)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("memory_mib = 512", "", "host[1] (fast).memory_mib is missing: what it has for parameters"),
        ("memory_mib = 512", "memory_mib = 0", "host[1] (fast).memory_mib = 0: must be a number above 0"),
        ("memory_mib = 512", "memory_mib = -1", "must be a number above 0"),
        ("memory_mib = 512", "memory_mib = nan", "must be a number above 0"),
        ("memory_mib = 512", "memory_mib = inf", "must be a number above 0"),
        ("memory_mib = 512", "memory_mib = true", "host[1] (fast).memory_mib = true: must be a number"),
        ("memory_mib = 512", 'memory_mib = "512"', "host[1] (fast).memory_mib = '512': must be a number"),
        ("gmacs_per_s = 20", "", "host[1] (fast).gmacs_per_s is missing: its speed in 1e9"),
        ("gmacs_per_s = 20", "gmac_per_s = 20", "host[1].gmac_per_s is unknown: did you mean 'gmacs_per_s'?"),
        ("link_mbit_per_s = 100\n", "", "host[2] (coral).link_mbit_per_s is missing"),
        ("link_ms = 0.2", "link_ms = -0.2", "host[1] (fast).link_ms = -0.2: must be a number of milliseconds"),
        ("layer_ms = 0.01", "layer_ms = []", "host[1] (fast).layer_ms = []: must be a number of milliseconds"),
        ("host_ms = 0.25", "host_ms = -1", "host_ms = -1: must be a number of milliseconds"),
        ("overlap = false", "overlap = 1", "overlap = 1: must be true or false"),
        ("overlap", "overlaps", "overlaps is unknown: did you mean 'overlap'?"),
        ('summary = "two', 'summary = 2 # "', "summary = 2: must be a text"),
        ("count = 2", "count = 0", "host[1] (fast).count = 0: must be a whole number, 1 to 64"),
        ("count = 2", "count = 2.0", "host[1] (fast).count = 2.0: must be a whole number"),
        ("count = 2", "count = 64", "has 65 hosts: at most 64"),
        ("count = 2", "count = 65", "must be a whole number, 1 to 64"),
        ('bus = "switch"', 'bus = "swich"', "host[1] (fast).bus = 'swich': no [[bus]] has that name: did you mean"),
        ('bus = "switch"', "bus = 3", "host[1] (fast).bus = 3: no [[bus]] has that name"),
        ("mb_per_s = 110", "mb_per_s = 0", "bus[1] (switch).mb_per_s = 0: must be a number above 0"),
        ("mb_per_s = 110", "", "bus[1] (switch).mb_per_s is missing: what it carries"),
        ("mb_per_s = 110", "mb_per_s = 1\nspeed = 2", "bus[1].speed is unknown"),
        ('"sim-edgetpu-usb3"', '"sim-edgetpu-usb4"', "did you mean 'sim-edgetpu-usb3'?"),
        ('"sim-edgetpu-usb3"', '"cpu"', "host[2] (coral).device = 'cpu': no simulated device is called so"),
        ('"sim-edgetpu-usb3"', "7", "host[2] (coral).device = 7: no simulated device is called so"),
        ('"sim-edgetpu-usb3"', '"sim-edgetpu-usb3"\nmemory_mib = 5', "either a device, which brings its own"),
        ('name = "coral"', 'name = "fast"\ncount = 3', "host.name = 'fast-1' is there twice"),
        ('name = "coral"', 'name = "fast-2"', "host.name = 'fast-2' is there twice"),
        ('name = "coral"', 'name = ""', "host[2].name = '': must be up to 60 letters"),
        ('name = "coral"', "", "host[2].name is missing"),
        ('name = "mine"', "", "name is missing"),
        ('name = "mine"', 'name = "../x"', "name = '../x': must be up to 60 letters"),
        ("[[host]]", "[[hosts]]", "hosts is unknown: did you mean 'host'?"),
        ("[[bus]]", "[bus]", "bus = "),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_what_is_right(old: str, new: str, said: str) -> None:
    assert old in GOOD
    assert said in refused(GOOD.replace(old, new, 1))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("name = ", "is not TOML"),
        ("name = " + "1" * 5000, "is not TOML"),
        ("a = " + "[" * 20000, "is not TOML"),
        ('name = "x"', "has no host: add one or more [[host]] tables"),
        ('name = "x"\nhost = []', "has no host"),
        ('name = "x"\nhost = 3', "host = 3: must be one or more tables: [[host]]"),
        ('name = "x"\nhost = [1]', "host = [1]: must be one or more tables"),
    ],
)
def test_a_file_that_is_no_cluster(text: str, said: str) -> None:
    assert said in refused(text)


@given(st.text(max_size=200))
def test_any_text_is_a_cluster_or_bad_input(text: str) -> None:
    one_line_or_fine(text)


KEYS = st.sampled_from(
    "name count device gmacs_per_s memory_mib layer_ms link_mbit_per_s link_ms bus mb_per_s overlap host_ms".split()
)
VALUES = st.sampled_from(["0", "-1", "1", "nan", "inf", "true", '"switch"', "[]", "{}", "1e300", "1979-05-27", "64"])


@given(st.lists(st.tuples(st.sampled_from(["", "[[bus]]", "[[host]]"]), KEYS, VALUES), max_size=12))
def test_any_table_is_a_cluster_or_bad_input(lines: list[tuple[str, str, str]]) -> None:
    text = 'name = "any"\n' + "".join(f"{head}\n{key} = {value}\n" for head, key, value in lines)
    one_line_or_fine(text)


def test_files_that_can_not_be_read(tmp_path: Path) -> None:
    binary, large, pipe = tmp_path / "binary.toml", tmp_path / "large.toml", tmp_path / "pipe.toml"
    binary.write_bytes(b"\xff\xfe\x00")
    large.write_bytes(b"#" * (2**20 + 1))
    os.mkfifo(pipe)
    for what, said in (
        (tmp_path / "none.toml", "no cluster file"),
        (tmp_path, "is not a file"),
        (pipe, "is not a file"),
        (binary, "is not text"),
        (large, "is over 1 MiB"),
        ("four-board", "did you mean 'four-boards'?"),
        ("a\0b", "no cluster file"),
    ):
        with pytest.raises(BadInput) as caught:
            load_cluster(what)
        assert said in str(caught.value)
