"""The plots of the HTML page: plan, network strip and load curve of each side, linked."""

from collections.abc import Mapping, Sequence
from typing import Any

from bokeh.models import (
    BoxZoomTool,
    ColumnDataSource,
    CustomJS,
    CustomJSTickFormatter,
    HoverTool,
    PanTool,
    Range1d,
    ResetTool,
    SaveTool,
    Span,
    TapTool,
    WheelZoomTool,
)
from bokeh.models.tickers import AdaptiveTicker, BasicTicker
from bokeh.plotting import figure

from condense_compiler.report.palette import PAINTS
from condense_compiler.report.picture import GoneMap, Picture, PlanPicture

_MANY = 2000  # rectangles from which on the graphics card draws them
_AXIS_WIDTH = 74
_GREY = "#888888"

Columns = Mapping[str, Sequence[Any]]


def plot_picture(picture: Picture) -> dict[str, figure]:
    """Return the plots by name: `before-plan`, `before-strip`, `before-load`, `after-plan`, ..."""
    heights = Range1d(0, picture.top_bytes * 1.03, bounds=(0, picture.top_bytes * 1.03))
    most = max(plan.peak_bytes for plan in picture.sides.values())
    loads = Range1d(0, max(most, 1) * 1.1)
    plots: dict[str, figure] = {}
    for side, plan in picture.sides.items():
        steps = Range1d(0, max(len(plan.steps), 1), bounds=(0, max(len(plan.steps), 1)))
        ghosts = picture.gone if side == "after" else ()
        plots[f"{side}-plan"] = _plan_plot(side, plan, ghosts, steps, heights)
        plots[f"{side}-strip"] = _strip_plot(side, plan, steps)
        plots[f"{side}-load"] = _load_plot(side, plan, steps, loads)
    return plots


def _plan_plot(
    side: str, plan: PlanPicture, ghosts: Sequence[GoneMap], steps: Range1d, heights: Range1d
) -> figure:
    plot = _figure(f"{side}-plan", steps, heights, many=len(plan.maps) > _MANY)
    _mark_peak(plot, plan, heights.end)
    drawn = [ghost for ghost in ghosts if ghost.drawn_from is not None]
    shadows = plot.quad(
        source=ColumnDataSource(_ghost_columns(drawn)),
        name=f"{side}-ghosts",
        fill_color=_GREY,
        fill_alpha=0.07,
        line_color=_GREY,
        line_dash=[4, 3],
    )
    maps = plot.quad(
        source=ColumnDataSource(_map_columns(plan)),
        name=f"{side}-maps",
        fill_color="colour",
        line_color="edge",
        line_width=0.7,
        hatch_pattern="hatch",
        hatch_color="black",
        hatch_alpha=0.3,
        hatch_scale=7,
        nonselection_fill_alpha=0.16,
        nonselection_line_alpha=0.2,
        nonselection_hatch_alpha=0.05,
    )
    _outline(plot, side, "producers", line_dash=[6, 3])
    _outline(plot, side, "consumers", line_dash=[2, 3])
    _outline(plot, side, "selected")
    plot.text(
        source=ColumnDataSource({"x": [], "y": [], "text": [], "ink": []}),
        name=f"{side}-labels",
        text_color="ink",
        text_font_size="11px",
        text_baseline="middle",
        x_offset=4,
    )
    _mark_level(plot, plan.arena_bytes, f"{side}-arena")
    plot.add_tools(_hover([maps], side, "map"), _hover([shadows], side, "ghost"))
    plot.add_tools(_tap([maps], side))
    plot.yaxis.axis_label = "offset in the arena"
    return plot


def _strip_plot(side: str, plan: PlanPicture, steps: Range1d) -> figure:
    plot = _figure(f"{side}-strip", steps, Range1d(0, 1), many=False)
    cells = plot.quad(
        source=ColumnDataSource(_step_columns(plan, [1] * len(plan.steps))),
        name=f"{side}-operators",
        fill_color="colour",
        line_color="edge",
        line_width=0.5,
        nonselection_fill_alpha=0.3,
        nonselection_line_alpha=0.3,
    )
    plot.text(
        source=ColumnDataSource({"x": [], "y": [], "text": [], "ink": []}),
        name=f"{side}-operator-labels",
        text_color="ink",
        text_font_size="10px",
        text_baseline="middle",
        text_align="center",
    )
    plot.add_tools(_hover([cells], side, "step"), _tap([cells], side))
    plot.yaxis.visible = False
    return plot


def _load_plot(side: str, plan: PlanPicture, steps: Range1d, loads: Range1d) -> figure:
    plot = _figure(f"{side}-load", steps, loads, many=False)
    _mark_peak(plot, plan, loads.end)
    values = [step.load for step in plan.steps]
    edges = {"x": list(range(len(values) + 1)), "load": [*values, *values[-1:]]}
    source = ColumnDataSource(edges if values else {"x": [], "load": []})
    plot.varea_step("x", 0, "load", source=source, step_mode="after", color=_GREY, alpha=0.35)
    plot.step("x", "load", source=source, mode="after", color=_GREY, line_width=1.5)
    cells = plot.quad(
        source=ColumnDataSource(_step_columns(plan, [loads.end] * len(values))),
        name=f"{side}-steps",
        fill_alpha=0,
        line_alpha=0,
        nonselection_fill_alpha=0,
        nonselection_line_alpha=0,
        selection_fill_color=_GREY,
        selection_fill_alpha=0.35,
    )
    _mark_level(plot, plan.lower_bound_bytes, f"{side}-bound", line_dash=[6, 4])
    plot.add_tools(_hover([cells], side, "step"), _tap([cells], side))
    plot.yaxis.axis_label = "load"
    plot.xaxis.axis_label = "step"
    plot.xaxis.visible = True
    return plot


def _figure(name: str, x_range: Range1d, y_range: Range1d, *, many: bool) -> figure:
    wheel = WheelZoomTool(zoom_together="none", maintain_focus=False)
    plot = figure(
        name=name,
        x_range=x_range,
        y_range=y_range,
        sizing_mode="stretch_both",
        tools=[PanTool(), wheel, BoxZoomTool(), SaveTool(filename=name), ResetTool()],
        active_scroll=wheel,
        toolbar_location="above" if name.endswith("plan") else None,
        output_backend="webgl" if many else "canvas",
        min_border_left=_AXIS_WIDTH,
        min_border_right=12,
        min_border_top=4,
        min_border_bottom=4,
        background_fill_color=None,
        border_fill_color=None,
        outline_line_color=_GREY,
        lod_threshold=None,
    )
    plot.toolbar.logo = None
    plot.grid.grid_line_alpha = 0.25
    plot.xaxis.visible = False
    plot.yaxis.ticker = AdaptiveTicker(
        base=1024, mantissas=[2**power for power in range(10)], desired_num_ticks=5
    )
    plot.xaxis.ticker = BasicTicker(min_interval=1)
    plot.axis.axis_label_text_font_style = "normal"
    plot.yaxis.formatter = CustomJSTickFormatter(code="return condense.bytes(tick)")
    return plot


def _map_columns(plan: PlanPicture) -> Columns:
    return {
        "left": [each.drawn_from for each in plan.maps],
        "right": [each.drawn_to for each in plan.maps],
        "bottom": [each.offset for each in plan.maps],
        "top": [each.offset + each.size for each in plan.maps],
        "colour": [PAINTS[each.kind].fill for each in plan.maps],
        "edge": [PAINTS[each.kind].edge for each in plan.maps],
        "hatch": ["dot" if each.part_of else " " for each in plan.maps],
    }


def _ghost_columns(ghosts: Sequence[GoneMap]) -> Columns:
    return {
        "left": [ghost.drawn_from for ghost in ghosts],
        "right": [ghost.drawn_to for ghost in ghosts],
        "bottom": [ghost.offset for ghost in ghosts],
        "top": [ghost.offset + ghost.size for ghost in ghosts],
        "tensor": [ghost.tensor for ghost in ghosts],
    }


def _step_columns(plan: PlanPicture, tops: Sequence[float]) -> Columns:
    count = len(plan.steps)
    return {
        "left": list(range(count)),
        "right": list(range(1, count + 1)),
        "bottom": [0] * count,
        "top": tops,
        "colour": [PAINTS[step.kind].fill for step in plan.steps],
        "edge": [PAINTS[step.kind].edge for step in plan.steps],
    }


def _outline(plot: figure, side: str, role: str, **style: Any) -> None:
    """Add the frame of the maps that stand in some relation to the selected one."""
    empty: Columns = {"left": [], "right": [], "bottom": [], "top": []}
    plot.quad(
        source=ColumnDataSource(empty),
        name=f"{side}-{role}",
        fill_color=None,
        line_color="black",
        line_width=3,
        level="overlay",
        **style,
    )


def _mark_peak(plot: figure, plan: PlanPicture, top: float) -> None:
    peaks = list(plan.peak_steps)
    columns = {
        "left": peaks,
        "right": [step + 1 for step in peaks],
        "bottom": [0] * len(peaks),
        "top": [top] * len(peaks),
    }
    plot.quad(
        source=ColumnDataSource(columns),
        fill_color=_GREY,
        fill_alpha=0.25,
        line_color=None,
        level="underlay",
    )


def _mark_level(plot: figure, level: int, name: str, **style: Any) -> None:
    line = Span(location=level, dimension="width", line_color=_GREY, name=name, **style)
    line.line_width = 1.5
    plot.add_layout(line)


def _hover(renderers: Sequence[Any], side: str, what: str) -> HoverTool:
    code = f"condense.hover({side!r}, {what!r}, cb_data.index.indices, cb_data.geometry)"
    return HoverTool(
        renderers=list(renderers), tooltips=None, visible=False, callback=CustomJS(code=code)
    )


def _tap(renderers: Sequence[Any], side: str) -> TapTool:
    code = CustomJS(code=f"condense.tap({side!r}, cb_obj, cb_data)")
    return TapTool(renderers=list(renderers), visible=False, callback=code)
