"""What a killed writer left behind: torn lines, samples or stages without their run, runs without theirs."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import cast

from paraedge.archive.columns import ADDED, SAMPLES, STAGES, Column, names
from paraedge.archive.lines import csv_line, header_of, parse, replace_file, temporary_path
from paraedge.archive.row import Key
from paraedge.core.device import Kernels, Target
from paraedge.core.errors import BadCampaign

RUNS = "runs.csv"
SAMPLES_FILE = "samples.csv"
STAGES_FILE = "stages.csv"

DETAILS: Mapping[str, tuple[Column, ...]] = {SAMPLES_FILE: SAMPLES, STAGES_FILE: STAGES}
"""Tables with several lines a run, written before the run's own. Only a campaign with pipelines has stages."""


@dataclass(frozen=True, slots=True)
class RunLine:
    """What the writer must know of a line that is already there.

    owed: lines of it in each of DETAILS. cuts: as in its cell; None where it is no good row of a pipeline.
    """

    run_id: str
    key: Key
    attempt: int
    failed: bool
    owed: Mapping[str, int]
    cuts: tuple[int, ...] | None


def repair(folder: Path, header: Sequence[str]) -> list[RunLine]:
    """Make the tables whole, under the folder's lock, and return the runs in order of the file.

    A torn last line goes; samples and stages whose run has no line go; the last runs whose own are not all there (the
    machine died before the disk had them) go, to be measured again; columns of later releases come, empty.
    Nothing is rewritten where nothing is wrong, and a kill in between leaves a folder that the next repair mends.
    Raises BadCampaign for a line that no kill explains.
    """
    runs = folder / RUNS
    data = _with_added(_mend_end(runs, header), header, runs)
    lines = list(run_lines(data, header, runs))
    counts: dict[str, Counter[str]] = {}
    for file, columns in DETAILS.items():
        if columns is SAMPLES or (folder / file).exists():
            _mend_end(folder / file, names(columns), stream=True)
            counts[file] = _count_lines(folder / file, columns)
    unfounded = {number for file, found in counts.items() for number in _unfounded(lines, found, file)}
    if unfounded:
        kept = [line for number, line in enumerate(data.split(b"\n")) if number - 1 not in unfounded]
        replace_file(runs, b"\n".join(kept))
        lines = [line for number, line in enumerate(lines) if number not in unfounded]
    known = {line.run_id for line in lines}
    for file, found in counts.items():
        if not known.issuperset(found):
            _remove_orphans(folder / file, known)
    return lines


def _with_added(data: bytes, header: Sequence[str], path: Path) -> bytes:
    """`data` with the columns of ADDED that its header lacks, also on disk."""
    found = header_of(data)
    if list(found) == list(header) or list(found) != [name for name in header if name in found or name not in ADDED]:
        return data
    rows = [dict(zip(found, row, strict=True)) for row in parse(data, found, path)]
    whole = csv_line(header) + "".join(csv_line(map(row.get, header)) for row in rows)
    replace_file(path, whole.encode())
    return whole.encode()


def run_lines(data: bytes, header: Sequence[str], path: Path) -> Iterator[RunLine]:
    """The lines of a runs.csv; raises BadCampaign, naming the line, for one that is not ours."""
    needed = itemgetter(*map(header.index, NEEDED))
    for number, cells in enumerate(parse(data, header, path), start=2):
        row = dict(zip(NEEDED, needed(cells), strict=True))
        try:
            failed = _FAILED[row["status"]]
            owed = {} if failed else {SAMPLES_FILE: int(row["samples"]), STAGES_FILE: int(row["devices_used"] or 0)}
            key = Key(row["spec_id"], _target(row), int(row["round"]))
            cuts = tuple(map(int, filter(None, row["cuts"].split(",")))) if row["devices_used"] else None
            yield RunLine(row["run_id"], key, int(row["attempt"]), failed, owed, cuts)
        except (ValueError, KeyError):
            raise BadCampaign(
                f"{path}: line {number} is not a run (an option of its device, round, attempt, status or the number of "
                "its samples can't be read); mend or remove that line, or choose another folder"
            ) from None


def _target(row: Mapping[str, str]) -> Target:
    return Target(
        device=row["device"],
        threads=int(row["threads"] or 0) or None,
        kernels=cast(Kernels, row["kernels"]) if row["kernels"] else None,
        segments=int(row["segments"] or 0) or None,
        strategy=row["strategy"] or None,
        inputs=int(row["inputs"] or 0) or None,
    )


NEEDED = (
    *("run_id", "spec_id", "device", "threads", "kernels", "segments", "strategy", "inputs", "round", "attempt"),
    *("status", "samples", "devices_used", "cuts"),
)
_FAILED = {"ok": False, "failed": True}


def _mend_end(path: Path, header: Sequence[str], *, stream: bool = False) -> bytes:
    """Cut a torn last line, write a missing header; the whole lines, or nothing where the caller streams them."""
    size = path.stat().st_size if path.exists() else 0
    end = _end_of_last_line(path, size) if size else 0
    if end == 0:
        replace_file(path, csv_line(header).encode())
    elif end < size:
        os.truncate(path, end)
    return b"" if stream else path.read_bytes()


def _end_of_last_line(path: Path, size: int, step: int = 1 << 20) -> int:
    with path.open("rb") as file:
        end = size
        while end > 0:
            start = max(0, end - step)
            file.seek(start)
            at = file.read(end - start).rfind(b"\n")
            if at >= 0:
                return start + at + 1
            end = start
    return 0


def _count_lines(path: Path, columns: Sequence[Column]) -> Counter[str]:
    """Lines of each run; a long campaign has millions, so the file is streamed."""
    counts: Counter[str] = Counter()
    expected = csv_line(names(columns)).encode()
    with path.open("rb") as file:
        if file.readline().replace(b"\r", b"").removeprefix(b"\xef\xbb\xbf") != expected:
            raise BadCampaign(f"{path}: line 1 is not {expected.decode().strip()}; mend it or choose another folder")
        previous, run, count = b"", "", 0
        for number, line in enumerate(file, start=2):
            identity = line[: line.find(b",")]
            cells = len(columns) if b'"' in line else line.count(b",") + 1
            if cells != len(columns) or b"\0" in line:
                raise BadCampaign(f"{path}: line {number} does not have {len(columns)} cells; mend or remove that line")
            if identity != previous:
                counts[run] += count
                previous, run, count = identity, identity.decode("ascii", "replace"), 0
            count += 1
        counts[run] += count
    del counts[""]
    return counts


def _unfounded(lines: Sequence[RunLine], counts: Counter[str], file: str) -> set[int]:
    """Which of the last runs lack lines in `file`. None, where all are gone: somebody did that, not a kill."""
    lacking: set[int] = set()
    for number in reversed(range(len(lines) if counts else 0)):
        owed = lines[number].owed.get(file, 0)
        if counts[lines[number].run_id] < owed:
            lacking.add(number)
        elif owed:
            break
    return lacking


def _remove_orphans(path: Path, known: Collection[str]) -> None:
    """Keep the header and the lines of known runs, in one step."""
    wanted = {identity.encode() for identity in known}
    temporary = temporary_path(path)
    with path.open("rb") as old, temporary.open("wb") as new:
        new.write(old.readline())
        new.writelines(line for line in old if line[: line.find(b",")] in wanted)
        new.flush()
        os.fsync(new.fileno())
    temporary.replace(path)
