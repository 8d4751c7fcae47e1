// Regions of the page that follow what happens on the server, and forms that are sent in place.
// Everything works without it: then a page is as it was when it was loaded.

const stream = document.body.dataset.stream;
const every = 1000 * Number(document.body.dataset.every || 30);

// --- Regions --------------------------------------------------------------------------------------

/** What the server said of an element, without the texts of times, which always differ. */
const said = new WeakMap();

function source(element) {
  return element.outerHTML.replaceAll(/(<time datetime="[^"]*")[^>]*>[^<]*/g, "$1");
}

function remember(within) {
  for (const each of within.querySelectorAll("[data-live], [data-rows] > [data-key]")) said.set(each, source(each));
}

/** Put what the server shows now into every region, and keep what the reader was at. */
function take(html) {
  const fresh = new DOMParser().parseFromString(html, "text/html");
  remember(fresh);
  for (const region of document.querySelectorAll("[data-live]")) {
    const found = fresh.getElementById(region.id);
    if (found && !isBusy(region)) mend(region, found);
  }
  for (const name of ["form_token", "back"]) {
    const value = fresh.querySelector(`input[name=${name}]`)?.value;
    if (value) for (const each of document.querySelectorAll(`input[name=${name}]`)) each.value = value;
  }
  document.title = fresh.title;
  document.dispatchEvent(new Event("mended"));
  return fresh;
}

/** Whether somebody is writing there, or has something open there. */
function isBusy(region) {
  if (region.querySelector("details.drop[open]")) return true;
  const at = document.activeElement;
  return region.contains(at) && at.matches("input:not([type=checkbox]), textarea, select");
}

/** Make a region what the fresh one is: row by row where it has rows, as a whole where not. */
function mend(old, fresh) {
  const [known, rows] = [old, fresh].map((each) => each.querySelector("[data-rows]"));
  if (known && rows) {
    mendRows(known, rows);
    return;
  }
  if (said.get(old) === said.get(fresh)) {
    mendTimes(old, fresh);
    return;
  }
  said.set(old, said.get(fresh));
  const open = [...old.querySelectorAll("details[open][id]")].map((each) => each.id);
  keepingFocus(old, () => old.replaceChildren(...fresh.childNodes));
  for (const id of open) document.getElementById(id)?.setAttribute("open", "");
}

function mendRows(old, fresh) {
  const known = new Map([...old.children].map((row) => [row.dataset.key, row]));
  let place = old.firstElementChild;
  for (const row of [...fresh.children]) {
    let kept = known.get(row.dataset.key);
    known.delete(row.dataset.key);
    if (kept && said.get(kept) === said.get(row)) mendTimes(kept, row);
    else {
      row.classList.add("changed");
      if (kept) {
        if (place === kept) place = kept.nextElementSibling;
        const checked = kept.querySelector("input[type=checkbox]")?.checked;
        keepingFocus(old, () => kept.replaceWith(row));
        const box = row.querySelector("input[type=checkbox]");
        if (box) box.checked = Boolean(checked);
      }
      kept = row;
    }
    if (kept === place) place = place.nextElementSibling;
    else old.insertBefore(kept, place);
  }
  for (const row of known.values()) row.remove();
}

/** How long ago things were. */
function mendTimes(old, fresh) {
  const times = fresh.querySelectorAll("time");
  old.querySelectorAll("time").forEach((time, at) => {
    if (times[at] && time.textContent !== times[at].textContent) time.textContent = times[at].textContent;
  });
}

function keepingFocus(within, change) {
  const at = within.contains(document.activeElement) ? path(document.activeElement) : "";
  change();
  if (at) within.querySelector(at)?.focus({ preventScroll: true });
}

/** A selector that finds an element of the same meaning after its region was replaced. */
function path(element) {
  if (element.id) return `#${CSS.escape(element.id)}`;
  const key = element.closest("[data-key]")?.dataset.key;
  const named = ["name", "value", "href"].filter((name) => element.hasAttribute(name))
    .map((name) => `[${name}="${CSS.escape(element.getAttribute(name))}"]`);
  return (key ? `[data-key="${CSS.escape(key)}"] ` : "") + element.tagName.toLowerCase() + named.join("");
}

// --- Reading the page again -------------------------------------------------------------------------

// ms after an event until the page is read: events come in groups
const QUIET_TIME = Number(document.body.dataset.quiet || 250);
const REST = 1000; // ms at least between two readings, and four times what the last one took
let due = 0;
let reading = false;
let stale = false;
let notBefore = 0;

/** Read the page again, soon. */
function look(after = QUIET_TIME) {
  if (!due && !document.hidden) due = setTimeout(read, Math.max(after, notBefore - performance.now()));
}

async function read() {
  due = 0;
  if (reading) {
    stale = true;
    return;
  }
  reading = true;
  const began = performance.now();
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (answer.redirected && new URL(answer.url).pathname === "/sign-in") location.assign(answer.url);
    else if (answer.ok) take(await answer.text());
    connected(answer.ok);
  } catch {
    connected(false);
  } finally {
    reading = false;
    const now = performance.now();
    notBefore = now + Math.max(REST, 4 * (now - began));
    if (stale) look();
    stale = false;
  }
}

// --- The connection -----------------------------------------------------------------------------------

const DOUBT = 1000; // ms; a shorter break is nobody's business
const AGAIN = 3000; // ms between attempts where the browser makes none by itself
const KINDS = document.body.dataset.kinds?.split(" ") ?? [];
const banner = document.getElementById("lost");
const light = document.getElementById("live");
let events = null;
let doubted = 0;
let again = 0;

function connected(yes) {
  clearTimeout(doubted);
  doubted = 0;
  banner.hidden = yes;
  light.classList.toggle("on", yes && events?.readyState === EventSource.OPEN);
  // What the browser does not try by itself.
  if (!yes) {
    clearTimeout(again);
    again = setTimeout(read, AGAIN);
  }
}

function follow() {
  if (events || !stream) return;
  light.hidden = false;
  let opened = false;
  events = new EventSource(stream);
  events.onopen = () => {
    if (opened || !banner.hidden) look(0);
    opened = true;
    connected(true);
  };
  events.onerror = () => {
    light.classList.remove("on");
    // Refused: too many may follow. Then the page is read now and then, as it is anyway.
    if (events.readyState === EventSource.CLOSED) {
      leave();
      setTimeout(() => !document.hidden && follow(), AGAIN);
    }
    doubted ||= setTimeout(read, DOUBT);
  };
  for (const kind of KINDS) events.addEventListener(kind, () => look());
}

function leave() {
  events?.close();
  events = null;
}

// Not before the page is shown and can be used.
setTimeout(() => remember(document), 200);
addEventListener("popstate", () => location.reload());
if (stream) {
  follow();
  setInterval(() => look(0), every);
  // A page that nobody sees holds no connection: a browser has few of them for one server.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) leave();
    else {
      look(0);
      follow();
    }
  });
}

/** Say why a form was refused, in the words of the page that said so. */
function refused(html, status) {
  const page = new DOMParser().parseFromString(html, "text/html");
  const said = document.createElement("p");
  said.className = "notice problem";
  said.setAttribute("role", "status");
  said.textContent = page.querySelector("#main .empty p")?.textContent ?? `That did not work (${status}).`;
  document.getElementById("notice").replaceChildren(said);
}

// --- Forms, in place ----------------------------------------------------------------------------

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.matches("form[data-inline]") || event.defaultPrevented) return;
  event.preventDefault();
  const data = new FormData(form, event.submitter);
  const method = form.method.toUpperCase();
  let to = new URL(event.submitter?.getAttribute("formaction") || form.getAttribute("action") || "", location.href);
  const request = { method, headers: { Accept: "text/html" } };
  const sent = new URLSearchParams(data);
  if (method === "POST") request.body = sent;
  else {
    for (const [name, value] of [...sent]) if (!value) sent.delete(name);
    to.search = sent;
  }
  form.querySelectorAll("details.drop[open]").forEach((each) => each.removeAttribute("open"));
  form.closest("details.drop[open]")?.removeAttribute("open");
  document.activeElement?.blur();
  try {
    const answer = await fetch(to, request);
    const text = await answer.text();
    const at = new URL(answer.url);
    if (answer.redirected && at.pathname !== location.pathname) return location.assign(at);
    if (!answer.ok) {
      refused(text, answer.status);
      return;
    }
    if (method === "POST") {
      form.querySelectorAll("textarea").forEach((each) => { each.value = ""; });
      form.querySelectorAll("input[type=checkbox]:checked").forEach((each) => { each.checked = false; });
    }
    if (method === "GET" && at.href !== location.href) history.pushState(null, "", at);
    // A word on what was done is said once: it stays until the next action.
    document.getElementById("notice").replaceWith(take(text).getElementById("notice"));
    connected(true);
  } catch {
    connected(false);
  }
});
document.addEventListener("change", (event) => {
  const form = event.target.closest("form[data-at-once]");
  if (form && event.target.matches("select, input[type=checkbox]")) form.requestSubmit();
});
