"use strict";
// The table of feature maps: sorted, searched, and only as many rows in the page as can be seen.

(() => {
  const ROW = 24; // height of a row in pixels
  const COLUMNS = [
    { key: "tensor", title: "feature map", width: "20%", name: true },
    { key: "op", title: "operator", width: "12%" },
    { key: "shape", title: "shape", width: "14%", value: (each) => each.shape.join("×"), order: (each) => each.shape.reduce((a, b) => a * b, 1) },
    { key: "dtype", title: "type", width: "6%" },
    { key: "size", title: "bytes", width: "10%", number: true },
    { key: "offset", title: "offset", width: "10%", number: true },
    { key: "first", title: "first", width: "6%", number: true },
    { key: "last", title: "last", width: "5%", number: true },
    { key: "readers", title: "needed by", width: "10%", value: (each) => (each.kept ? "output" : each.readers.map(condense.last).join(", ")) },
    { key: "pass_name", title: "pass", width: "7%" },
  ];
  const view = { side: "after", alive: false, sort: "first", falling: false, rows: [] };
  const scroll = document.getElementById("scroll");
  const body = scroll.querySelector("tbody");
  const search = document.getElementById("search");
  const text = (column, each) => {
    const value = column.value ? column.value(each) : each[column.key];
    return column.number ? value.toLocaleString("en-US") : value;
  };

  const header = scroll.querySelector("thead tr");
  const titles = COLUMNS.map((column) => {
    const cell = condense.element("th", "", { scope: "col", style: `width:${column.width}`, class: column.number ? "number" : "" });
    const button = condense.element("button", column.title, { type: "button" });
    button.addEventListener("click", () => sortBy(column.key));
    cell.append(button);
    header.append(cell);
    return cell;
  });

  const sortBy = (key) => {
    view.falling = view.sort === key ? !view.falling : key === "size";
    view.sort = key;
    refresh();
  };

  const matches = (each, words) => {
    const all = `${each.tensor} ${each.operator} ${each.op} ${each.kind} ${each.dtype} ${each.shape.join("×")} ${each.pass_name}`.toLowerCase();
    return words.every((word) => all.includes(word));
  };

  /** Decide which rows there are, and in which order. */
  const refresh = () => {
    const { maps, peak_steps } = condense.plan(view.side);
    const words = search.value.toLowerCase().split(/\s+/).filter((word) => word);
    const step = stepOf(peak_steps);
    const column = COLUMNS.find(({ key }) => key === view.sort);
    const value = column.order || column.value || ((each) => each[column.key]);
    const numbers = maps.map((_, index) => index).filter((index) => {
      const each = maps[index];
      return (!view.alive || (each.first <= step && step <= each.last)) && matches(each, words);
    });
    const keys = new Map(numbers.map((index) => [index, value(maps[index])]));
    const compare = (one, two) => (one < two ? -1 : one > two ? 1 : 0);
    view.rows = numbers.sort((a, b) => (view.falling ? -1 : 1) * compare(keys.get(a), keys.get(b)) || a - b);
    const total = view.rows.reduce((sum, index) => sum + maps[index].size, 0);
    document.getElementById("count").textContent = `${view.rows.length} of ${maps.length} maps, ${condense.bytes(total)}`;
    titles.forEach((cell, number) => {
      const sorted = COLUMNS[number].key === view.sort;
      cell.setAttribute("aria-sort", sorted ? (view.falling ? "descending" : "ascending") : "none");
    });
    document.querySelectorAll("[data-list]").forEach((b) => b.setAttribute("aria-pressed", b.dataset.list === view.side));
    document.querySelectorAll("[data-alive]").forEach((b) => {
      b.setAttribute("aria-pressed", (b.dataset.alive === "true") === view.alive);
      if (b.dataset.alive === "true") b.textContent = `alive at step ${step}`;
    });
    scroll.querySelector("table").setAttribute("aria-rowcount", view.rows.length + 1);
    scroll.scrollTop = Math.min(scroll.scrollTop, view.rows.length * ROW);
    draw();
  };

  const stepOf = (peaks) => {
    const { side, step } = condense.state;
    return side === view.side && step !== null ? step : peaks[0] ?? 0;
  };

  const space = (rows) => {
    const row = condense.element("tr", "", { class: "space", "aria-hidden": "true" });
    row.append(condense.element("td", "", { colspan: COLUMNS.length, style: `height:${rows * ROW}px` }));
    return row;
  };

  /** Put the rows that can be seen into the page. */
  const draw = () => {
    const start = Math.max(0, Math.floor(scroll.scrollTop / ROW) - 10);
    const end = Math.min(view.rows.length, start + Math.ceil(scroll.clientHeight / ROW) + 20);
    const rows = view.rows.slice(start, end).map((index, offset) => line(index, start + offset));
    body.replaceChildren(space(start), ...rows, space(view.rows.length - end));
  };

  const line = (index, position) => {
    const each = condense.plan(view.side).maps[index];
    const { side, map } = condense.state;
    const row = condense.element("tr", "", {
      "data-map": index, "aria-rowindex": position + 2, "aria-selected": side === view.side && map === index,
    });
    for (const column of COLUMNS) {
      const cell = condense.element("td", "", { class: column.number ? "number" : column.name ? "name" : "", title: text(column, each) });
      // A left-to-right run inside a right-to-left cell: long names lose their beginning.
      const content = condense.element("bdi", text(column, each));
      if (column.key === "op") cell.append(condense.element("i", "", { style: `background:${condense.paints[each.kind].fill}` }));
      cell.append(content);
      row.append(cell);
    }
    return row;
  };

  condense.watch((state) => {
    view.side = state.side;
    if (state.step !== null) view.alive = true;
    else if (state.map === null) view.alive = false;
    refresh();
    const position = state.map === null ? -1 : view.rows.indexOf(state.map);
    if (position >= 0) {
      const top = position * ROW;
      const visible = scroll.scrollTop <= top && top + 3 * ROW <= scroll.scrollTop + scroll.clientHeight;
      if (!visible) scroll.scrollTop = top - scroll.clientHeight / 2;
    }
  });

  /** Select the row `distance` below the selected one. */
  condense.moveInTable = (distance) => {
    const position = view.rows.indexOf(condense.state.map);
    const next = position < 0 ? 0 : Math.min(Math.max(position + distance, 0), view.rows.length - 1);
    if (view.rows.length) condense.select({ side: view.side, map: view.rows[next], step: null });
  };

  body.addEventListener("click", ({ target }) => {
    const row = target.closest("tr[data-map]");
    if (row) condense.select({ side: view.side, map: Number(row.dataset.map), step: null });
  });
  document.querySelectorAll("[data-list]").forEach((button) =>
    button.addEventListener("click", () => condense.select({ side: button.dataset.list, map: null, step: null })));
  document.querySelectorAll("[data-alive]").forEach((button) =>
    button.addEventListener("click", () => {
      view.alive = button.dataset.alive === "true";
      refresh();
    }));
  search.addEventListener("input", refresh);
  document.getElementById("filter").addEventListener("submit", (event) => event.preventDefault());
  scroll.addEventListener("scroll", draw);
  new ResizeObserver(draw).observe(scroll);
})();
