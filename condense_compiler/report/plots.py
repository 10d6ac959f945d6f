"""The plots of the HTML page: plan, network strip and load curve of each side, linked.

Scales, axes, zoom and what never changes are set up here. The rectangles are left to the page's
own scripts (`assets/drawing.js`): they hold the picture anyway, and draw as many as can be seen.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from bokeh.events import MouseLeave, MouseMove, Tap
from bokeh.model import Model
from bokeh.models import (
    BoxZoomTool,
    ColumnDataSource,
    CustomJS,
    CustomJSTickFormatter,
    PanTool,
    Range1d,
    ResetTool,
    SaveTool,
    WheelZoomTool,
)
from bokeh.models.annotations import Span
from bokeh.models.tickers import AdaptiveTicker, BasicTicker
from bokeh.plotting import figure

from condense_compiler.report.picture import Picture, PlanPicture

_AXIS_WIDTH = 74
_GREY = "#888888"
_EDGES = ("left", "right", "bottom", "top")
_LABEL = ("x", "y", "text", "ink")

Columns = Mapping[str, Sequence[Any]]


def plot_picture(picture: Picture) -> dict[str, Model]:
    """Return the plots by name: `before-plan`, `before-strip`, `before-load`, `after-plan`, ..."""
    top = picture.top_bytes * 1.03
    most = max(plan.peak_bytes for plan in picture.sides.values())
    heights = Range1d(start=0, end=top, bounds=(0, top))
    loads = Range1d(start=0, end=max(most, 1) * 1.1)
    plots: dict[str, Model] = {}
    for side, plan in picture.sides.items():
        count = max(len(plan.steps), 1)
        steps = Range1d(start=0, end=count, bounds=(0, count))
        plots[f"{side}-plan"] = _plan_plot(side, plan, steps, heights)
        plots[f"{side}-strip"] = _strip_plot(side, steps)
        plots[f"{side}-load"] = _load_plot(side, plan, steps, loads)
    return plots


def _plan_plot(side: str, plan: PlanPicture, steps: Range1d, heights: Range1d) -> figure:
    plot = _figure(side, "plan", steps, heights)
    _mark_peak(plot, plan)
    _quads(
        plot,
        f"{side}-ghosts",
        fill_color=_GREY,
        fill_alpha=0.07,
        line_color=_GREY,
        line_dash="4 3",
    )
    _painted_quads(plot, f"{side}-maps", line_width=0.7)
    _quads(
        plot,
        f"{side}-parts",
        fill_color=None,
        line_color=None,
        hatch_pattern="dot",
        hatch_alpha=0.28,
        hatch_scale=7,
    )
    for role, dash in (("producers", "6 3"), ("consumers", "2 3"), ("selected", "solid")):
        style = {"fill_color": None, "line_width": 3, "line_dash": dash, "level": "overlay"}
        _quads(plot, f"{side}-{role}", **style)
    _labels(plot, f"{side}-labels", x_offset=4)
    _mark_level(plot, plan.arena_bytes, f"{side}-arena")
    plot.yaxis.axis_label = "offset in the arena"
    return plot


def _strip_plot(side: str, steps: Range1d) -> figure:
    plot = _figure(side, "strip", steps, Range1d(start=0, end=1))
    _painted_quads(plot, f"{side}-operators", line_width=0.5)
    _labels(plot, f"{side}-operator-labels", text_align="center")
    plot.yaxis.visible = False
    return plot


def _load_plot(side: str, plan: PlanPicture, steps: Range1d, loads: Range1d) -> figure:
    plot = _figure(side, "load", steps, loads)
    _mark_peak(plot, plan)
    values = [step.load for step in plan.steps] or [0]
    edges = np.arange(len(values) + 1)
    curve: dict[str, Any] = {"x": edges, "load": np.array([*values, values[-1]], dtype=float)}
    source = ColumnDataSource(curve)
    plot.varea_step("x", 0, "load", source=source, step_mode="after", color=_GREY, alpha=0.35)
    plot.step("x", "load", source=source, mode="after", color=_GREY, line_width=1.5)
    _quads(plot, f"{side}-steps", fill_color=_GREY, fill_alpha=0.45, line_color=None)
    _mark_level(plot, plan.lower_bound_bytes, f"{side}-bound", line_dash=[6, 4])
    plot.yaxis.axis_label = "load"
    plot.xaxis.axis_label = "step"
    plot.xaxis.visible = True
    return plot


def _figure(side: str, part: str, x_range: Range1d, y_range: Range1d) -> figure:
    wheel = WheelZoomTool(zoom_together="none", maintain_focus=False)
    plot = figure(
        name=f"{side}-{part}",
        x_range=x_range,
        y_range=y_range,
        sizing_mode="stretch_both",
        tools=[PanTool(), wheel, BoxZoomTool(), SaveTool(filename=f"{side}-{part}"), ResetTool()],
        active_scroll=wheel,
        toolbar_location="above" if part == "plan" else None,
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
    plot.grid.grid_line_alpha = 0.6
    plot.xaxis.visible = False
    plot.xaxis.ticker = BasicTicker(min_interval=1)
    plot.axis.axis_label_text_font_style = "normal"
    plot.yaxis.ticker = AdaptiveTicker(
        base=1024, mantissas=[2**power for power in range(10)], desired_num_ticks=5
    )
    plot.yaxis.formatter = CustomJSTickFormatter(code="return condense.bytes(tick)")
    _report_pointer(plot, side, part)
    return plot


def _report_pointer(plot: figure, side: str, part: str) -> None:
    place = f"{side!r}, {part!r}, cb_obj.x, cb_obj.y"
    plot.js_on_event(MouseMove, CustomJS(code=f"condense.hover({place})"))
    plot.js_on_event(MouseLeave, CustomJS(code="condense.leave()"))
    plot.js_on_event(Tap, CustomJS(code=f"condense.tap({place})"))


def _quads(plot: figure, name: str, **style: Any) -> None:
    source = ColumnDataSource({edge: [] for edge in _EDGES})
    plot.quad(source=source, name=name, **style)


def _painted_quads(plot: figure, name: str, **style: Any) -> None:
    columns = (*_EDGES, "fill", "edge", "alpha")
    plot.quad(
        source=ColumnDataSource({column: [] for column in columns}),
        name=name,
        fill_color="fill",
        fill_alpha="alpha",
        line_color="edge",
        line_alpha="alpha",
        **style,
    )


def _labels(plot: figure, name: str, **style: Any) -> None:
    source = ColumnDataSource({column: [] for column in _LABEL})
    plot.text(
        source=source,
        name=name,
        text_color="ink",
        text_font_size="11px",
        text_baseline="middle",
        **style,
    )


def _mark_peak(plot: figure, plan: PlanPicture) -> None:
    peaks = list(plan.peak_steps)
    columns: Columns = {"left": peaks, "right": [step + 1 for step in peaks]}
    plot.vstrip(
        "left",
        "right",
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
