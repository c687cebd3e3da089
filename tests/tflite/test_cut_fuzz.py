"""Damaged files are cut or refused, within 500 MB, without a crash or a hang."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from file_objects import pack, strange_model

PUBLISHED = ["split_concat", "keras_lstm_mnist_ptq", "mobilenet_v1_0.25_128_quant", "movenet_single_pose_lightning_ptq"]


def fuzz(folder: Path, count: int) -> dict[str, float]:
    script = Path(__file__).with_name("fuzz_cut.py")
    command = [sys.executable, str(script), str(count), "1", "450", str(folder)]
    child = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert child.returncode == 0, child.stderr[-3000:]
    result: dict[str, float] = json.loads(child.stdout)
    assert result["cut"] + result["refused"] == count
    return result


def test_damaged_files_of_our_own(small_files: dict[str, bytes], tmp_path: Path) -> None:
    for name in ("fc-int8", "residual-int8", "matmul-float32"):
        (tmp_path / name).write_bytes(small_files[name])
    result = fuzz(tmp_path, 1500)
    assert min(result["cut"], result["refused"]) > 150  # the damage is neither harmless nor always fatal


def test_damage_to_what_converters_seldom_write(tmp_path: Path) -> None:
    (tmp_path / "strange").write_bytes(pack(strange_model()))
    result = fuzz(tmp_path, 4000)
    assert min(result["cut"], result["refused"]) > 400


def test_damaged_published_files(edgetpu_data: Path, tmp_path: Path) -> None:
    for name in PUBLISHED:
        (tmp_path / name).write_bytes((edgetpu_data / "models" / f"{name}.tflite").read_bytes())
    result = fuzz(tmp_path, 800)
    assert min(result["cut"], result["refused"]) > 80
