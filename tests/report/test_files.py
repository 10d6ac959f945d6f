"""The picture as SVG, PNG and PDF, in a terminal, as text."""

import struct
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest
from kit.pictures import PROOFS, concatenating_picture, idle_picture, widened_picture

from condense_compiler.report.explain import explain
from condense_compiler.report.figure import write_figure
from condense_compiler.report.notebook import picture_html
from condense_compiler.report.tables import render_text
from condense_compiler.report.terminal import render_terminal


def test_svg_is_xml_with_text_and_always_the_same(tmp_path: Path) -> None:
    for name in ("a.svg", "b.svg"):
        write_figure(widened_picture(), tmp_path / name)
    root = ET.parse(tmp_path / "a.svg").getroot()  # noqa: S314 - our own file
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    text = " ".join(root.itertext())
    for word in ("before: as given", "after: compiled", "offset in the arena", "lower bound"):
        assert word in text
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


@pytest.mark.parametrize("words", PROOFS)
def test_all_say_what_is_proved(tmp_path: Path, words: str) -> None:
    picture = PROOFS[words]()
    write_figure(picture, tmp_path / "plan.svg")
    svg = "".join(ET.parse(tmp_path / "plan.svg").getroot().itertext())  # noqa: S314 - our own file
    for text in (svg, render_terminal(picture).plain, render_text(picture)):
        after = text.partition("after: ")[2].partition("\n")[0]
        assert words in after


def test_png_has_the_size_of_a_page(tmp_path: Path) -> None:
    write_figure(widened_picture(), tmp_path / "plan.png")
    content = (tmp_path / "plan.png").read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", content[16:24])
    assert (width, height) == (2000, 920)


@pytest.mark.parametrize("name", ["n\udcff", "a$b$c", "$\\frac{$", "_^{", "日本"])
@pytest.mark.filterwarnings("ignore:Glyph")
def test_names_are_drawn_whatever_they_are(tmp_path: Path, name: str) -> None:
    picture = widened_picture()
    maps = tuple(replace(each, tensor=name) for each in picture.after.maps)
    odd = replace(picture, model=name, after=replace(picture.after, maps=maps))
    write_figure(odd, tmp_path / "plan.svg")
    write_figure(odd, tmp_path / "plan.png")
    text = "".join(ET.parse(tmp_path / "plan.svg").getroot().itertext())  # noqa: S314 - our own file
    assert name.encode("utf-8", "backslashreplace").decode() in text


def test_pdf_is_one(tmp_path: Path) -> None:
    write_figure(widened_picture(), tmp_path / "plan.pdf")
    content = (tmp_path / "plan.pdf").read_bytes()
    assert content.startswith(b"%PDF-")
    assert content.rstrip().endswith(b"%%EOF")


@pytest.mark.parametrize("width", [60, 100])
def test_terminal(golden, width: int) -> None:
    golden(f"widened_{width}.txt", render_terminal(widened_picture(), width).plain)


def test_the_terminal_picture_keeps_to_its_width_and_shows_the_peak() -> None:
    plain = render_terminal(concatenating_picture(), 72).plain
    drawing = [line for line in plain.splitlines() if "│" in line]
    assert max(map(len, drawing)) <= 72
    assert sum("▲" in line for line in drawing) == 2


def test_the_text_names_everything() -> None:
    picture = concatenating_picture()
    text = render_text(picture)
    for plan in picture.sides.values():
        for each in plan.maps:
            assert each.tensor in text
            assert f"{each.size:,}" in text
        assert f"{plan.arena_bytes:,} B" in text


def test_a_network_without_steps_can_be_shown(tmp_path: Path) -> None:
    picture = idle_picture()
    assert picture.after.steps == ()
    assert explain(picture.after) is None
    write_figure(picture, tmp_path / "plan.svg")
    assert "0 steps" in render_terminal(picture).plain
    assert "after: arena 24 B" in render_text(picture)
    assert picture.model in picture_html(picture)
