"use strict";
// Fills the plots: of all rectangles those that can be seen, and names where there is room.
//
// Where a step is narrower than a pixel, every pixel stands for several steps and shows the one
// with the largest load; the peak is therefore always there, however many steps there are.

(() => {
  const LABELLED = 400; // more names than this cannot be read anyway
  const CHARACTER = 6.4; // width of one in pixels
  const PALE = 0.16;
  const FRAME = { width: 92, height: 44 }; // what axes and tools take from the size of a plot
  const EDGES = ["left", "right", "bottom", "top"];

  condense.model = (name) => Bokeh.documents[0].get_model_by_name(name);
  const fill = (name, data) => { condense.model(name).data_source.data = data; };
  const columns = (...names) => Object.fromEntries(names.map((name) => [name, []]));

  /** Return what a plan shows now: ranges, and pixels per step and per byte. */
  const viewport = (side) => {
    const { x_range: x, y_range: y } = condense.model(`${side}-plan`);
    const area = document.querySelector(`.${side} .plan`).getBoundingClientRect();
    return {
      x0: x.start, x1: x.end, y0: y.start, y1: y.end,
      perStep: Math.max(area.width - FRAME.width, 1) / (x.end - x.start),
      perByte: Math.max(area.height - FRAME.height, 1) / (y.end - y.start),
    };
  };

  /** Return the steps to draw, each with the columns it stands for. */
  const sample = (side, { x0, x1, perStep }) => {
    const { steps } = condense.plan(side);
    const from = Math.max(Math.floor(x0), 0);
    const to = Math.min(Math.ceil(x1), steps.length);
    const width = Math.max(1, Math.ceil(1 / perStep));
    const chosen = [];
    for (let left = from; left < to; left += width) {
      const right = Math.min(left + width, to);
      let step = left;
      for (let other = left + 1; other < right; other += 1) if (steps[other].load > steps[step].load) step = other;
      chosen.push({ step, left, right });
    }
    return chosen;
  };

  /** Return a test whether a map is alive at one of the steps drawn. */
  const aliveAtSample = (samples) => {
    const numbers = samples.map(({ step }) => step);
    return ({ first, last }) => {
      let [low, high] = [0, numbers.length];
      while (low < high) {
        const middle = (low + high) >> 1;
        if (numbers[middle] < first) low = middle + 1;
        else high = middle;
      }
      return low < numbers.length && numbers[low] <= last;
    };
  };

  /** Return the rectangle of a map, at least a pixel wide. */
  const rectangle = (each, { perStep }) => {
    const left = each.first + (each.overwrites ? 0.5 : 0);
    const right = Math.max(each.last + (each.overwritten_by ? 0.5 : 1), left + 1 / perStep);
    return [left, right, each.offset, each.offset + each.size];
  };

  const push = (data, values) => EDGES.forEach((edge, number) => data[edge].push(values[number]));

  const drawMaps = (side, view, samples, bright) => {
    const maps = columns(...EDGES, "fill", "edge", "alpha");
    const parts = columns(...EDGES);
    const labels = columns("x", "y", "text", "ink");
    const isDrawn = aliveAtSample(samples);
    condense.plan(side).maps.forEach((each, index) => {
      const box = rectangle(each, view);
      const outside = box[1] < view.x0 || box[0] > view.x1 || box[3] < view.y0 || box[2] > view.y1;
      const isBright = !bright || bright.has(index);
      if (outside || !(isDrawn(each) || (bright && isBright))) return;
      const paint = condense.paints[each.kind];
      push(maps, box);
      maps.fill.push(paint.fill);
      maps.edge.push(paint.edge);
      maps.alpha.push(isBright ? 1 : PALE);
      if (each.part_of.length && isBright) push(parts, box);
      if (isBright && labels.x.length < LABELLED) labelMap(labels, each, box, view);
    });
    fill(`${side}-maps`, maps);
    fill(`${side}-parts`, parts);
    fill(`${side}-labels`, labels);
  };

  const shorten = (name, room) => {
    const short = name.length <= room ? name : condense.last(name);
    return short.length <= room ? short : `${short.slice(0, Math.max(room - 1, 0))}…`;
  };

  /** Write the name of a map on its rectangle if there is room. */
  const labelMap = (labels, each, [left, right, bottom, top], view) => {
    const start = Math.max(left, view.x0);
    const width = (Math.min(right, view.x1) - start) * view.perStep;
    const low = Math.max(bottom, view.y0);
    const height = (Math.min(top, view.y1) - low) * view.perByte;
    if (width < 40 || height < 13) return;
    labels.x.push(start);
    labels.y.push(low + height / view.perByte / 2);
    labels.text.push(shorten(each.tensor, Math.floor((width - 8) / CHARACTER)));
    labels.ink.push(condense.paints[each.kind].ink);
  };

  const drawSteps = (side, { perStep }, samples, marked) => {
    const { steps } = condense.plan(side);
    const cells = columns(...EDGES, "fill", "edge", "alpha");
    const labels = columns("x", "y", "text", "ink");
    for (const { step, left, right } of samples) {
      const { kind, ops } = steps[step];
      push(cells, [left, right, 0, 1]);
      cells.fill.push(condense.paints[kind].fill);
      cells.edge.push(perStep < 4 ? condense.paints[kind].fill : condense.paints[kind].edge);
      const isBright = !marked.size || marked.has(step);
      cells.alpha.push(isBright ? 1 : 0.3);
      if (perStep < 24) continue;
      labels.x.push(step + 0.5);
      labels.y.push(0.5);
      labels.text.push(shorten(ops.join(" + "), Math.floor((perStep - 4) / CHARACTER)));
      labels.ink.push(isBright ? condense.paints[kind].ink : condense.soft);
    }
    fill(`${side}-operators`, cells);
    fill(`${side}-operator-labels`, labels);
    const bars = columns(...EDGES);
    const top = condense.model(`${side}-load`).y_range.end;
    for (const step of marked) push(bars, [step, Math.max(step + 1, step + 1 / perStep), 0, top]);
    fill(`${side}-steps`, bars);
  };

  const drawGhosts = () => {
    const ghosts = columns(...EDGES);
    for (const each of condense.ghosts) push(ghosts, [each.drawn_from, each.drawn_to, each.offset, each.offset + each.size]);
    fill("after-ghosts", ghosts);
  };

  /** Return the steps to mark: the one that writes a map and those that read it, or the step itself. */
  const marksOf = (side, { map, step }) => {
    if (map === null) return new Set(step === null ? [] : [step]);
    const { maps } = condense.plan(side);
    return new Set([maps[map].operator, ...maps[map].readers].flatMap((name) => condense.stepOf(side, name) ?? []));
  };

  /** Draw one plan: what is selected in full colour, everything else pale. */
  condense.draw = (side) => {
    const state = condense.state.side === side ? condense.state : { map: null, step: null };
    const { map, step } = state;
    const view = viewport(side);
    const samples = sample(side, view);
    const family = map === null ? { producers: [], consumers: [] } : condense.relatives(side, map);
    const chosen = map === null ? [] : [map];
    const alive = map === null && step !== null ? condense.alive(side, step) : [];
    const bright = [...chosen, ...family.producers, ...family.consumers, ...alive];
    drawMaps(side, view, samples, bright.length ? new Set(bright) : null);
    drawSteps(side, view, samples, marksOf(side, state));
    for (const [role, numbers] of Object.entries({ ...family, selected: chosen })) {
      const frames = columns(...EDGES);
      numbers.forEach((number) => push(frames, rectangle(condense.plan(side).maps[number], view)));
      fill(`${side}-${role}`, frames);
    }
    if (side === "after") drawGhosts();
  };

  const waiting = new Set();
  /** Draw one plan before the next frame, once however often this is called. */
  condense.drawSoon = (side) => {
    if (waiting.has(side)) return;
    waiting.add(side);
    requestAnimationFrame(() => {
      waiting.delete(side);
      condense.draw(side);
    });
  };
})();
