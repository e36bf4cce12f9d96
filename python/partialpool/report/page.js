"use strict";
// Figures come to life, tables sort and filter, texts are copied. Without scripts the page has a
// picture of every figure, and all of its words and numbers.

const charts = JSON.parse(document.getElementById("charts").textContent);

async function draw(name) {
  const place = document.getElementById(name);
  const about = place.querySelector("img").alt;
  const { spec, renderer } = charts[name];
  const found = await vegaEmbed(place, spec, {
    mode: "vega-lite", ast: true, actions: false, renderer, tooltip: { theme: "light" },
  });
  place.setAttribute("role", "img");
  place.setAttribute("aria-label", about);
  const controls = document.querySelector(`[data-chart="${name}"]`);
  if (controls) connect(controls, found.view);
}

function connect(controls, view) {
  const set = (signal, value) => view.signal(signal, value).runAsync();
  controls.hidden = false;
  for (const field of controls.querySelectorAll("[data-signal]")) {
    const send = () =>
      set(field.dataset.signal, "number" in field.dataset ? Number(field.value) : field.value.trim());
    field.addEventListener("input", send);
    if (field.value) send(); // what a browser kept from the last visit
  }
  for (const button of controls.querySelectorAll("input[type=radio]")) {
    button.addEventListener("change", () => set("pooling", button.value));
    if (button.checked) set("pooling", button.value);
  }
}

function rowsOf(table) {
  return [...table.tBodies[0].rows];
}

function keyOf(row, column) {
  const cell = row.cells[column];
  return "value" in cell.dataset ? Number(cell.dataset.value) : cell.textContent;
}

// Numbers by size, names as people order them; what has no value stands last either way.
function compare(a, b, way) {
  const missing = [a, b].map(Number.isNaN);
  if (missing[0] || missing[1]) return missing[0] - missing[1];
  if (typeof a === "number") return way * (a - b);
  return way * a.localeCompare(b, undefined, { numeric: true });
}

function sortBy(table, column) {
  const heads = [...table.tHead.rows[0].cells];
  const way = heads[column].getAttribute("aria-sort") === "ascending" ? -1 : 1;
  const keyed = rowsOf(table).map((row) => [keyOf(row, column), row]);
  keyed.sort((one, other) => compare(one[0], other[0], way));
  table.tBodies[0].append(...keyed.map((pair) => pair[1]));
  heads.forEach((head, k) => {
    const now = way === 1 ? "ascending" : "descending";
    head.setAttribute("aria-sort", k === column ? now : "none");
  });
}

function filter(table, text, status) {
  const wanted = text.trim().toLowerCase();
  const rows = rowsOf(table);
  let shown = 0;
  for (const row of rows) {
    row.hidden = !row.cells[0].textContent.toLowerCase().includes(wanted);
    shown += !row.hidden;
  }
  status.textContent = `${shown.toLocaleString("en")} of ${rows.length.toLocaleString("en")}`;
}

for (const table of document.querySelectorAll("table.sortable")) {
  table.querySelectorAll("thead button").forEach((button, column) => {
    button.addEventListener("click", () => sortBy(table, column));
  });
}

for (const field of document.querySelectorAll("[data-table]")) {
  const bar = field.closest(".controls");
  const table = document.getElementById(field.dataset.table);
  const look = () => filter(table, field.value, bar.querySelector("output"));
  bar.hidden = false;
  field.addEventListener("input", look);
  if (field.value) look();
}

for (const button of document.querySelectorAll(".copy")) {
  const name = button.textContent;
  const source = button.parentElement.querySelector("pre, p");
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(source.textContent);
      button.textContent = "Copied";
    } catch { // where the browser forbids it, the text is chosen, to be copied by hand
      getSelection().selectAllChildren(source);
      button.textContent = "Chosen: press Ctrl+C";
    }
    setTimeout(() => { button.textContent = name; }, 2000);
  });
}

for (const name of Object.keys(charts)) draw(name);
