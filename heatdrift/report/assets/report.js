// Draws the live charts over their static twins, one after the other so that the page stays responsive.
// Expressions run in Vega's interpreter (ast), because the page forbids eval.
"use strict";
(async () => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const datasets = read("datasets");
  const options = {
    mode: "vega-lite",
    renderer: "svg",
    ast: true,
    actions: false,
    defaultStyle: false,
    tooltip: { disableDefaultStyle: true },
    config: read("chart-config"),
  };

  const named = (spec, found = new Set()) => {
    if (spec && typeof spec === "object") {
      if (spec.data && spec.data.name) found.add(spec.data.name);
      Object.values(spec).forEach((part) => named(part, found));
    }
    return found;
  };

  const draw = async (panel) => {
    const spec = JSON.parse(panel.querySelector("script").textContent);
    // Vega marks the rows that it is given, so each chart gets rows of its own.
    spec.datasets = Object.fromEntries([...named(spec)].map((name) => [name, structuredClone(datasets[name])]));
    spec.width = "container";
    const live = document.createElement("div");
    live.className = "live";
    panel.append(live);
    await vegaEmbed(live, spec, options);
    panel.querySelector(".static").remove();
  };

  const panels = [...document.querySelectorAll(".panel")];
  for (const panel of panels) {
    await draw(panel);
    await new Promise((resume) => setTimeout(resume));
  }
  document.documentElement.dataset.drawn = String(panels.length);
})();
