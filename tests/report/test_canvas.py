"""What is done to a drawing's SVG leaves the drawing as it is."""

from __future__ import annotations

from xml.etree import ElementTree

from paraedge.report import style
from paraedge.report.canvas import in_the_dark, smaller


def test_dark_exchanges_colours_and_nothing_else() -> None:
    assert in_the_dark(f"<a fill='{style.INK}'/>") == f"<a fill='{style.DARK[style.INK]}'/>"
    assert in_the_dark("#123456 #abc plain") == "#123456 #abc plain"
    assert len(set(style.DARK.values())) == len(style.DARK)


def test_a_smaller_svg_has_the_same_marks_in_the_same_style() -> None:
    marks = [(1.23456, "fill: #0072b2"), (2.5, "fill: #0072b2"), (3.0, "fill: #d55e00"), (4.0, "fill: #0072b2")]
    svg = (
        "<svg>\n  <text>0.00123</text>\n  <g>\n"
        + "".join(f'   <use href="#m" x="{x}" style="{s}"/>\n' for x, s in marks)
        + "  </g>\n</svg>"
    )

    def found(text: str) -> list[tuple[float, str]]:
        tree = ElementTree.fromstring(text)  # noqa: S314 (our own drawing)
        parents = {child: parent for parent in tree.iter() for child in parent}
        uses = tree.iter("use")
        return [(float(use.attrib["x"]), use.get("style") or parents[use].attrib["style"]) for use in uses]

    assert found(smaller(svg)) == [(1.23 if x == 1.23456 else x, s) for x, s in marks]
    assert smaller(svg).count("style=") == 3
    assert "<text>0.00123</text>" in smaller(svg)
