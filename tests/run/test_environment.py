"""Facts of the host: there, fit for JSON, and without anybody's folders."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from pathlib import Path

import numpy
import psutil
import pytest

import paraedge
from paraedge.devices import host
from paraedge.run import environment


def test_facts_agree_with_independent_sources() -> None:
    facts = json.loads(json.dumps(environment()))
    assert facts["versions"]["numpy"] == numpy.__version__
    assert facts["versions"]["python"] == platform.python_version()
    assert facts["memory"]["total_bytes"] == psutil.virtual_memory().total
    assert facts["cpu"]["logical_cores"] == psutil.cpu_count()
    assert facts["cpu"]["model"]


def test_no_folder_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["/home/ada/.venv/bin/paraedge", "run", "/home/ada/x.toml", "--out=/home/ada/out/", "--device", "cpu"]
    monkeypatch.setattr("sys.argv", words)
    facts = environment()
    assert facts["command"] == ["paraedge", "run", "x.toml", "--out=out", "--device", "cpu"]
    text = json.dumps(facts)
    assert "ada" not in text
    assert str(Path.home()) == "/" or str(Path.home()) not in text


def test_revision_is_the_checkouts() -> None:
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        pytest.skip("not a checkout")
    if not Path(paraedge.__file__).is_relative_to(root / "paraedge"):
        pytest.skip("installed from a wheel, which has no revision")
    command = ["git", "-C", str(root), "rev-parse", "HEAD"]
    head = subprocess.run(command, capture_output=True, text=True, check=False)
    if head.returncode:
        pytest.skip("git can't read this checkout")
    revision = environment()["git_revision"]
    assert isinstance(revision, str)
    assert head.stdout.startswith(revision.removesuffix("-dirty"))


def test_revision_is_unknown_without_git(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    assert environment()["git_revision"] is None


def test_caches_agree_with_the_c_library() -> None:
    known = {}
    for level, name in ((1, "SC_LEVEL1_DCACHE_SIZE"), (2, "SC_LEVEL2_CACHE_SIZE"), (3, "SC_LEVEL3_CACHE_SIZE")):
        if name in os.sysconf_names and os.sysconf(name) > 0:
            known[level] = os.sysconf(name)
    if not known or not host.data_caches():
        pytest.skip("the caches' sizes are not told here")
    assert {cache.level: cache.size_bytes for cache in host.data_caches()} == known


def test_host_facts_of_a_board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for zone, kind, value in (("thermal_zone0", "gpu-thermal", "90000"), ("thermal_zone1", "cpu-thermal", "48312")):
        (tmp_path / zone).mkdir()
        (tmp_path / zone / "type").write_text(kind)
        (tmp_path / zone / "temp").write_text(value)
    monkeypatch.setattr(host, "THERMAL_FOLDER", tmp_path)
    host.thermal_zone.cache_clear()
    try:
        assert host.temperature_c() == 48.312
    finally:
        host.thermal_zone.cache_clear()


@pytest.mark.parametrize(
    ("size", "expected"), [("32K", 32768), ("1M", 1048576), ("512", 512), ("", None), ("odd", None)]
)
def test_sizes_of_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: str, expected: int | None) -> None:
    folder = tmp_path / "cache" / "index0"
    folder.mkdir(parents=True)
    for name, text in (("level", "1"), ("size", size), ("type", "Data")):
        (folder / name).write_text(text)
    monkeypatch.setattr(host, "CPU_FOLDER", tmp_path)
    host.data_caches.cache_clear()
    try:
        found = host.data_caches()
        assert (found[0].size_bytes if found else None) == expected
    finally:
        host.data_caches.cache_clear()
