"""Draws what the units of the accelerator do and when; `make_images.py` writes the picture."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
import onnx
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

import condense_compiler as cc
from condense_compiler.targets.accelerator.isa.records import Queue
from condense_compiler.targets.accelerator.lowered import AcceleratorProgram
from condense_compiler.targets.accelerator.simulator.program import decode_program
from condense_compiler.targets.accelerator.simulator.simulate import Run
from condense_compiler.verification import random_feeds

# What is compared, and the options of the target that it takes.
VARIANTS: Mapping[str, Mapping[str, str]] = {
    "feature maps on the chip": {},
    "all feature maps in DRAM (feature_maps=dram)": {"feature_maps": "dram"},
}
LANES = {Queue.LOAD: 2, Queue.COMPUTE: 1, Queue.STORE: 0}
ENDS, ENDS_COLOUR = "network", "#a6a6a6"  # transfers of the network's inputs and outputs
WAITS = {"weights": "////", "feature maps read": "...."}  # what compute waits for in these runs
LABELLED_CYCLES = 120_000  # what an operator takes at least whose name has room
HEIGHT = 0.72  # of a lane's bars

Spans = list[tuple[int, int]]


def draw_runs(model: onnx.ModelProto, path: Path) -> None:
    """Compile and simulate a network in every variant, and draw the runs below each other."""
    with mpl.rc_context({"font.size": 8, "axes.linewidth": 0.6, "hatch.linewidth": 0.5}):
        figure = Figure(figsize=(10, 4.4), layout="constrained")
        grid = figure.subplots(len(VARIANTS), 1, sharex=True)
        for axes, (title, options) in zip(grid, VARIANTS.items(), strict=True):
            compilation = cc.compile(
                model, "accelerator", target_options=options, verify_outputs=False
            )
            program = compilation.lowered
            assert isinstance(program, AcceleratorProgram)
            run = program.simulate(random_feeds(compilation.program.network))
            colours = _draw(axes, program, run)
            axes.set_title(f"{title}: {_summary(run)}", fontsize=9, loc="left")
        grid[-1].set_xlabel("cycles")
        grid[-1].xaxis.set_major_formatter(lambda value, _: f"{int(value):,}")
        figure.suptitle(
            f"{model.graph.name} on the machine default", fontsize=10, fontweight="bold"
        )
        entries = [Patch(facecolor=colour, label=name) for name, colour in colours.items()]
        entries += [
            Patch(facecolor="white", edgecolor="0.4", hatch=hatch, label=f"waits for {cause}")
            for cause, hatch in WAITS.items()
        ]
        figure.legend(handles=entries, loc="outside lower center", ncols=7, frameon=False)
        figure.savefig(path, dpi=200)


def _summary(run: Run) -> str:
    counts = run.counts
    return (
        f"{counts.cycles:,} cycles, {counts.traffic_bytes:,} bytes to and from DRAM, "
        f"units busy {counts.mac_utilisation:.0%}"
    )


def _draw(axes: Axes, program: AcceleratorProgram, run: Run) -> Mapping[str, str]:
    """Draw one run; return the colour of each operator."""
    spans = _spans(program, run)
    colours = _colours(name for _, name in spans)
    for (queue, name), parts in spans.items():
        bottom = LANES[queue] - HEIGHT / 2
        axes.broken_barh(parts, (bottom, HEIGHT), facecolor=colours[name], linewidth=0)
    for cause, parts in _waits(run).items():
        axes.broken_barh(
            parts,
            (LANES[Queue.COMPUTE] - HEIGHT / 2, HEIGHT),
            facecolor="white",
            edgecolor="0.4",
            linewidth=0.3,
            hatch=WAITS[cause],
        )
    for name in colours:
        _label(axes, name, spans.get((Queue.COMPUTE, name), []))
    axes.set_yticks(list(LANES.values()), [queue.name.lower() for queue in LANES])
    axes.set_ylim(-0.5, max(LANES.values()) + 0.5)
    axes.tick_params(axis="y", length=0)
    axes.margins(x=0.005)
    axes.spines[["top", "right"]].set_visible(False)
    return colours


def _spans(program: AcceleratorProgram, run: Run) -> Mapping[tuple[Queue, str], Spans]:
    """Return when each unit is busy, as first cycle and length, by unit and operator."""
    code = program.code
    issues = zip(decode_program(code.binary), code.names, strict=True)
    names = {(issue.queue, issue.number): name for issue, name in issues}
    spans: dict[tuple[Queue, str], Spans] = defaultdict(list)
    for entry in sorted(run.timed, key=lambda entry: entry.issue.queue is not Queue.COMPUTE):
        queue, number = entry.issue.queue, entry.issue.number
        name = names[queue, number].removeprefix("cross_channel_pooling/").partition("/")[0]
        spans[queue, name].append((entry.first_cycle, entry.busy_cycles))
    return spans


def _waits(run: Run) -> Mapping[str, Spans]:
    """Return when the compute unit waits, as first cycle and length, by what it waits for."""
    waits: dict[str, Spans] = defaultdict(list)
    for entry in run.timed:
        if entry.waited_cycles:
            first = entry.first_cycle - entry.waited_cycles
            waits[entry.waited_for].append((first, entry.waited_cycles))
    return waits


def _colours(names: Iterable[str]) -> dict[str, str]:
    """Return a colour for each operator, dark to light in the order in which they run."""
    ordered = [name for name in dict.fromkeys(names) if name != ENDS]
    shades = mpl.colormaps["viridis"](np.linspace(0.05, 1.0, len(ordered)))
    colours = {name: mpl.colors.to_hex(shade) for name, shade in zip(ordered, shades, strict=True)}
    return colours | {ENDS: ENDS_COLOUR}


def _label(axes: Axes, name: str, parts: Sequence[tuple[int, int]]) -> None:
    """Write an operator's name above its computation if there is room."""
    if not parts:
        return
    first, last = parts[0][0], parts[-1][0] + parts[-1][1]
    if last - first < LABELLED_CYCLES:
        return
    place = (first + last) / 2, LANES[Queue.COMPUTE] + HEIGHT / 2 + 0.02
    axes.text(*place, name, ha="center", va="bottom", fontsize=6)
