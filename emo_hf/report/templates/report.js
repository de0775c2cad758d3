"use strict";
const data = JSON.parse(document.getElementById("data").textContent);

for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
    const turned = {ascending: "descending", descending: "ascending"};
    const order = turned[head.getAttribute("aria-sort")] ?? head.dataset.first;
    heads.forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", order);
    const value = (row) => row.cells[column].dataset.sort;
    const rows = [...table.tBodies[0].rows].sort((a, b) => {
      const [x, y] = [value(a), value(b)];
      if (x === "" || y === "") return (x === "") - (y === "");
      const difference = isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y;
      return order === "descending" ? -difference : difference;
    });
    table.tBodies[0].append(...rows);
  }));
}

for (const button of document.querySelectorAll("button.more")) {
  button.addEventListener("click", () => {
    button.parentElement.querySelector("table").classList.remove("rows-hidden");
    button.remove();
  });
}

const canvases = [...document.querySelectorAll("canvas[data-map]")];
const tip = document.getElementById("tip");
let pointed = null;

const filters = () => ({
  labels: new Set([...document.querySelectorAll(".of-label:checked")].map((box) => Number(box.value))),
  kind: document.querySelector("input[name=shown]:checked")?.value ?? "all",
});
const visible = (map, i, filter) => filter.labels.has(map.label[i])
  && (filter.kind === "all" || (map.predicted[i] !== map.label[i]) === (filter.kind === "mistakes"));
const place = (canvas, map, i) => {
  const side = canvas.width, half = side / 2, margin = 0.92;
  return [half + map.x[i] * half * margin, half + map.y[i] * half * margin];
};

function draw(canvas) {
  const map = data.maps[canvas.dataset.map], ratio = window.devicePixelRatio || 1;
  const side = Math.max(1, Math.round(canvas.clientWidth * ratio));
  if (canvas.width !== side) { canvas.width = side; canvas.height = side; }
  const pen = canvas.getContext("2d"), filter = filters();
  const size = Math.max(1.6, Math.min(3.2, 90 / Math.sqrt(map.x.length))) * ratio;
  pen.clearRect(0, 0, side, side);
  let shown = 0;
  map.x.forEach((_, i) => {
    if (!visible(map, i, filter)) return;
    shown += 1;
    const [x, y] = place(canvas, map, i);
    pen.globalAlpha = 0.75;
    pen.fillStyle = pen.strokeStyle = data.colours[map.label[i]];
    pen.beginPath();
    if (map.predicted[i] === map.label[i]) { pen.arc(x, y, size, 0, 7); pen.fill(); }
    else {
      pen.lineWidth = 1.3 * ratio;
      pen.moveTo(x - size, y - size); pen.lineTo(x + size, y + size);
      pen.moveTo(x - size, y + size); pen.lineTo(x + size, y - size);
      pen.stroke();
    }
  });
  canvas.dataset.shown = shown;
  if (pointed === null) return;
  const i = map.row.indexOf(pointed);
  if (i < 0) return;
  const [x, y] = place(canvas, map, i);
  pen.globalAlpha = 1;
  pen.strokeStyle = "#000"; pen.lineWidth = 2 * ratio;
  pen.beginPath(); pen.arc(x, y, size + 4 * ratio, 0, 7); pen.stroke();
}
const drawAll = () => canvases.forEach(draw);

function point(canvas, event) {
  const map = data.maps[canvas.dataset.map], box = canvas.getBoundingClientRect(), filter = filters();
  const scale = canvas.width / box.width;
  const [x, y] = [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
  let best = -1, reach = ((event.pointerType === "touch" ? 24 : 14) * scale) ** 2;
  map.x.forEach((_, i) => {
    if (!visible(map, i, filter)) return;
    const [a, b] = place(canvas, map, i), far = (a - x) ** 2 + (b - y) ** 2;
    if (far < reach) { reach = far; best = i; }
  });
  const row = best < 0 ? null : map.row[best];
  if (row !== pointed) { pointed = row; drawAll(); }
  tip.hidden = row === null;
  if (row === null) return;
  const lines = [data.text ? data.text[row] : `#${row}`,
    `${data.words.label}: ${data.labels[map.label[best]]} · ${data.words.predicted}: ${data.labels[map.predicted[best]]}`];
  tip.replaceChildren(...lines.map((line, n) => {
    const part = document.createElement(n ? "div" : "strong");
    part.textContent = line;
    return part;
  }));
  const left = Math.min(event.clientX + 14, window.innerWidth - tip.offsetWidth - 8);
  const below = event.clientY + 18 + tip.offsetHeight < window.innerHeight;
  tip.style.left = `${Math.max(4, left)}px`;
  tip.style.top = `${below ? event.clientY + 18 : event.clientY - tip.offsetHeight - 12}px`;
}
function leave() {
  if (pointed === null) return;
  pointed = null; tip.hidden = true; drawAll();
}
// A mouse shows what it is over. A finger leaves as soon as it is lifted: what it has tapped stays until it taps beside.
for (const canvas of canvases) {
  canvas.addEventListener("pointermove", (event) => { if (event.pointerType !== "touch") point(canvas, event); });
  canvas.addEventListener("pointerleave", (event) => { if (event.pointerType !== "touch") leave(); });
  canvas.addEventListener("click", (event) => point(canvas, event));
}
document.addEventListener("click", (event) => { if (!canvases.includes(event.target)) leave(); });
document.addEventListener("scroll", leave, {passive: true});
document.querySelectorAll(".controls input").forEach((input) => input.addEventListener("change", drawAll));
window.addEventListener("resize", drawAll);
drawAll();
