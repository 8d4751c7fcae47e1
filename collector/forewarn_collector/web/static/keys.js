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

/** Do what an element is for: it is pressed, opened or written in. */
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
  if (target.closest("svg.plot")) return;
  if (event.key === "Escape") return close(target);
  const sheet = target.closest(".sheet");
  if (event.key === "Enter" && sheet && target.matches("input, select")) {
    event.preventDefault();
    sheet.querySelector("button[name=do]").click();
    return;
  }
  if (target.matches("input:not([type=checkbox]), textarea, select") || document.querySelector("dialog[open]")) return;
  // A button of a dialog that was just closed may have the focus still.
  if (event.key === "Enter" && target.closest("a, button, summary") && !target.closest("dialog")) return;
  const marked = document.querySelector(`[data-press="${CSS.escape(event.key)}"]`);
  const action = ACTIONS[event.key];
  if (!marked && !action) return;
  event.preventDefault();
  if (action) return action();
  const row = current();
  const chosen = document.querySelector("[data-rows] input[type=checkbox]:checked");
  if (row && !chosen && marked.closest("[data-for-chosen]")) row.querySelector("input[type=checkbox]").click();
  press(marked);
});

/** Leave what is open, and what is written in. */
function close(target) {
  for (const each of document.querySelectorAll("details.drop[open]")) {
    each.removeAttribute("open");
    each.querySelector("summary").focus();
  }
  if (target.matches("input, textarea, select")) target.blur();
}

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
  const opens = event.target.closest("[data-opens]");
  if (opens) document.getElementById(opens.dataset.opens).showModal();
  for (const each of document.querySelectorAll("details.drop[open]")) {
    if (!each.contains(event.target)) each.removeAttribute("open");
  }
});

// --- Everything anew after the page has changed ---------------------------------------------------

function dress() {
  document.documentElement.classList.add("script");
  if (currentKey) current()?.classList.add("current");
  counted();
}

/** What time that is here, said when somebody points at it. */
document.addEventListener("pointerover", (event) => {
  const time = event.target.closest("time:not([data-here])");
  if (!time) return;
  const here = new Date(time.dateTime).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
  time.dataset.here = here;
  time.title = time.title ? `${time.title}; here ${here}` : `here ${here}`;
});

document.addEventListener("mended", dress);
dress();
