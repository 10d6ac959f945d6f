"""The facts of the picture as lines of text: what the HTML page shows, without a browser."""

from collections.abc import Iterable

from condense_compiler.report.picture import FeatureMap, Picture, PlanPicture
from condense_compiler.report.words import format_bytes, proof

_HEADER = ("bytes", "offset", "first", "last", "kind", "operator", "shape", "type", "feature map")
_RIGHT = 4  # columns of numbers

Row = tuple[str, ...]


def render_text(picture: Picture) -> str:
    """Return every feature map of both plans, every step, and what is gone."""
    lines = [picture.model]
    for side, plan in picture.sides.items():
        lines += ["", *_plan_lines(side, plan)]
    if picture.gone:
        lines += ["", f"gone: {len(picture.gone)} feature maps"]
        rows = [
            (
                f"{g.size:,}",
                g.op,
                _shape(g.shape),
                g.dtype,
                g.tensor,
                _inside(g.operator, g.pass_name),
            )
            for g in picture.gone
        ]
        header = ("bytes", "operator", "shape", "type", "feature map", "computed inside")
        lines += align([header, *rows], right=1)
    return "\n".join(lines) + "\n"


def _plan_lines(side: str, plan: PlanPicture) -> list[str]:
    lines = [
        f"{side}: arena {format_bytes(plan.arena_bytes)}, "
        f"lower bound {format_bytes(plan.lower_bound_bytes)}, {proof(plan)}",
        f"peak: {format_bytes(plan.peak_bytes)} at step {', '.join(map(str, plan.peak_steps))}",
    ]
    lines += align([_HEADER, *(_map_row(each) for each in plan.maps)], right=_RIGHT)
    for each in plan.maps:
        lines += _notes(each)
    lines += align(
        [
            ("step", "load", "operators"),
            *(
                (str(number), f"{step.load:,}", _operators(step.ops, step.operators))
                for number, step in enumerate(plan.steps)
            ),
        ],
        right=2,
    )
    return lines


def _map_row(each: FeatureMap) -> Row:
    numbers = (f"{each.size:,}", f"{each.offset:,}", str(each.first), str(each.last))
    return (*numbers, each.kind, each.op, _shape(each.shape), each.dtype, each.tensor)


def _notes(each: FeatureMap) -> list[str]:
    facts = {
        "written by": each.operator,
        "needed by": ", ".join(each.readers) + (" output of the network" if each.kept else ""),
        "made by pass": each.pass_name,
        "storage": each.storage,
        "takes the place of": each.overwrites,
        "place taken by": each.overwritten_by,
        "produced inside": ", ".join(each.part_of),
        "also seen as": ", ".join(each.views),
    }
    known = "; ".join(f"{name} {fact}" for name, fact in facts.items() if fact)
    return [f"{each.tensor}: {known}"]


def _operators(ops: tuple[str, ...], names: tuple[str, ...]) -> str:
    return " + ".join(f"{op} {name}" for op, name in zip(ops, names, strict=True))


def _inside(operator: str, pass_name: str) -> str:
    return f"{operator} (pass {pass_name})" if pass_name else operator


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def align(rows: Iterable[Row], right: int = 0) -> list[str]:
    """Return rows as lines with aligned columns, the first `right` ones at their right edge."""
    known = list(rows)
    widths = [max(map(len, column)) for column in zip(*known, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if number < right else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in known
    ]
