"""The page as a browser gets it: whole, self-contained, honest about kinds and holes, whatever the campaign lacks."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from paraedge.core.errors import BadInput
from paraedge.report import style, write_report
from paraedge.report.data import gather
from paraedge.report.findings import headlines
from paraedge.report.sections import sections
from paraedge.report.tables import cell, failures_table

VOID = {"meta", "img", "source", "br", "link", "input", "hr"}
SIMULATED = "sim-edgetpu-pcie"


class Page(HTMLParser):
    """Tags balanced, attributes and texts collected."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.urls: list[str] = []
        self.ids: list[str] = []
        self.tags: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.parts: list[str] = []
        self.rows: list[list[str]] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.tags.append(tag)
        self.urls += [values[name] or "" for name in ("src", "srcset", "href", "data") if name in values]
        self.ids += [values["id"] or ""] if "id" in values else []
        self.images += [values] if tag == "img" else []
        self.rows += [[]] if tag == "tr" else []
        if tag in ("td", "th") and self.rows:
            self.rows[-1].append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.parts.append(data)
        if {"td", "th"} & set(self.open) and self.rows:
            self.rows[-1][-1] += data

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.parts).split())


@pytest.fixture(scope="module")
def campaign(make_campaign: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """About 60 models on a CPU and two simulated devices."""
    return make_campaign(tmp_path_factory.mktemp("campaign"), devices=("cpu", SIMULATED, "sim-edgetpu-usb2"))


@pytest.fixture(scope="module")
def written(campaign: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report([campaign], tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def html(written: Path) -> str:
    return written.read_text(encoding="utf-8")


def test_is_well_formed_and_asks_nothing_of_the_network(html: str) -> None:
    page = Page(html)
    assert page.urls
    assert all(url.startswith(("#", "data:image/svg+xml;base64,")) for url in page.urls)
    assert "script" not in page.tags
    assert not re.search(r"@import|url\(", html)
    assert len(page.ids) == len(set(page.ids))
    assert {url[1:] for url in page.urls if url.startswith("#")} <= set(page.ids)


def test_stays_below_three_megabytes(written: Path) -> None:
    assert written.stat().st_size < 3e6


def test_every_image_is_an_svg_with_words_and_a_dark_twin(html: str) -> None:
    sources = re.findall(r"data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)", html)
    images = Page(html).images
    assert len(sources) == 2 * len(images) > 20
    for dark, light in zip(sources[::2], sources[1::2], strict=True):
        texts = [base64.b64decode(source).decode() for source in (dark, light)]
        for text in texts:
            tree = ElementTree.fromstring(text)  # noqa: S314 (our own drawing)
            assert tree.tag == "{http://www.w3.org/2000/svg}svg"
        assert style.PAPER in texts[1]
        assert style.PAPER not in texts[0]
        assert style.INK not in texts[0]
    assert all(image["alt"] for image in images)


def test_figures_lie_beside_the_page_as_svg_and_png(written: Path, html: str) -> None:
    files = sorted(path.name for path in (written.parent / "figures").iterdir())
    stems = {name.rsplit(".", 1)[0] for name in files}
    assert files == sorted(f"{stem}.{suffix}" for stem in stems for suffix in ("svg", "png"))
    assert len(stems) == len(Page(html).images)
    for start in ("roofline-cpu", "latency-fc", "speedup-", "heatmap-fc-cpu", "weights-fc", "rounds-cpu"):
        assert any(stem.startswith(start) for stem in stems), start
    assert (written.parent / "figures" / "latency-fc.png").read_bytes().startswith(b"\x89PNG")


def test_every_failed_point_is_listed_with_its_reason_escaped(campaign: Any, html: str) -> None:
    failed = campaign.runs[campaign.runs["status"] == "failed"]
    points = failed.drop_duplicates(["spec_id", "device"])
    assert "<script>" not in html
    page = Page(html)
    rows = [row for row in page.rows if len(row) == 5 and row[-1].startswith("open: ") and "layer=8" in row[3][:7]]
    assert len(rows) == len(points) == 2
    for row, error in zip(rows, points["error"], strict=True):
        assert row[4] == error
        assert row[3] == "layer=8 node=2048"
    assert "2 of 168 points have no result" in page.text


def test_simulated_is_said_wherever_a_simulated_device_is_shown(html: str, written: Path) -> None:
    page = Page(html)
    for image in page.images:
        if SIMULATED in str(image["alt"]):
            assert "simulated" in str(image["alt"])
    for row in page.rows:
        if row and SIMULATED in row[0]:
            assert any("simulated" in text for text in row), row
    for path in (written.parent / "figures").glob("*.svg"):
        text = path.read_text()
        if SIMULATED in text:
            assert "simulated" in text, path.name
    assert "Simulated figures come from a performance model" in page.text


def test_every_point_is_in_a_table(campaign: Any, html: str) -> None:
    points = campaign.runs.drop_duplicates(["spec_id", "device"])
    rows = Page(html).rows
    width = {len(row) for row in rows if "latencyms a batch, median" in row}
    assert width
    listed = [row for row in rows if len(row) in width and {"measured", "simulated"} & set(row) and "R²" not in row]
    assert len(
        [row for row in listed if any(device in row for device in ("cpu", SIMULATED, "sim-edgetpu-usb2"))]
    ) >= len(points)


def test_findings_name_what_the_data_say(campaign: Any) -> None:
    data = gather([campaign])
    text = " ".join(headlines(data))
    table = data.points
    best = table[(table["device"] == "cpu")]["gops_per_s"].max()
    assert f"The best rate on cpu is {cell(best, 3)} GOPS/s" in text
    assert "2 of 168 points have no result, by open: MemoryError" in text
    assert "falls off the memory cliff" in text
    base, new = (
        table[(table["device"] == device)].set_index("spec_id")["latency_median_ms"] for device in ("cpu", SIMULATED)
    )
    ratio = (base / new).dropna()
    mean = float(ratio.prod() ** (1 / len(ratio)))
    words = f"{cell(mean, 3)} times as fast" if mean >= 1 else f"{cell(1 / mean, 3)} times slower"
    assert f"{SIMULATED} is {words}" in text


def test_the_same_campaign_gives_the_same_files(
    make_campaign: Any, made_specs: list[dict[str, Any]], tmp_path: Path
) -> None:
    chosen = make_campaign(tmp_path, points=made_specs[:20], devices=("cpu", SIMULATED))
    folders = [write_report([chosen], tmp_path / name).parent for name in ("a", "b")]
    names = [sorted(str(path.relative_to(folder)) for path in folder.rglob("*.*")) for folder in folders]
    assert names[0] == names[1]
    assert all((folders[0] / name).read_bytes() == (folders[1] / name).read_bytes() for name in names[0])


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("empty", "The campaign has no rows yet."),
        ("one point", "needs two devices"),
        ("all failed", "No point has a result"),
        ("no simulated", "needs two devices"),
        ("no cpu", "Nothing was measured"),
        ("no meta", "meta.json has nothing under environment, roofs, devices"),
        ("one round", "its noise is unknown"),
        ("odd meta", "roof"),
    ],
)
def test_holes_are_said_and_nothing_crashes(
    kind: str, said: str, make_campaign: Any, made_specs: list[dict[str, Any]], tmp_path: Path
) -> None:
    few = made_specs[::9]
    options: dict[str, dict[str, Any]] = {
        "one point": {"devices": ("cpu",), "points": made_specs[:1]},
        "no simulated": {"devices": ("cpu",)},
        "no cpu": {"devices": (SIMULATED, "sim-edgetpu-usb3")},
        "one round": {"rounds": 1},
    }
    chosen = make_campaign(tmp_path, **({"points": few} | options.get(kind, {})))
    if kind == "empty":
        chosen.runs = chosen.runs.iloc[:0]
    elif kind == "all failed":
        chosen.runs = chosen.runs.assign(status="failed", error="build: TooLarge: 3 GiB")
        chosen.runs[["latency_median_ms", "latency_low_ms", "latency_high_ms", "gops_per_s", "examples_per_s"]] = float(
            "nan"
        )
    elif kind == "no meta":
        chosen.meta = {}
    elif kind == "odd meta":
        chosen.meta = {
            "environment": "none",
            "roofs": {"cpu threads=1 kernels=xnnpack": [{"kind": "compute"}]},
            "devices": [],
        }
    page = Page(write_report([chosen], tmp_path / "out").read_text(encoding="utf-8"))
    assert said in page.text


def test_all_failed_lists_every_point(make_campaign: Any, made_specs: list[dict[str, Any]], tmp_path: Path) -> None:
    chosen = make_campaign(tmp_path, points=made_specs[::5])
    chosen.runs = chosen.runs.assign(status="failed", error="run: Timeout: 120 s")
    table = failures_table(gather([chosen]))
    assert len(table.rows) == len(chosen.runs.drop_duplicates(["spec_id", "device"]))
    assert {row[-1] for row in table.rows} == {"run: Timeout: 120 s"}


def test_several_campaigns_keep_their_names(
    make_campaign: Any, made_specs: list[dict[str, Any]], tmp_path: Path
) -> None:
    few = made_specs[::6]
    several = [
        make_campaign(tmp_path, name="laptop", points=few, devices=("cpu",), seed=1),
        make_campaign(tmp_path, name="board", points=few, devices=("cpu", SIMULATED), seed=2),
        make_campaign(tmp_path, name="board", points=few, devices=("cpu",), seed=3),
    ]
    page = Page(write_report(several, tmp_path / "out").read_text(encoding="utf-8"))
    assert "laptop, board 1 and board 2" in page.text
    for name in ("laptop: cpu", "board 1: cpu", "board 2: cpu", f"board 1: {SIMULATED}"):
        assert name in page.text
    assert "measured ÷ measured" in page.text


def test_a_report_of_nothing_is_bad_input(tmp_path: Path, make_campaign: Any, made_specs: list[dict[str, Any]]) -> None:
    with pytest.raises(BadInput, match="at least one campaign"):
        write_report([], tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="can't be a folder"):
        write_report([make_campaign(tmp_path, points=made_specs[:1])], tmp_path / "file")


def test_sections_are_the_same_in_every_report(campaign: Any, make_campaign: Any, tmp_path: Path) -> None:
    nothing = make_campaign(tmp_path, points=[])
    nothing.runs = nothing.runs.iloc[:0]
    names = [[section.id for section in sections(gather([one]))] for one in (campaign, nothing)]
    assert names[0] == names[1]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (float("nan"), ""),
        (0.0, "0"),
        (3, "3"),
        (12345678, "12\u202f345\u202f678"),
        (0.012345, "0.01235"),
        (1.5, "1.500"),
    ],
)
def test_cells_leave_unknown_empty(value: float | None, text: str) -> None:
    assert cell(value) == text
