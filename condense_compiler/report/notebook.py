"""How reports, plans and compilations show themselves in a notebook: HTML without scripts."""

import html
from collections.abc import Iterable, Sequence

from condense_compiler.memory.buffers import Plan
from condense_compiler.report.palette import PAINTS
from condense_compiler.report.picture import Picture, PlanPicture
from condense_compiler.report.report import Report
from condense_compiler.report.report_text import headline
from condense_compiler.report.words import change, format_bytes, format_short

_SHOWN = 12  # rows of a table
_WIDTH, _HEIGHT, _GAP = 460, 220, 20  # of a drawing, in pixels

Row = Sequence[str]


def report_html(report: Report) -> str:
    """Return a report as HTML."""
    rows = [
        ("arena", *_pair(report.before.arena_bytes, report.after.arena_bytes)),
        ("lower bound", *_pair(report.before.lower_bound_bytes, report.after.lower_bound_bytes)),
        ("all feature maps", *_pair(report.before.sum_bytes, report.after.sum_bytes)),
        ("traffic", *_pair(report.traffic_before, report.traffic_after)),
    ]
    layers = [(layer.node, f"fused: {layer.pattern}") for layer in report.fused[:_SHOWN]]
    layers += [(layer.node, f"refused: {layer.reason}") for layer in report.refused[:_SHOWN]]
    table = _table(("", "before", "after", "change"), rows)
    done = _table(("node", "what was done"), layers) if layers else ""
    return f"<p><b>{html.escape(headline(report))}</b></p>{table}{done}"


def plan_html(plan: Plan) -> str:
    """Return a plan as HTML: its size, and what lies lowest in the arena."""
    lowest = sorted(plan.offsets.items(), key=lambda item: (item[1], item[0]))
    rows = [(name, f"{offset:,}") for name, offset in lowest[:_SHOWN]]
    proof = "proved minimal" if plan.optimal else f"stopped: {plan.ending.value}"
    more = f"<p>and {len(lowest) - _SHOWN} more</p>" if len(lowest) > _SHOWN else ""
    return (
        f"<p><b>arena {format_bytes(plan.arena_bytes)}</b>, "
        f"lower bound {format_bytes(plan.lower_bound_bytes)}, {proof}</p>"
        f"{_table(('buffer', 'offset'), rows)}{more}"
    )


def picture_html(picture: Picture) -> str:
    """Return the plans before and after as one drawing; every rectangle tells its name."""
    top = max(picture.before.arena_bytes, picture.after.arena_bytes, 1)
    drawings = "".join(
        f'<g transform="translate({number * (_WIDTH + _GAP)} 0)">{_drawing(side, plan, top)}</g>'
        for number, (side, plan) in enumerate(picture.sides.items())
    )
    width, height = 2 * _WIDTH + _GAP, _HEIGHT + _GAP
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        f'style="max-width:{width}px;font:12px sans-serif" '
        f'aria-label="memory plans of {html.escape(picture.model, quote=True)}">{drawings}</svg>'
    )


def _drawing(side: str, plan: PlanPicture, top: int) -> str:
    wide, high = _WIDTH / max(len(plan.steps), 1), _HEIGHT / top
    boxes = "".join(
        f'<rect x="{each.drawn_from * wide:.1f}" '
        f'y="{_GAP + _HEIGHT - (each.offset + each.size) * high:.1f}" '
        f'width="{(each.drawn_to - each.drawn_from) * wide:.1f}" height="{each.size * high:.1f}" '
        f'fill="{PAINTS[each.kind].fill}" stroke="{PAINTS[each.kind].edge}" stroke-width="0.4">'
        f"<title>{html.escape(each.tensor)}: {format_bytes(each.size)}, "
        f"steps {each.first} to {each.last}</title></rect>"
        for each in plan.maps
    )
    caption = f"{side}: {format_short(plan.arena_bytes)}"
    frame = f'<path d="M0 {_GAP}V{_GAP + _HEIGHT}H{_WIDTH}" fill="none" stroke="gray"/>'
    return f'<text x="0" y="13" fill="currentColor">{caption}</text>{boxes}{frame}'


def _pair(before: int, after: int) -> tuple[str, str, str]:
    return format_bytes(before), format_bytes(after), change(before, after)


def _table(header: Row, rows: Iterable[Row]) -> str:
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in header)
    lines = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>"
