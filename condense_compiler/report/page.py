"""The picture of a plan as one HTML file that needs nothing but a browser."""

import html
import json
from importlib import resources
from string import Template
from typing import Any

from condense_compiler.errors import InputError
from condense_compiler.report.palette import PAINTS
from condense_compiler.report.picture import Picture

_SCRIPTS = ("format.js", "details.js", "table.js", "drawing.js", "plots.js", "main.js")
EXTRA = "pip install 'condense-compiler[view]'"


def render_page(picture: Picture) -> str:
    """Return the page; nothing in it is fetched from anywhere.

    Raises:
        InputError: The plotting library is not installed.
    """
    try:
        from bokeh.embed import components  # noqa: PLC0415 - an optional dependency
        from bokeh.resources import Resources  # noqa: PLC0415

        from condense_compiler.report.plots import plot_picture  # noqa: PLC0415
    except ImportError as error:
        raise InputError(f"an HTML picture needs Bokeh: {EXTRA}") from error
    script, divs = components(plot_picture(picture))
    library = Resources(mode="inline", components=["bokeh"])
    paints = {
        kind: {"fill": paint.fill, "edge": paint.edge, "ink": paint.ink}
        for kind, paint in PAINTS.items()
    }
    return Template(_asset("page.html")).substitute(
        title=html.escape(picture.model),
        style=_asset("page.css"),
        legend=_legend(),
        library=library.render_js(),
        picture=_script_json(picture.to_dict()),
        paints=_script_json(paints),
        code="\n".join(_asset(name) for name in _SCRIPTS),
        plots=script,
        **{name.replace("-", "_"): div for name, div in divs.items()},
    )


def _legend() -> str:
    entries = "".join(
        f'<li><i style="background:{paint.fill}"></i>{html.escape(paint.text)}</li>'
        for paint in PAINTS.values()
    )
    marks = (
        '<li><i class="part"></i>inside a concatenation</li>'
        '<li><i class="ghost"></i>gone: stored before only</li>'
        '<li><i class="peak"></i>peak</li>'
    )
    return entries + marks


def _script_json(content: Any) -> str:
    """Return JSON that a script element can hold, whatever the names in it are."""
    return json.dumps(content, separators=(",", ":")).replace("<", "\\u003c")


def _asset(name: str) -> str:
    folder = resources.files("condense_compiler.report") / "assets"
    return (folder / name).read_text(encoding="utf-8")
