"""The picture of a plan in a terminal: plain characters, with colours where there are any."""

import itertools
import string
from collections.abc import Mapping, Sequence

from rich.text import Text

from condense_compiler.report.palette import PAINTS
from condense_compiler.report.picture import FeatureMap, Picture, PlanPicture
from condense_compiler.report.words import change, format_bytes, format_short, proof, shorten

_ROWS = 16
_AXIS = 12  # characters to the left of a row
_WIDEST = 8  # characters of a step
_BARS = "▁▂▃▄▅▆▇█"
_LETTERS = string.ascii_uppercase + string.ascii_lowercase
_UNNAMED = "·"

Letters = Mapping[FeatureMap, str]


def render_terminal(picture: Picture, width: int = 80) -> Text:
    """Return both plans, one above the other on one scale, `width` characters wide."""
    text = Text(no_wrap=True)
    text.append(f"{picture.model}: arena ", style="bold")
    arenas = [format_short(plan.arena_bytes) for plan in picture.sides.values()]
    text.append(f"{arenas[0]} → {arenas[1]}", style="bold")
    text.append(f" ({change(picture.before.arena_bytes, picture.after.arena_bytes)})\n")
    top = max(picture.before.arena_bytes, picture.after.arena_bytes, 1)
    for side, plan in picture.sides.items():
        text.append(f"\n{side}: {len(plan.steps)} steps, arena {format_bytes(plan.arena_bytes)}, ")
        text.append(f"{proof(plan)}\n")
        if plan.steps:
            _append_plan(text, plan, top, width)
    if picture.gone:
        size = format_short(sum(ghost.size for ghost in picture.gone))
        text.append(f"\n{len(picture.gone)} feature maps of {size} together are gone.\n")
    return text


def _append_plan(text: Text, plan: PlanPicture, top: int, width: int) -> None:
    columns = _columns(plan, max(width - _AXIS, 10))
    letters = _letters(plan)
    alive = {step: plan.alive_at(step) for step in set(columns)}
    for row in reversed(range(max(1, -(-_ROWS * plan.arena_bytes // top)))):
        low, high = row * top // _ROWS, (row + 1) * top // _ROWS
        line = Text().append(f"{format_short(high):>{_AXIS - 2}} │", style="dim")
        for step in columns:
            _append_cell(line, alive[step], low, high, letters)
        line.rstrip()
        text.append_text(line).append("\n")
    _append_load(text, plan, columns)
    _append_legend(text, plan, letters, width)


def _columns(plan: PlanPicture, width: int) -> Sequence[int]:
    """Return the step that each column of characters shows.

    Where a column stands for several steps it shows the one with the largest load.
    """
    count = len(plan.steps)
    if count <= width:
        repeat = min(width // count, _WIDEST)
        return [step for step in range(count) for _ in range(repeat)]
    bounds = [column * count // width for column in range(width + 1)]
    return [
        max(range(lower, upper), key=lambda step: plan.steps[step].load)
        for lower, upper in itertools.pairwise(bounds)
    ]


def _letters(plan: PlanPicture) -> Letters:
    """Return a letter for each map that matters most: those of the peak, then the largest."""
    peak = set(plan.alive_at(plan.peak_steps[0]))
    ranked = sorted(plan.maps, key=lambda each: (each not in peak, -each.size, each.first))
    return dict(zip(ranked, _LETTERS, strict=False))


def _append_cell(
    text: Text, maps: Sequence[FeatureMap], low: int, high: int, letters: Letters
) -> None:
    """Append the map that holds most of some bytes at a step."""

    def held(each: FeatureMap) -> int:
        return min(high, each.offset + each.size) - max(low, each.offset)

    best = max(maps, key=lambda each: (held(each), each.first), default=None)
    if best is None or 2 * held(best) < min(high - low, best.size):
        text.append(" ")
        return
    paint = PAINTS[best.kind]
    style = f"color({16 if paint.ink == '#000000' else 231}) on color({paint.ansi})"
    text.append(letters.get(best, _UNNAMED), style=style)


def _append_load(text: Text, plan: PlanPicture, columns: Sequence[int]) -> None:
    peak = max(plan.peak_bytes, 1)
    text.append(f"{'load':>{_AXIS - 2}} │", style="dim")
    for step in columns:
        text.append(_BARS[plan.steps[step].load * (len(_BARS) - 1) // peak])
    marks = "".join("▲" if step in plan.peak_steps else " " for step in columns).rstrip()
    peaks = ", ".join(map(str, plan.peak_steps[:4])) + (", …" if len(plan.peak_steps) > 4 else "")
    text.append(f"\n{'peak':>{_AXIS - 2}} │{marks}\n", style="dim")
    operators = " + ".join(plan.steps[plan.peak_steps[0]].ops)
    text.append(f"peak {format_short(plan.peak_bytes)} at step {peaks} ({operators}):\n")


def _append_legend(text: Text, plan: PlanPicture, letters: Letters, width: int) -> None:
    for each in sorted(plan.alive_at(plan.peak_steps[0]), key=lambda each: -each.size):
        span = f"steps {each.first}-{each.last}"
        name = shorten(each.tensor, max(width - 42, 12))
        text.append(f"  {letters.get(each, _UNNAMED)} ", style="bold")
        text.append(
            f"{format_short(each.size):>10}  {span:<16}{each.op or 'input':<10.10} {name}\n"
        )
