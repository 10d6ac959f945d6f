"use strict";
// What the plots do beyond drawing: selection, labels, zoom, theme.

(() => {
  const model = (name) => Bokeh.documents[0].get_model_by_name(name);
  const source = (name) => model(name).data_source;
  const EMPTY = { left: [], right: [], bottom: [], top: [] };
  const LABELLED = 400; // more labels than this cannot be read anyway
  const CHARACTER = 6.3; // width of one in pixels

  const edges = (side, numbers) => {
    const { data } = source(`${side}-maps`);
    return Object.fromEntries(Object.keys(EMPTY).map((key) => [key, numbers.map((number) => data[key][number])]));
  };

  /** Draw what is selected: the maps in full colour, everything else pale. */
  const highlight = ({ side: selected, map, step }) => {
    for (const side of condense.sides) {
      const mine = side === selected;
      const family = mine && map !== null ? condense.relatives(side, map) : { producers: [], consumers: [] };
      const chosen = mine && map !== null ? [map] : [];
      const alive = mine && map === null && step !== null ? condense.alive(side, step) : [];
      source(`${side}-producers`).data = edges(side, family.producers);
      source(`${side}-consumers`).data = edges(side, family.consumers);
      source(`${side}-selected`).data = edges(side, chosen);
      source(`${side}-maps`).selected.indices = [...chosen, ...family.producers, ...family.consumers, ...alive];
      const steps = mine ? stepsOf(side, map, step) : [];
      source(`${side}-operators`).selected.indices = steps;
      source(`${side}-steps`).selected.indices = steps;
      labelSoon(side);
    }
  };

  /** Return the steps to mark: the one that writes a map and those that read it, or the step itself. */
  const stepsOf = (side, map, step) => {
    if (map === null) return step === null ? [] : [step];
    const { maps, steps } = condense.plan(side);
    const names = new Set([maps[map].operator, ...maps[map].readers]);
    return steps.flatMap(({ operators }, number) => (operators.some((name) => names.has(name)) ? [number] : []));
  };

  condense.tap = (side, tool, { source: tapped }) => {
    const [first] = tapped.selected.indices;
    const isMap = tapped === source(`${side}-maps`);
    if (first === undefined) condense.select({ map: null, step: null });
    else if (isMap) condense.select({ side, map: topmost(side, tapped.selected.indices), step: null });
    else condense.select({ side, map: null, step: first });
  };

  // Where a result takes over its input's place both are hit; the later one lies on top.
  const topmost = (side, numbers) => numbers.reduce((a, b) => (condense.plan(side).maps[b].first > condense.plan(side).maps[a].first ? b : a));

  const shorten = (name, room) => {
    const short = name.length <= room ? name : condense.last(name);
    return short.length <= room ? short : `${short.slice(0, Math.max(room - 1, 0))}…`;
  };

  /** Write names on the rectangles that have room for them. */
  const label = (side) => {
    const plot = model(`${side}-plan`);
    const { maps } = condense.plan(side);
    const { data } = source(`${side}-maps`);
    const area = document.querySelector(`.${side} .plan`).getBoundingClientRect();
    const { start: x0, end: x1 } = plot.x_range;
    const { start: y0, end: y1 } = plot.y_range;
    const perStep = Math.max(area.width - 90, 1) / (x1 - x0);
    const perByte = Math.max(area.height - 40, 1) / (y1 - y0);
    const columns = { x: [], y: [], text: [], ink: [] };
    const bright = new Set(source(`${side}-maps`).selected.indices);
    for (let i = 0; i < maps.length && columns.x.length < LABELLED; i += 1) {
      if (bright.size && !bright.has(i)) continue;
      const left = Math.max(data.left[i], x0);
      const bottom = Math.max(data.bottom[i], y0);
      const width = (Math.min(data.right[i], x1) - left) * perStep;
      const height = (Math.min(data.top[i], y1) - bottom) * perByte;
      if (width < 40 || height < 13) continue;
      columns.x.push(left);
      columns.y.push(bottom + height / perByte / 2);
      columns.text.push(shorten(maps[i].tensor, Math.floor((width - 8) / CHARACTER)));
      columns.ink.push(condense.paints[maps[i].kind].ink);
    }
    source(`${side}-labels`).data = columns;
    labelOperators(side, x0, x1, perStep);
  };

  const labelOperators = (side, x0, x1, perStep) => {
    const columns = { x: [], y: [], text: [], ink: [] };
    condense.plan(side).steps.forEach(({ ops, kind }, step) => {
      const text = ops.join(" + ");
      const seen = x0 - 1 < step && step < x1;
      if (!seen || perStep < 18) return;
      columns.x.push(step + 0.5);
      columns.y.push(0.5);
      columns.text.push(shorten(text, Math.floor((perStep - 4) / (CHARACTER - 0.6))));
      columns.ink.push(condense.paints[kind].ink);
    });
    source(`${side}-operator-labels`).data = columns;
  };

  const waiting = new Set();
  const labelSoon = (side) => {
    if (waiting.has(side)) return;
    waiting.add(side);
    requestAnimationFrame(() => {
      waiting.delete(side);
      label(side);
    });
  };

  /** Show a part of the steps, all of the arena; without steps everything. */
  condense.fit = (side, from = 0, to = condense.plan(side).steps.length) => {
    const plot = model(`${side}-plan`);
    plot.x_range.setv({ start: from, end: Math.max(to, from + 1) });
    const top = model("after-plan").y_range.bounds[1];
    plot.y_range.setv({ start: 0, end: top });
  };

  /** Show more or fewer steps around what is selected, or around the middle. */
  condense.zoom = (side, factor) => {
    const { x_range: range } = model(`${side}-plan`);
    const { map, step } = condense.state;
    const middle = step ?? (map === null ? (range.start + range.end) / 2 : condense.plan(side).maps[map].first);
    const half = ((range.end - range.start) / 2) * factor;
    const end = condense.plan(side).steps.length;
    const from = Math.min(Math.max(middle + 0.5 - half, 0), Math.max(end - 2 * half, 0));
    range.setv({ start: from, end: Math.min(from + 2 * half, end) });
  };

  /** Move the steps shown so that one of them is in sight. */
  condense.reveal = (side, step) => {
    const { x_range: range } = model(`${side}-plan`);
    if (range.start <= step && step + 1 <= range.end) return;
    const half = (range.end - range.start) / 2;
    const end = condense.plan(side).steps.length;
    const from = Math.min(Math.max(step + 0.5 - half, 0), Math.max(end - 2 * half, 0));
    range.setv({ start: from, end: from + 2 * half });
  };

  /** Give lines and words of the plots the colours of the page. */
  condense.paintPlots = () => {
    const style = getComputedStyle(document.documentElement);
    const [ink, soft] = ["--ink", "--soft"].map((name) => style.getPropertyValue(name).trim());
    for (const side of condense.sides) {
      for (const part of ["plan", "strip", "load"]) {
        for (const axis of [...model(`${side}-${part}`).below, ...model(`${side}-${part}`).left]) {
          axis.setv({ major_label_text_color: soft, axis_label_text_color: soft, axis_line_color: soft,
            major_tick_line_color: soft, minor_tick_line_color: null });
        }
      }
      for (const name of ["selected", "producers", "consumers"]) model(`${side}-${name}`).glyph.line_color = ink;
      for (const name of ["arena", "bound"]) model(`${side}-${name}`).line_color = ink;
    }
  };

  /** Link the plots with the page, once they are drawn. */
  condense.linkPlots = () => {
    condense.watch(highlight);
    for (const side of condense.sides) {
      const plot = model(`${side}-plan`);
      for (const range of [plot.x_range, plot.y_range]) range.change.connect(() => labelSoon(side));
      new ResizeObserver(() => labelSoon(side)).observe(document.querySelector(`.${side} .plan`));
    }
  };

  /** Tell whether the library has put all plots into the page. */
  condense.areDrawn = () => {
    if (!window.Bokeh || !Bokeh.documents.length) return false;
    const names = condense.sides.flatMap((side) => [`${side}-plan`, `${side}-strip`, `${side}-load`]);
    const views = names.map((name) => model(name) && Bokeh.index.find_one(model(name)));
    return views.every((view) => view && view.has_finished());
  };
})();
