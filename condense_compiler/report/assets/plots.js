"use strict";
// What the plots do beyond drawing: pointer, zoom, theme.

(() => {
  const { model } = condense;

  /** Return the numbers of what lies under a point, the topmost last. */
  const under = (things, x, y) => things.flatMap((each, number) => {
    const left = each.drawn_from ?? each.first + (each.overwrites ? 0.5 : 0);
    const right = each.drawn_to ?? each.last + (each.overwritten_by ? 0.5 : 1);
    return left <= x && x < right && each.offset <= y && y < each.offset + each.size ? [number] : [];
  });

  /** Return what is under a point of a plot: a map, a ghost, a step, or nothing. */
  const find = (side, part, x, y) => {
    const plan = condense.plan(side);
    if (part !== "plan") {
      const step = Math.floor(x);
      return plan.steps[step] ? { what: "step", number: step } : null;
    }
    const [map] = under(plan.maps, x, y).slice(-1);
    if (map !== undefined) return { what: "map", number: map };
    const [ghost] = side === "after" ? under(condense.ghosts, x, y).slice(-1) : [];
    return ghost === undefined ? null : { what: "ghost", number: ghost };
  };

  condense.hover = (side, part, x, y) => {
    const found = find(side, part, x, y);
    if (found) condense.showTip(side, found.what, found.number);
    else condense.leave();
  };

  condense.tap = (side, part, x, y) => {
    const { what, number } = find(side, part, x, y) ?? {};
    condense.select({ side, map: what === "map" ? number : null, step: what === "step" ? number : null });
  };

  const setSteps = (side, from, width) => {
    const end = Math.max(condense.plan(side).steps.length, 1);
    const start = Math.min(Math.max(from, 0), Math.max(end - width, 0));
    model(`${side}-plan`).x_range.setv({ start, end: Math.min(start + width, end) });
  };

  /** Show a number of steps from one on, all of the arena; without them everything. */
  condense.fit = (side, from = 0, width = Infinity) => {
    setSteps(side, from, Math.min(width, Math.max(condense.plan(side).steps.length, 1)));
    const { y_range: heights } = model(`${side}-plan`);
    heights.setv({ start: 0, end: heights.bounds[1] });
  };

  /** Show more or fewer steps around what is selected, or around the middle. */
  condense.zoom = (side, factor) => {
    const { start, end } = model(`${side}-plan`).x_range;
    const { map, step } = condense.state;
    const middle = step ?? (map === null ? (start + end) / 2 : condense.plan(side).maps[map].first);
    const width = Math.max((end - start) * factor, 1);
    setSteps(side, middle + 0.5 - width / 2, width);
  };

  /** Move the steps shown so that one of them is in sight. */
  condense.reveal = (side, step) => {
    const { start, end } = model(`${side}-plan`).x_range;
    if (step < start || end < step + 1) setSteps(side, step + 0.5 - (end - start) / 2, end - start);
  };

  /** Give lines and words of the plots the colours of the page. */
  condense.paintPlots = () => {
    const style = getComputedStyle(document.documentElement);
    const [ink, soft, line] = ["--ink", "--soft", "--line"].map((name) => style.getPropertyValue(name).trim());
    condense.soft = soft;
    for (const side of condense.sides) {
      for (const part of ["plan", "strip", "load"]) {
        for (const axis of [...model(`${side}-${part}`).below, ...model(`${side}-${part}`).left]) {
          axis.setv({ major_label_text_color: soft, axis_label_text_color: soft, axis_line_color: soft,
            major_tick_line_color: soft, minor_tick_line_color: null });
        }
        for (const grid of model(`${side}-${part}`).center) grid.grid_line_color = line;
      }
      for (const name of ["selected", "producers", "consumers"]) model(`${side}-${name}`).glyph.line_color = ink;
      for (const name of ["arena", "bound"]) model(`${side}-${name}`).line_color = ink;
      condense.drawSoon(side);
    }
  };

  /** Link the plots with the page, once they are there. */
  condense.linkPlots = () => {
    condense.watch(() => condense.sides.forEach(condense.drawSoon));
    for (const side of condense.sides) {
      const { x_range, y_range } = model(`${side}-plan`);
      for (const range of [x_range, y_range]) range.change.connect(() => condense.drawSoon(side));
      new ResizeObserver(() => condense.drawSoon(side)).observe(document.querySelector(`.${side} .plan`));
    }
  };

  /** Tell whether the library has put all plots into the page. */
  condense.arePlotted = () => {
    if (!window.Bokeh || !Bokeh.documents.length) return false;
    const names = condense.sides.flatMap((side) => [`${side}-plan`, `${side}-strip`, `${side}-load`]);
    return names.every((name) => model(name) && Bokeh.index.find_one(model(name))?.has_finished());
  };
})();
