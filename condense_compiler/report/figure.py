"""The picture of a plan as SVG, PNG or PDF, for papers."""

import io
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from condense_compiler.errors import InputError
from condense_compiler.files import write_file
from condense_compiler.report.page import EXTRA
from condense_compiler.report.palette import PAINTS
from condense_compiler.report.picture import FeatureMap, GoneMap, Picture, PlanPicture
from condense_compiler.report.words import format_short, proof

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SUFFIXES = (".svg", ".png", ".pdf")
_STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "condense",  # the same plan gives the same file
    "pdf.fonttype": 42,
}
_METADATA: Mapping[str, dict[str, Any]] = {
    ".svg": {"Date": None},
    ".pdf": {"CreationDate": None},
    ".png": {},
}
_GREY = "0.45"


def write_figure(picture: Picture, path: Path, kept: Collection[Path] = ()) -> None:
    """Write the picture in the format that the name of the file ends with.

    Args:
        picture: The picture.
        path: The file.
        kept: What must not be written over.

    Raises:
        InputError: The plotting library is not installed, or the file cannot be written.
    """
    try:
        import matplotlib as mpl  # noqa: PLC0415 - an optional dependency

        mpl.use("agg")
    except ImportError as error:
        raise InputError(f"a picture as {path.suffix} needs Matplotlib: {EXTRA}") from error
    with mpl.rc_context(_STYLE):
        content, suffix = io.BytesIO(), path.suffix.lower()
        _draw(picture).savefig(
            content, dpi=200, format=suffix.removeprefix("."), metadata=_METADATA[suffix]
        )
    write_file(path, content.getvalue(), kept)


def _draw(picture: Picture) -> "Figure":
    from matplotlib.figure import Figure  # noqa: PLC0415 - an optional dependency
    from matplotlib.ticker import MultipleLocator  # noqa: PLC0415

    figure = Figure(figsize=(10, 4.6), layout="constrained")
    grid = figure.subplots(2, 2, height_ratios=(3.2, 1), sharex="col", sharey="row")
    titles = {"before": "before: as given", "after": "after: compiled"}
    for (plan_axes, load_axes), (side, plan) in zip(grid.T, picture.sides.items(), strict=True):
        _draw_plan(plan_axes, plan, picture.gone if side == "after" else ())
        title = f"{titles[side]}, {format_short(plan.arena_bytes)}, {proof(plan)}"
        plan_axes.set_title(title, fontsize=9)
        _draw_load(load_axes, plan)
    grid[0][0].set(ylabel="offset in the arena", ylim=(0, picture.top_bytes * 1.03))
    grid[1][0].set(ylabel="load")
    peak = max(plan.peak_bytes for plan in picture.sides.values())
    for axes, top in ((grid[0][0], picture.top_bytes), (grid[1][0], 2 * peak)):
        axes.yaxis.set_major_locator(MultipleLocator(_tick_distance(top)))
        axes.yaxis.set_major_formatter(lambda value, _: format_short(int(value)))
    figure.suptitle(_drawable(picture.model), fontsize=10, fontweight="bold")
    _add_legend(figure, picture)
    return figure


def _draw_plan(axes: "Axes", plan: PlanPicture, ghosts: tuple[GoneMap, ...]) -> None:
    from matplotlib.collections import PatchCollection  # noqa: PLC0415 - an optional dependency
    from matplotlib.patches import Rectangle  # noqa: PLC0415

    _mark_peak(axes, plan)
    shadows = [
        Rectangle((ghost.drawn_from, ghost.offset), ghost.drawn_to - ghost.drawn_from, ghost.size)
        for ghost in ghosts
        if ghost.drawn_from is not None and ghost.drawn_to is not None
    ]
    dashed = PatchCollection(shadows, facecolor="0.96", edgecolor="0.6", linestyle="--")
    dashed.set_linewidth(0.5)
    axes.add_collection(dashed)
    boxes = [
        Rectangle((each.drawn_from, each.offset), each.drawn_to - each.drawn_from, each.size)
        for each in plan.maps
    ]
    filled = PatchCollection(
        boxes,
        facecolor=[PAINTS[each.kind].fill for each in plan.maps],
        edgecolor=[PAINTS[each.kind].edge for each in plan.maps],
        linewidth=0.3,
    )
    axes.add_collection(filled)
    axes.axhline(plan.arena_bytes, color="black", linewidth=0.8)
    axes.set_xlim(0, max(len(plan.steps), 1))
    for each in plan.maps:
        _label(axes, each, plan)


def _label(axes: "Axes", each: FeatureMap, plan: PlanPicture) -> None:
    """Write the name of a map on its rectangle if there is room."""
    room = int((each.drawn_to - each.drawn_from) / max(len(plan.steps), 1) * 75)
    name = each.tensor.rpartition("/")[2]
    if len(name) > room or each.size < axes.get_ylim()[1] * 0.035:
        return
    middle = (each.drawn_from + each.drawn_to) / 2, each.offset + each.size / 2
    ink = PAINTS[each.kind].ink
    axes.text(
        *middle, _drawable(name), ha="center", va="center", fontsize=5.5, color=ink, clip_on=True
    )


def _drawable(name: str) -> str:
    """Return a name without what is no text, such as in names of files, nor formulas."""
    return name.encode("utf-8", "backslashreplace").decode().replace("$", r"\$")


def _draw_load(axes: "Axes", plan: PlanPicture) -> None:
    _mark_peak(axes, plan)
    loads = [step.load for step in plan.steps]
    axes.stairs(loads, fill=True, color="0.8")
    axes.stairs(loads, color=_GREY, linewidth=0.7)
    axes.axhline(plan.lower_bound_bytes, color="black", linewidth=0.8, linestyle="--")
    axes.set_xlabel("step")


def _mark_peak(axes: "Axes", plan: PlanPicture) -> None:
    for step in plan.peak_steps:
        axes.axvspan(step, step + 1, color="0.88", linewidth=0, zorder=0)


def _tick_distance(top: int) -> int:
    """Return a power of two that divides a height into four to eight parts."""
    return 1 << max((top // 4).bit_length() - 1, 0)


def _add_legend(figure: "Figure", picture: Picture) -> None:
    from matplotlib.lines import Line2D  # noqa: PLC0415 - an optional dependency
    from matplotlib.patches import Patch  # noqa: PLC0415

    kinds = {each.kind for plan in picture.sides.values() for each in plan.maps}
    entries: list[Patch | Line2D] = [
        Patch(facecolor=paint.fill, edgecolor=paint.edge, linewidth=0.4, label=paint.text)
        for kind, paint in PAINTS.items()
        if kind in kinds
    ]
    if any(ghost.drawn_from is not None for ghost in picture.gone):
        style: dict[str, Any] = {
            "facecolor": "0.96",
            "edgecolor": "0.6",
            "linestyle": "--",
            "linewidth": 0.6,
        }
        entries.append(Patch(label="gone: stored before only", **style))
    entries.append(Patch(facecolor="0.88", label="peak"))
    entries.append(Line2D([], [], color="black", linewidth=0.8, label="arena"))
    entries.append(
        Line2D([], [], color="black", linewidth=0.8, linestyle="--", label="lower bound")
    )
    figure.legend(handles=entries, loc="outside lower center", ncols=6, frameon=False, fontsize=7)
