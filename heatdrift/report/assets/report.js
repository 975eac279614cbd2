// Draws the live charts over their static twins, one after the other so that the page stays responsive, and adds to
// each figure what only a script can do: saving its specs, data and drawings as files.
// Expressions run in Vega's interpreter (ast), because the page forbids eval.
"use strict";
(async () => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const [datasets, config, palette] = ["datasets", "chart-config", "palette"].map(read);
  const options = {
    mode: "vega-lite",
    renderer: "svg",
    ast: true,
    actions: false,
    defaultStyle: false,
    tooltip: { disableDefaultStyle: true },
    config,
  };
  const views = new Map();
  const specOf = (panel) => JSON.parse(panel.querySelector("script").textContent);

  const named = (spec, found = new Set()) => {
    if (spec && typeof spec === "object") {
      if (spec.data && spec.data.name) found.add(spec.data.name);
      Object.values(spec).forEach((part) => named(part, found));
    }
    return found;
  };

  const draw = async (panel) => {
    const spec = specOf(panel);
    // Vega marks the rows that it is given, so each chart gets rows of its own.
    spec.datasets = Object.fromEntries([...named(spec)].map((name) => [name, structuredClone(datasets[name])]));
    spec.width = "container";
    const live = document.createElement("div");
    live.className = "live";
    live.setAttribute("aria-hidden", "true"); // the figure has a text alternative and a table
    panel.append(live);
    views.set(panel, (await vegaEmbed(live, spec, options)).view);
    panel.querySelector(".static").remove();
  };

  // The names of all fields that a spec reads, wherever they are.
  const fields = (spec, found = new Set()) => {
    if (spec && typeof spec === "object") {
      if (typeof spec.field === "string") found.add(spec.field);
      Object.values(spec).forEach((part) => fields(part, found));
    }
    return found;
  };

  const passes = (row, steps) =>
    steps.every(({ filter }) => {
      if (!filter || typeof filter !== "object") return true;
      if ("equal" in filter) return row[filter.field] === filter.equal;
      return !("oneOf" in filter) || filter.oneOf.includes(row[filter.field]);
    });

  // Name -> the rows that at least one layer of the spec shows, with the fields that the spec reads.
  const shownRows = (spec) => {
    const kept = fields(spec);
    const wanted = new Map();
    const visit = (part, name, steps) => {
      const source = part.data && part.data.name ? part.data.name : name;
      const all = steps.concat(part.transform || []);
      if (part.layer) part.layer.forEach((layer) => visit(layer, source, all));
      else if (source) wanted.set(source, (wanted.get(source) || []).concat([all]));
    };
    visit(spec, undefined, []);
    const only = (row) => Object.fromEntries(Object.entries(row).filter(([field]) => kept.has(field)));
    return Object.fromEntries(
      [...wanted].map(([name, layers]) => [
        name,
        datasets[name].filter((row) => layers.some((steps) => passes(row, steps))).map(only),
      ]),
    );
  };

  // Colours of the page are CSS variables; a file takes those of the light palette.
  const plain = (text) => text.replace(/var\(--([\w-]+)\)/g, (all, name) => palette[name] || all);

  // A spec that is complete by itself: its data inside, its legends, which the page shows once per figure, its own.
  const standalone = (panel) => {
    const spec = JSON.parse(plain(JSON.stringify(specOf(panel))), (key, value) =>
      key === "legend" && value === null ? undefined : value,
    );
    const own = { ...JSON.parse(plain(JSON.stringify(config))), background: palette.paper };
    return JSON.stringify({ ...spec, config: own, datasets: shownRows(specOf(panel)) }, null, 1);
  };

  // A text that a spreadsheet would run as a formula gets an apostrophe, as in every CSV that heatdrift writes.
  const csv = (rows) => {
    const columns = [...new Set(rows.flatMap(Object.keys))];
    const cell = (value) => {
      const safe = typeof value === "string" ? value.replace(/^('*[=+\-@\t\r])/, "'$1") : value;
      const text = safe === null || safe === undefined ? "" : String(safe);
      return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
    };
    return [columns, ...rows.map((row) => columns.map((column) => row[column]))]
      .map((line) => line.map(cell).join(","))
      .join("\r\n");
  };

  const save = (name, type, text) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  };

  const element = (tag, className, text = "") => {
    const made = document.createElement(tag);
    made.className = className;
    made.textContent = text;
    return made;
  };

  const axisTitle = (spec) => {
    for (const layer of spec.layer || [spec]) {
      for (const channel of ["y", "x"]) {
        const axis = ((layer.encoding || {})[channel] || {}).axis;
        if (axis && axis.title) return [axis.title].flat()[0];
      }
    }
    return "";
  };

  const saveRow = (panel) => {
    const heading = panel.querySelector(".panel-title");
    const label = [heading && heading.textContent, axisTitle(specOf(panel))].filter(Boolean).join(": ");
    const row = element("li", "");
    row.append(element("span", "", label));
    const button = (words, file, type, make) => {
      const made = element("button", "", words);
      made.type = "button";
      made.setAttribute("aria-label", `${words}, ${label}`);
      made.addEventListener("click", async () => save(file, type, await make()));
      row.append(" ", made);
    };
    button("Vega-Lite spec", `${panel.id}.vl.json`, "application/json", () => standalone(panel));
    const sets = [...named(specOf(panel))];
    for (const name of sets) {
      const file = sets.length > 1 ? `${panel.id}.${name.replace(/[^\w-]/g, "_")}.csv` : `${panel.id}.csv`;
      button(sets.length > 1 ? `data: ${name} (CSV)` : "data (CSV)", file, "text/csv", () => csv(shownRows(specOf(panel))[name]));
    }
    button("drawing (SVG)", `${panel.id}.svg`, "image/svg+xml", async () => plain(await views.get(panel).toSVG()));
    return row;
  };

  const addSaving = (figure) => {
    const panels = [...figure.querySelectorAll(".panel")];
    if (!panels.length) return;
    const fold = element("details", "save");
    fold.append(element("summary", "", panels.length > 1 ? "Save these charts" : "Save this chart"));
    const list = element("ul", "");
    // Rows are made when they are first asked for: a page has many charts and most are never saved.
    fold.addEventListener("toggle", () => list.children.length || list.append(...panels.map(saveRow)), { once: true });
    fold.append(list);
    figure.append(fold);
  };

  // On paper nothing can be unfolded, so everything is.
  const folds = () => document.querySelectorAll("details:not(.save, .screen, [open])");
  addEventListener("beforeprint", () => folds().forEach((fold) => ((fold.open = true), fold.classList.add("printing"))));
  addEventListener("afterprint", () =>
    document.querySelectorAll("details.printing").forEach((fold) => {
      fold.open = false;
      fold.classList.remove("printing");
    }),
  );

  // The list of sections is always there where there is room for it, and on demand where there is not.
  const wide = matchMedia("(min-width: 68rem)");
  const contents = document.querySelector("nav details");
  const fit = () => (contents.open = wide.matches);
  wide.addEventListener("change", fit);
  fit();

  // A sentence and the charts of its metric light each other, by pointer and by keyboard.
  const about = [...document.querySelectorAll("[data-metric]")];
  const light = (metric, on) =>
    about.forEach((part) => part.classList.toggle("lit", on && part.dataset.metric === metric));
  for (const part of about) {
    for (const [name, on] of [["pointerenter", true], ["pointerleave", false], ["focusin", true], ["focusout", false]])
      part.addEventListener(name, () => light(part.dataset.metric, on));
  }

  const panels = [...document.querySelectorAll(".panel")];
  for (const panel of panels) {
    await draw(panel);
    await new Promise((resume) => setTimeout(resume));
  }
  document.querySelectorAll("main figure").forEach(addSaving);
  document.documentElement.dataset.drawn = String(panels.length);
})();
