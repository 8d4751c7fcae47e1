// Values of plots where the pointer is, or where the arrow keys have led.

const SVG = "http://www.w3.org/2000/svg";
let bubble = null;

function numbers(text) {
  return text ? text.split(" ").map(Number) : [];
}

function linesOf(plot) {
  plot.lines ||= [...plot.querySelectorAll("g.values")].map((each) => ({
    group: each,
    name: each.dataset.name,
    times: numbers(each.dataset.times),
    values: each.dataset.values ? each.dataset.values.split(" ") : [],
    heights: numbers(each.dataset.heights),
  }));
  return plot.lines;
}

function nearest(times, at) {
  let low = 0;
  let high = times.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle] < at) low = middle + 1;
    else high = middle;
  }
  return low > 0 && at - times[low - 1] < times[low] - at ? low - 1 : low;
}

/** Show what the lines are at a share (0 to 1) of the plot's time. */
function showAt(plot, share) {
  hide();
  const { start, end, left, right } = Object.fromEntries(
    ["start", "end", "left", "right"].map((name) => [name, Number(plot.dataset[name])]),
  );
  const lines = linesOf(plot).filter((line) => line.times.length);
  if (!lines.length) return;
  const asked = share * (end - start);
  const at = lines.map((line) => line.times[nearest(line.times, asked)])
    .reduce((best, time) => (Math.abs(time - asked) < Math.abs(best - asked) ? time : best));
  plot.share = share;
  const x = left + (at / (end - start)) * (right - left);
  const mark = document.createElementNS(SVG, "g");
  mark.classList.add("cursor");
  const hair = document.createElementNS(SVG, "line");
  for (const [name, value] of Object.entries({ x1: x, x2: x, y1: 66, y2: 280 })) hair.setAttribute(name, value);
  hair.classList.add("hair");
  mark.append(hair);
  bubble = document.createElement("div");
  bubble.className = "reading";
  bubble.setAttribute("role", "status");
  const when = document.createElement("b");
  when.textContent = new Date(start + at).toISOString().slice(0, 19).replace("T", " ") + " UTC";
  bubble.append(when);
  for (const line of lines) {
    const index = nearest(line.times, at);
    const dot = document.createElementNS(SVG, "circle");
    dot.setAttribute("cx", left + (line.times[index] / (end - start)) * (right - left));
    dot.setAttribute("cy", line.heights[index]);
    dot.setAttribute("r", 4);
    mark.append(dot);
    dot.setAttribute("class", line.group.getAttribute("class").replace("values ", ""));
    const row = document.createElement("div");
    row.textContent = `${line.values[index]}  ${lines.length > 1 ? line.name : ""}`;
    bubble.append(row);
  }
  plot.append(mark);
  const box = plot.getBoundingClientRect();
  const scale = box.width / plot.viewBox.baseVal.width;
  document.body.append(bubble);
  const place = box.left + x * scale;
  const width = bubble.offsetWidth;
  const beside = place + 14 + width > innerWidth - 8 ? place - width - 14 : place + 14;
  bubble.style.left = `${Math.max(8, beside) + scrollX}px`;
  bubble.style.top = `${box.top + (74 - plot.viewBox.baseVal.y) * scale + scrollY}px`;
}

function hide() {
  bubble?.remove();
  bubble = null;
  document.querySelectorAll("svg.plot > .cursor").forEach((each) => each.remove());
}

document.addEventListener("pointermove", (event) => {
  const plot = event.target.closest?.("svg.plot");
  if (!plot) return bubble && document.activeElement?.closest("svg.plot") === null && hide();
  const box = plot.getBoundingClientRect();
  const x = ((event.clientX - box.left) / box.width) * plot.viewBox.baseVal.width;
  const left = Number(plot.dataset.left);
  const share = (x - left) / (Number(plot.dataset.right) - left);
  if (share >= 0 && share <= 1) showAt(plot, share);
  else hide();
});
document.addEventListener("focusout", (event) => { if (event.target.closest?.("svg.plot")) hide(); });

/** Arrows lead from value to value of the plot that has the focus, as the pointer does. */
document.addEventListener("keydown", (event) => {
  const plot = event.target.closest("svg.plot");
  if (!plot) return;
  if (event.key === "Escape") hide();
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  const longest = linesOf(plot).reduce((best, line) => (line.times.length > best.length ? line.times : best), []);
  if (!step || !longest.length) return;
  event.preventDefault();
  const span = Number(plot.dataset.end) - Number(plot.dataset.start);
  const at = plot.share === undefined ? longest.length - 1 : nearest(longest, plot.share * span) + step;
  showAt(plot, longest[Math.min(Math.max(at, 0), longest.length - 1)] / span);
});

/** Have plots take the focus; where they are wider than the page, the end is seen first. */
function reachable() {
  for (const plot of document.querySelectorAll("svg.plot:not([tabindex])")) {
    plot.setAttribute("tabindex", "0");
    plot.parentElement.scrollLeft = plot.parentElement.scrollWidth;
  }
}

document.addEventListener("mended", reachable);
reachable();
