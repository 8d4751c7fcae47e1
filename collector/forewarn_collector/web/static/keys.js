// Keys, and which rows are chosen.

let currentKey = "";

function rows() {
  return [...document.querySelectorAll("[data-rows] > [data-key]")];
}

function choose(row) {
  document.querySelector("[data-rows] > .current")?.classList.remove("current");
  currentKey = row?.dataset.key ?? "";
  row?.classList.add("current");
  row?.scrollIntoView({ block: "nearest" });
}

function move(step) {
  const all = rows();
  const at = all.findIndex((row) => row.dataset.key === currentKey);
  choose(all[Math.min(Math.max(at + step, 0), all.length - 1)]);
}

const current = () => rows().find((row) => row.dataset.key === currentKey);

/** What the element with data-key-NAME stands for: it is pressed, opened or focused. */
function press(element) {
  if (!element) return;
  if (element.matches("summary")) {
    const details = element.parentElement;
    details.open = true;
    details.querySelector("input:not([type=hidden]), textarea, select")?.focus();
  } else if (element.matches("input, textarea, select")) {
    element.focus();
    element.select?.();
  } else element.click();
}

const ACTIONS = {
  j: () => move(1),
  k: () => move(-1),
  Enter: () => current()?.querySelector("a[href]")?.click(),
  o: () => current()?.querySelector("a[href]")?.click(),
  x: () => current()?.querySelector("input[type=checkbox]")?.click(),
  "?": () => document.getElementById("keys")?.showModal(),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const target = event.target;
  const plot = target.closest?.("svg.plot");
  if (plot) return plotKey(plot, event);
  if (event.key === "Escape") {
    document.querySelectorAll("details.drop[open]").forEach((each) => {
      each.removeAttribute("open");
      each.querySelector("summary").focus();
    });
    if (target.matches("input, textarea, select")) target.blur();
    return;
  }
  if (target.matches("input:not([type=checkbox]), textarea, select") || document.querySelector("dialog[open]")) return;
  if (event.key === "Enter" && target.closest("a, button, summary")) return;
  const marked = document.querySelector(`[data-press="${CSS.escape(event.key)}"]`);
  const own = current()?.querySelector(`[data-press-row="${CSS.escape(event.key)}"]`);
  const some = document.querySelector("[data-rows] input[type=checkbox]:checked");
  const action = ACTIONS[event.key];
  if (!marked && !own && !action) return;
  event.preventDefault();
  if (own && !some) press(own);
  else if (marked) press(marked);
  else action?.();
});

// --- What is chosen ------------------------------------------------------------------------------

function counted() {
  const chosen = document.querySelectorAll("[data-rows] input[type=checkbox]:checked").length;
  for (const each of document.querySelectorAll("[data-chosen]")) {
    each.textContent = chosen ? each.dataset.chosen.replace("#", chosen) : each.dataset.none;
  }
  const all = document.querySelector("input[data-all]");
  if (all) {
    const boxes = document.querySelectorAll("[data-rows] input[type=checkbox]");
    all.checked = boxes.length > 0 && chosen === boxes.length;
    all.indeterminate = chosen > 0 && chosen < boxes.length;
  }
}

document.addEventListener("change", (event) => {
  if (event.target.matches("input[data-all]")) {
    for (const box of document.querySelectorAll("[data-rows] input[type=checkbox]")) box.checked = event.target.checked;
  }
  counted();
});
document.addEventListener("click", (event) => {
  for (const each of document.querySelectorAll("details.drop[open]")) {
    if (!each.contains(event.target)) each.removeAttribute("open");
  }
});

// --- Everything anew after the page has changed ---------------------------------------------------

function dress() {
  document.documentElement.classList.add("script");
  for (const time of document.querySelectorAll("time:not([data-dressed])")) {
    time.dataset.dressed = "";
    const local = new Date(time.dateTime).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
    time.title = time.title ? `${time.title}; here ${local}` : `here ${local}`;
  }
  if (currentKey) current()?.classList.add("current");
  counted();
}

document.addEventListener("mended", dress);
dress();
