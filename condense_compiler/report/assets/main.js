"use strict";
// Start: titles, buttons, keys.

(() => {
  const { picture, state } = condense;
  const get = (id) => document.getElementById(id);

  const proofOf = (plan) => {
    if (plan.order_optimal) return "proved minimal for every order";
    if (plan.optimal) return "proved minimal for this order";
    return `not proved minimal, at least ${condense.bytes(plan.lower_bound_bytes)}`;
  };

  const summarise = () => {
    const { before, after, gone } = picture;
    const saved = before.arena_bytes ? 1 - after.arena_bytes / before.arena_bytes : 0;
    const ghosts = gone.length ? ` · ${gone.length} maps gone` : "";
    get("summary").replaceChildren(
      "arena ", condense.element("strong", condense.bytes(before.arena_bytes)), " → ",
      condense.element("strong", condense.bytes(after.arena_bytes)), ` (${(-saved * 100).toFixed(1)} %), ${proofOf(after)}${ghosts}`);
    for (const side of condense.sides) {
      const plan = condense.plan(side);
      const caption = document.querySelector(`.${side} figcaption`);
      const facts = ` arena ${condense.exact(plan.arena_bytes)} · ${plan.steps.length} steps · ${plan.maps.length} maps`;
      caption.replaceChildren(side === "before" ? "before: as given" : "after: compiled", condense.element("span", ` ·${facts}`));
    }
  };

  const show = (which) => {
    get("plots").dataset.show = which;
    document.querySelectorAll("[data-show]").forEach((b) => b.tagName === "BUTTON" && b.setAttribute("aria-pressed", b.dataset.show === which));
  };

  const setTheme = (theme) => {
    document.documentElement.dataset.theme = theme;
    condense.paintPlots();
  };

  /** Select the peak step of the plan, and with every further call the next one. */
  const selectPeak = () => {
    const peaks = condense.plan(state.side).peak_steps;
    const next = peaks[(peaks.indexOf(state.step) + 1) % peaks.length];
    selectStep(next);
  };

  const selectStep = (step) => {
    if (!condense.plan(state.side).steps[step]) return;
    condense.reveal(state.side, step);
    condense.select({ map: null, step });
  };

  const moveStep = (distance) => {
    const { steps, peak_steps: peaks } = condense.plan(state.side);
    const from = state.step ?? (state.map === null ? peaks[0] - distance : condense.plan(state.side).maps[state.map].first);
    selectStep(Math.min(Math.max(from + distance, 0), steps.length - 1));
  };

  const toggleKeys = () => {
    get("help").hidden = !get("help").hidden;
    get("keys").setAttribute("aria-expanded", !get("help").hidden);
  };
  const toggleTheme = () => setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark");
  const fitAll = () => condense.sides.forEach((side) => condense.fit(side));
  const clear = () => condense.select({ map: null, step: null });

  const KEYS = {
    p: selectPeak,
    ArrowLeft: () => moveStep(-1),
    ArrowRight: () => moveStep(1),
    ArrowUp: () => condense.moveInTable(-1),
    ArrowDown: () => condense.moveInTable(1),
    b: () => condense.select({ side: state.side === "after" ? "before" : "after", map: null, step: null }),
    "+": () => condense.zoom(state.side, 0.5),
    "-": () => condense.zoom(state.side, 2),
    0: fitAll,
    "/": () => get("search").focus(),
    t: toggleTheme,
    "?": toggleKeys,
    Escape: clear,
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target instanceof HTMLInputElement;
    if (typing && event.key === "Escape") event.target.blur();
    const action = typing ? undefined : KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });

  const start = () => {
    condense.linkPlots();
    setTheme(matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
    for (const [id, action] of Object.entries({ peak: selectPeak, clear, fit: fitAll, theme: toggleTheme, keys: toggleKeys })) {
      get(id).addEventListener("click", action);
    }
    document.querySelectorAll("button[data-show]").forEach((b) => b.addEventListener("click", () => show(b.dataset.show)));
    show("both");
    condense.select({});
    document.documentElement.dataset.ready = "true";
  };

  const wait = () => (condense.arePlotted() ? start() : requestAnimationFrame(wait));
  summarise();
  wait();
})();
