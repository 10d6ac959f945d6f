"use strict";
// What every part of the page needs: the picture, words for its facts, and what is selected.

const condense = {};

(() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  condense.picture = read("picture");
  condense.paints = read("paints");
  condense.sides = ["before", "after"];
  condense.ghosts = condense.picture.gone.filter((each) => each.drawn_from !== null);
  // What is selected: a plan, and in it a feature map, a step, or neither.
  condense.state = { side: "after", map: null, step: null };

  const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

  condense.bytes = (count) => {
    let unit = 0;
    while (Math.abs(count) >= 1024 && unit < UNITS.length - 1) [count, unit] = [count / 1024, unit + 1];
    return `${Number.isInteger(count) ? count : count.toFixed(2)} ${UNITS[unit]}`;
  };
  condense.exact = (count) => `${count.toLocaleString("en-US")} B` + (count < 1024 ? "" : ` (${condense.bytes(count)})`);
  condense.shape = (each) => `${each.dtype}[${each.shape.join("×")}]`;
  condense.last = (name) => name.split("/").filter((part) => part).pop() || name;
  condense.plan = (side) => condense.picture[side];

  const stepsByName = Object.fromEntries(condense.sides.map((side) => [
    side, new Map(condense.picture[side].steps.flatMap(({ operators }, step) => operators.map((name) => [name, step]))),
  ]));
  /** Return the step that runs an operator. */
  condense.stepOf = (side, name) => stepsByName[side].get(name);

  /** Return the numbers of the maps that are needed at a step, as `condense view --json` counts. */
  condense.alive = (side, step) => {
    const found = [];
    condense.plan(side).maps.forEach((each, index) => {
      if (each.first <= step && step <= each.last) found.push(index);
    });
    return found;
  };

  /** Return the numbers of the maps that the writer of a map reads, and of those its readers write. */
  condense.relatives = (side, index) => {
    const { maps, steps } = condense.plan(side);
    const me = maps[index];
    const together = (name) => steps[condense.stepOf(side, name)]?.operators ?? [name];
    const writers = me.operator ? together(me.operator) : [];
    const readers = new Set(me.readers.flatMap(together));
    const numbers = (wanted) => maps.flatMap((each, number) => (number !== index && wanted(each) ? [number] : []));
    return {
      producers: numbers((each) => each.readers.some((name) => writers.includes(name))),
      consumers: numbers((each) => readers.has(each.operator)),
    };
  };

  /** Return an element with text and attributes. */
  condense.element = (tag, text = "", attributes = {}) => {
    const made = document.createElement(tag);
    made.textContent = text;
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    return made;
  };

  const watchers = [];
  condense.watch = (watcher) => watchers.push(watcher);
  /** Change what is selected and tell every part of the page. */
  condense.select = (change) => {
    Object.assign(condense.state, change);
    watchers.forEach((watcher) => watcher(condense.state));
  };
})();
