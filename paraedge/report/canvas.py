"""A figure becomes bytes: an SVG in light and in dark for the page, an SVG and a PNG in files beside it."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import dataclass
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from paraedge.report import style

PNG_DPI = 160
FONTS = "'Helvetica Neue', Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"
"""Narrower than the font that the layout was computed with, so that no label grows into another."""
FONT_NAME = re.compile(r"'DejaVu Sans'(, [^;\"]*)?")


@dataclass(frozen=True, kw_only=True)
class Panel:
    """A drawn figure on its way to the page. `name` is its file's stem, `text` says in words what it shows."""

    name: str
    text: str
    figure: Figure


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A saved figure. `light` and `dark` are data URIs, `stem` its path beside the page without the suffix."""

    stem: str
    text: str
    light: str
    dark: str
    width: int
    height: int


def save(panel: Panel, folder: Path) -> Picture:
    """Write `folder`/figures/<name>.svg and .png (white ground) and give the page its two versions."""
    figures = folder / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context(style.settings()):
        svg = svg_text(panel.figure)
        (figures / f"{panel.name}.svg").write_text(svg, encoding="utf-8")
        panel.figure.savefig(figures / f"{panel.name}.png", format="png", dpi=PNG_DPI, metadata={"Software": None})
    width, height = (round(96 * inches) for inches in panel.figure.get_size_inches())
    return Picture(
        stem=f"figures/{panel.name}",
        text=panel.text,
        light=data_uri(svg),
        dark=data_uri(in_the_dark(svg)),
        width=width,
        height=height,
    )


def svg_text(figure: Figure) -> str:
    """The figure as an SVG without dates or random ids: the same data give the same bytes."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", dpi=PNG_DPI, metadata={"Date": None, "Creator": None})
    return smaller(FONT_NAME.sub(FONTS, buffer.getvalue()))


def smaller(svg: str) -> str:
    """The same drawing in about half the bytes: marks alike say their style once, lengths to a hundredth of a point."""
    once = ALIKE.sub(lambda found: f'<g style="{found[1]}">{found[0].replace(STYLE.format(found[1]), "")}</g>', svg)
    return INDENT.sub("\n", TAG.sub(lambda found: DIGITS.sub(r"\1", found[0]), once))


STYLE = ' style="{}"'
ALIKE = re.compile(r'<use [^>]* style="([^"]*)"/>(?:\s*<use [^>]* style="\1"/>)+')
TAG = re.compile(r"<[^>]*>")
"""Not what stands between them, which people read."""
DIGITS = re.compile(r"(\d\.\d\d)\d+")
INDENT = re.compile(r"\n\s+")


def in_the_dark(svg: str) -> str:
    """The same drawing in the dark set of colours."""
    return COLOUR.sub(lambda found: style.DARK.get(found.group().lower(), found.group()), svg)


COLOUR = re.compile(r"#[0-9a-fA-F]{6}\b")


def data_uri(svg: str) -> str:
    """An SVG inside the page, as an image of its own so that its ids can't meet those of another."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()
