"""Files that are no table: whatever they hold, one line says so."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from paraedge.calibrate.table import read_table
from paraedge.core.errors import BadInput
from paraedge.simulate import Hardware

OWN = "family,layer,node,latency_ms\nfc,4,512,0.3\nfc,4,1024,0.4\nfc,4,2048,18\n"


def refused(path: Path, base: Hardware, *words: str) -> None:
    with pytest.raises(BadInput) as caught:
        read_table(path, base)
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in words)


def test_what_is_no_file(tmp_path: Path, base: Hardware) -> None:
    refused(tmp_path / "gone.csv", base, "gone.csv", "campaign")
    refused(tmp_path, base, "runs.csv")
    os.mkfifo(tmp_path / "pipe")
    refused(tmp_path / "pipe", base, "pipe")
    refused(tmp_path / ("x" * 5000), base, "no such file")
    refused(tmp_path / "zero\0byte", base)
    (tmp_path / "huge.csv").touch()
    os.truncate(tmp_path / "huge.csv", 1 << 40)
    refused(tmp_path / "huge.csv", base, "too many")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(max_size=200) | st.text(alphabet='fc,;\t\n\r"0123456789.e-x', max_size=80).map(str.encode))
def test_any_bytes_are_refused(tmp_path: Path, base: Hardware, data: bytes) -> None:
    path = tmp_path / "any.csv"
    path.write_bytes(data)
    refused(path, base)
    path.write_bytes(b"family,layer,node,latency_ms\n" + data)
    refused(path, base)
    path.write_bytes(OWN.encode() + data)
    with contextlib.suppress(BadInput):
        read_table(path, base)
