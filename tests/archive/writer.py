"""Append rows as fast as can be, to be killed: `writer.py FOLDER ROWS`. Prints each node once its row is there."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

spec = importlib.util.spec_from_file_location("rows", Path(__file__).with_name("conftest.py"))
assert spec is not None
assert spec.loader is not None
rows = importlib.util.module_from_spec(spec)
sys.modules["rows"] = rows
spec.loader.exec_module(rows)


def main(folder: Path, count: int) -> None:
    """Append rows 1..count that are not there yet; every seventh failed; most are pipelines; meta.json changes."""
    with rows.reopen(folder) as archive:
        for node in range(1, count + 1):
            error = None if node % 7 else "full,\n'of' \"quotes\""
            row = rows.row(node, blocks=1 + node % 5, error=error, segments=node % 4 or None)
            if row.key in archive.done:
                continue
            archive.append(row)
            sys.stdout.write(f"{node}\n")
            sys.stdout.flush()
            if node % 50 == 0:
                archive.update_meta(environment={"node": node})


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
