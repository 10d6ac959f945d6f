"use strict";
// The panel that tells everything about the selected feature map or step, and the hover text.

(() => {
  const { element } = condense;
  const panel = document.getElementById("details");
  const tip = document.getElementById("tip");

  const sharing = (each) => [
    ["takes the place of", each.overwrites],
    ["place taken by", each.overwritten_by],
    ["produced inside", each.part_of.join(", ")],
    ["also seen as", each.views.join(", ")],
    ["storage", each.storage === each.tensor ? "" : each.storage],
  ];

  const lifetime = (each) => `${each.first} to ${each.last}` + (each.kept ? " (output: kept to the end)" : "");

  /** Say who still needs a map. */
  const needed = (each) => {
    if (each.kept) return "it is an output of the network";
    return each.readers.length ? each.readers.join(", ") : "nobody";
  };

  const facts = (each) => [
    ["operator", each.operator ? `${each.op} ${each.operator}` : "input of the network"],
    ["type", condense.shape(each)],
    ["size", condense.exact(each.size)],
    ["steps", lifetime(each)],
    ["offset", condense.exact(each.offset)],
    ["needed by", needed(each)],
    ["made by pass", each.pass_name || "as given"],
    ...sharing(each),
  ];

  const describe = (rows) => {
    const list = element("dl");
    for (const [name, value] of rows) {
      if (value) list.append(element("dt", name), element("dd", value));
    }
    return list;
  };

  const links = (side, title, numbers) => {
    if (!numbers.length) return [];
    const list = element("ul");
    for (const number of numbers) {
      const item = element("li");
      const link = element("button", condense.plan(side).maps[number].tensor);
      link.addEventListener("click", () => condense.select({ side, map: number, step: null }));
      item.append(link);
      list.append(item);
    }
    return [element("p", title), list];
  };

  const showMap = ({ side, map }) => {
    const each = condense.plan(side).maps[map];
    const { producers, consumers } = condense.relatives(side, map);
    panel.replaceChildren(
      element("h2", each.tensor),
      describe([["plan", side], ...facts(each)]),
      ...links(side, "Computed from (dashed frame)", producers),
      ...links(side, "Needed for (dotted frame)", consumers),
    );
  };

  const showStep = ({ side, step }) => {
    const plan = condense.plan(side);
    const alive = condense.alive(side, step);
    const { operators, ops, load } = plan.steps[step];
    const peak = plan.peak_steps.includes(step) ? "; this is the peak" : "";
    panel.replaceChildren(
      element("h2", `Step ${step}: ${ops.join(" + ")}`),
      describe([
        ["plan", side],
        ["operator", operators.join(", ")],
        ["load", `${condense.exact(load)}${peak}`],
        ["alive", `${alive.length} feature maps`],
      ]),
      ...links(side, "Alive here, the largest first", [...alive].sort((a, b) => plan.maps[b].size - plan.maps[a].size)),
    );
  };

  condense.watch((state) => {
    if (state.map !== null) showMap(state);
    else if (state.step !== null) showStep(state);
    else panel.replaceChildren(element("p", "Nothing selected. Click a rectangle, a step, or a row of the table; or press P for the peak."));
  });

  const hovered = {
    map: (side, index) => {
      const each = condense.plan(side).maps[index];
      const rows = facts(each).filter(([name, value]) => value && name !== "storage");
      return [each.tensor, ...rows.map(([name, value]) => `${name}: ${value.length > 160 ? `${value.slice(0, 160)}…` : value}`)];
    },
    ghost: (side, index) => {
      const each = condense.ghosts[index];
      return [each.tensor, `gone: ${condense.exact(each.size)} not stored`, `${each.op} ${condense.shape(each)}`,
        `computed inside ${each.operator}`, `made by pass: ${each.pass_name || "as given"}`];
    },
    step: (side, index) => {
      const { operators, ops, load } = condense.plan(side).steps[index];
      return [`Step ${index}: ${ops.join(" + ")}`, operators.join(", "), `load: ${condense.exact(load)}`];
    },
  };

  condense.showTip = (side, what, number) => {
    const [title, ...lines] = hovered[what](side, number);
    tip.replaceChildren(element("b", title), ...lines.map((line) => element("span", line)));
    tip.hidden = false;
  };
  condense.leave = () => { tip.hidden = true; };
  document.addEventListener("pointermove", ({ clientX, clientY, target }) => {
    if (!(target instanceof Element) || !target.closest("#plots")) condense.leave();
    const { offsetWidth, offsetHeight } = tip;
    const left = clientX + 16 + offsetWidth > innerWidth ? clientX - 16 - offsetWidth : clientX + 16;
    const top = Math.min(clientY + 16, innerHeight - offsetHeight - 8);
    tip.style.left = `${Math.max(left, 4)}px`;
    tip.style.top = `${Math.max(top, 4)}px`;
  });
})();
