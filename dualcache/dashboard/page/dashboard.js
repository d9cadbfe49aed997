import { spanOf, spark, stacked, timeLine } from "./charts.js";

const $ = (id) => document.getElementById(id);
const SECTIONS = ["overview", "keys", "events", "doctor", "config"];
let session = { can_write: false, show_values: false, token: "" };
let latest = null;

// ---- small parts ----

// An element with children; texts become text nodes, so nothing of a key is ever markup.
function made(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "class") element.className = value;
    else if (name === "click") element.addEventListener("click", value);
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((each) => each !== null && each !== undefined));
  return element;
}

const none = "–";
// A thin space between thousands, as in 12 345.
const count = (value) => (value === null || value === undefined ? none : Math.round(value).toString().replace(/\B(?=(\d{3})+$)/g, "\u202f"));
const share = (value) => (value === null || value === undefined ? none : `${(100 * value).toFixed(value > 0.9995 || value === 0 ? 0 : 1)} %`);
const ms = (value) => {
  if (value === null || value === undefined) return none;
  if (value >= 1000) return `${(value / 1000).toFixed(1)} s`;
  return `${value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)} ms`;
};
function size(value) {
  if (value === null || value === undefined) return none;
  for (const [unit, bytes] of [["GB", 2 ** 30], ["MB", 2 ** 20], ["kB", 1024]]) {
    if (value >= bytes) return `${(value / bytes).toFixed(1)} ${unit}`;
  }
  return `${Math.round(value)} B`;
}
function duration(seconds) {
  if (seconds === null || seconds === undefined) return "for ever";
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const parts = [["d", 86400], ["h", 3600], ["min", 60]];
  for (const [unit, length] of parts) {
    if (seconds >= length) return `${(seconds / length).toFixed(seconds / length < 10 && unit !== "min" ? 1 : 0)} ${unit}`;
  }
  return none;
}
const ago = (at) => (at === null ? "never" : `${duration(Math.max(0, Date.now() / 1000 - at))} ago`);
const rate = (value) => (value >= 100 ? count(value) : value >= 10 ? value.toFixed(1) : value.toFixed(value ? 2 : 0));
const reasons = (counts) => Object.entries(counts).sort((a, b) => b[1] - a[1]).map(([name, number]) => `${name} ${count(number)}`).join(", ");

function cell(label, className, ...children) {
  return made("td", { role: "cell", "data-label": label, class: className }, ...children);
}

function notice(text, kind = "bad") {
  $("notice").textContent = text;
  $("notice").className = `notice ${kind}`;
  $("notice").hidden = !text;
}

// ---- the server ----

async function asked(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, { credentials: "same-origin", ...options });
  } catch {
    throw new Error("The program does not answer.");
  }
  const told = await answer.json().catch(() => ({ error: `The program answers with ${answer.status}.` }));
  if (!answer.ok) throw new Error([told.error ?? `Status ${answer.status}`, told.help].filter(Boolean).join(". "));
  return told;
}

function change(path, body) {
  return asked(path, {
    method: "POST",
    headers: { "content-type": "application/json", "x-csrf-token": session.token },
    body: JSON.stringify(body),
  });
}

function sayLive(text, kind) {
  $("live").textContent = text;
  $("live").className = `state ${kind}`;
}

let isBroken = false;

function listen() {
  const stream = new EventSource("api/stream");
  stream.onmessage = (message) => {
    sayLive("live", "good");
    if (isBroken) notice("");
    isBroken = false;
    show(JSON.parse(message.data));
  };
  stream.onerror = async () => {
    // Every stream ends after a while, and the browser opens the next: that is no failure.
    try {
      await asked("api/session");
      if (stream.readyState === EventSource.CLOSED) setTimeout(listen, 2000);
    } catch (error) {
      isBroken = true;
      sayLive("not live", "bad");
      notice(`${error.message} These are the last figures.`);
      if (stream.readyState === EventSource.CLOSED) setTimeout(listen, 2000);
    }
  };
}

// ---- overview ----

const backendName = (told) => (told.tier === "memory" ? "memory" : "Redis");

function tile(name, value, note, kind = "") {
  return made("div", { class: `tile ${kind}` }, made("dt", {}, name), made("dd", {}, made("strong", {}, value), made("small", {}, note)));
}

const CODES = { DC200: "the server cannot be reached", DC201: "the server does not answer" };

function front(told) {
  const one = told.front;
  if (!one) return tile("Front tier", "off", "no in-process tier");
  const kind = one.is_open || !one.reason ? "" : "warn"; // it opens at the first call
  const heard = one.nodes.length ? `${one.nodes.filter((node) => node.is_heard).length} of ${one.nodes.length} nodes heard` : one.reason;
  const state = one.is_open ? heard : (one.reason ? `closed: ${CODES[one.reason] ?? one.reason}` : "not open yet");
  return tile("Front tier", `${count(one.entries)}`, [one.transport, one.bytes ? size(one.bytes) : "", state].filter(Boolean).join(", "), kind);
}

let wanted = null;

// The figures of this process, or of all of them where they share theirs.
function viewOf(told) {
  const { process, fleet } = told.views;
  const own = process.functions.some((one) => one.calls);
  const chosen = fleet && (wanted ?? (own ? "process" : "fleet")) === "fleet" ? "fleet" : "process";
  $("views").hidden = !fleet;
  $("of-process").setAttribute("aria-pressed", String(chosen === "process"));
  $("of-fleet").setAttribute("aria-pressed", String(chosen === "fleet"));
  if (fleet) $("of-fleet").textContent = `All processes (${fleet.processes})`;
  return { ...told.views[chosen], isFleet: chosen === "fleet" };
}

for (const name of ["process", "fleet"]) {
  $(`of-${name}`).addEventListener("click", () => {
    wanted = name;
    if (latest) show(latest);
  });
}

function tiles(told, view) {
  const one = view.tiles;
  const since = view.isFleet ? "in 15 min" : "since the start";
  const server = told.server;
  $("tiles").replaceChildren(
    tile("Hit ratio", share(one.hit_ratio), view.isFleet ? "in 15 min" : `15 min; ${share(one.hit_ratio_total)} ${since}`),
    tile("Reads per second", rate(one.requests), `${count(one.reads)} ${since}`),
    tile("Load p95", ms(one.load_p95), `${count(one.loads)} loads, p50 ${ms(one.load_p50)}`),
    tile("Failed loads", count(one.load_failures), `${count(one.coalesced)} callers shared a load`, one.load_failures ? "warn" : ""),
    tile("Time saved", duration(one.seconds_saved), "hits × mean load time"),
    front(told),
    tile("Keys on the server", server ? count(server.keys) : none, server ? `${size(server["memory bytes"])} used, ${rate(server["evicted/s"] ?? 0)} evicted/s` : "no figures"),
    tile("Backend", told.is_available ? "up" : "down", told.pending ? `${count(told.pending)} deletions wait` : "nothing waits", told.is_available ? "good" : "bad"),
  );
}

function line(id, now, at, values, written, top) {
  const known = values.filter((value) => value !== null);
  const last = known.at(-1);
  const most = top ?? Math.max(...known, 0);
  $(now).textContent = written(last);
  const told = known.length
    ? `now ${written(last)}, lowest ${written(Math.min(...known))}, highest ${written(Math.max(...known))}`
    : "nothing measured yet";
  const label = `The last ${duration(spanOf(at))}: ${told}`;
  $(id).replaceChildren(
    made("span", { class: "top", "aria-hidden": "true" }, most ? written(most) : ""),
    known.length ? timeLine(at, values, { top: most || 1, label }) : made("p", { class: "nothing" }, "nothing measured yet"),
    made("span", { class: "from", "aria-hidden": "true" }, `${duration(spanOf(at))} ago`),
    made("span", { class: "to", "aria-hidden": "true" }, "now"),
  );
}

function lines(view) {
  const { at, hit_ratio: ratio, requests, load_p95: p95 } = view.lines;
  line("line-ratio", "ratio-now", at, ratio, share, 1);
  line("line-requests", "requests-now", at, requests, (value) => rate(value ?? 0));
  line("line-p95", "p95-now", at, p95, ms);
}

function partsOf(one, backend) {
  return [
    { name: "front", text: "front tier", count: one.front },
    { name: "backend", text: backend, count: one.backend },
    { name: "stale", text: "stale", count: one.stale },
    { name: "miss", text: "miss", count: one.misses },
  ];
}

const rows = new Map();

function newRow(name) {
  // Direct calls have no template that their keys could be found by.
  const link = name === "direct" ? made("span", {}, "direct calls") : made("a", { href: `#keys?template=${encodeURIComponent(name)}` }, name);
  const row = made("tr", { role: "row" }, made("th", { role: "rowheader", scope: "row" }, link, made("small", { class: "muted" })));
  for (let at = 0; at < 8; at += 1) row.append(made("td", { role: "cell" }));
  rows.set(name, row);
  return row;
}

// The row stays, with the focus on its link; its other cells are made anew.
function fillRow(row, one, backend, isFleet) {
  const parts = partsOf(one, backend);
  const said = parts.filter((part) => part.count).map((part) => `${part.text} ${count(part.count)}`).join(", ");
  const why = [];
  if (one.finding) why.push(made("p", { class: "finding" }, one.finding));
  if (Object.keys(one.not_stored).length) why.push(made("p", {}, made("b", {}, "not stored: "), reasons(one.not_stored)));
  if (one.misses) why.push(made("p", {}, reasons(one.miss_reasons)));
  if (one.load_failures) why.push(made("p", { class: "finding" }, `${count(one.load_failures)} loads failed`));
  row.querySelector("small").textContent = one.function === one.name ? "" : one.function;
  row.replaceChildren(
    row.firstChild,
    cell("Calls", "number calls", count(one.calls)),
    cell("Served from", "served", stacked(parts, said || "no calls"), made("small", { class: "muted" }, said)),
    cell("Hit ratio", "number", share(one.hit_ratio), one.line.filter((each) => each !== null).length > 1 ? spark(one.line, `line of the hit ratio of ${one.name}`) : null),
    cell("Load p50 / p95", "number", one.loads ? `${ms(one.load_p50)} / ${ms(one.load_p95)}` : none),
    cell("Size p50", "number", size(one.bytes_p50)),
    cell("TTL", "number", isFleet || one.name === "direct" ? none : duration(one.ttl)),
    cell("Invalidated", "", one.invalidations ? `${ago(one.invalidated_at)}, ${count(one.invalidations)}×` : "never"),
    cell("Why not a hit", "why", ...(why.length ? why : [none])),
  );
}

function functions(told, view) {
  const list = view.functions.filter((one) => one.calls || one.loads || one.load_failures);
  $("no-functions").hidden = list.length > 0;
  $("functions").hidden = list.length === 0;
  const body = $("functions").tBodies[0];
  const ordered = list.map((one) => rows.get(one.name) ?? newRow(one.name));
  list.forEach((one, at) => fillRow(ordered[at], one, backendName(told), view.isFleet));
  // Rows are moved only where the order changes: moving one takes the focus from it.
  if (ordered.length !== body.rows.length || ordered.some((row, at) => body.rows[at] !== row)) body.replaceChildren(...ordered);
  $("more-functions").hidden = !view.more_functions;
  $("more-functions").textContent = `${count(view.more_functions)} more functions with fewer calls`;
  const names = [["front", "front tier"], ["backend", backendName(told)], ["stale", "stale"], ["miss", "miss"]];
  $("legend").replaceChildren(...names.map(([name, text]) => made("span", { class: `key ${name}` }, text)));
  const known = [...$("templates").children].map((each) => each.value);
  if (known.join("\n") !== list.map((one) => one.name).join("\n")) {
    $("templates").replaceChildren(...list.map((one) => made("option", { value: one.name })));
  }
}

function show(told) {
  latest = told;
  const view = viewOf(told);
  $("backend").textContent = `${told.backend} ${told.is_available ? "up" : "down"}`;
  $("backend").className = `state ${told.is_available ? "good" : "bad"}`;
  $("about").textContent = `dualcache ${session.version}, process ${told.process}`;
  $("findings").replaceChildren(...view.findings.map((text) => made("p", { class: "notice warn" }, text)));
  if (!told.is_available) {
    $("findings").prepend(made("p", { class: "notice bad" }, `${told.backend} does not answer: functions run without the cache. The doctor says why.`));
  }
  tiles(told, view);
  lines(view);
  functions(told, view);
  if (!isPaused) tail();
  server(told.server);
}

// ---- events ----

let isPaused = false;

function tail() {
  const words = $("filter").value.trim().toLowerCase();
  const kept = latest.events.filter((one) => !words || `${one.name} ${one.template} ${JSON.stringify(one.fields)}`.toLowerCase().includes(words));
  $("no-events").hidden = kept.length > 0;
  $("no-events").textContent = latest.events.length ? "No event matches." : "Nothing has happened yet.";
  $("events-panel").hidden = kept.length === 0;
  $("tail").tBodies[0].replaceChildren(...kept.map((one) => made("tr", { role: "row" },
    cell("Time", "", new Date(one.at * 1000).toLocaleTimeString("en-GB")),
    made("th", { role: "rowheader", scope: "row" }, one.name),
    cell($("events-about").textContent, "name", one.template || none),
    cell("Details", "name", Object.entries(one.fields).map(([name, value]) => name === "detail" ? value : `${name} ${typeof value === "number" && !Number.isInteger(value) ? value.toFixed(2) : value}`).join(", ") || none),
  )));
}

$("filter").addEventListener("input", () => latest && tail());
$("pause").addEventListener("click", () => {
  isPaused = !isPaused;
  $("pause").setAttribute("aria-pressed", String(isPaused));
  $("pause").textContent = isPaused ? "Go on" : "Pause";
  if (!isPaused && latest) tail();
});

// ---- keys ----

const form = $("search");

function actions(key, row) {
  const buttons = [];
  if (session.show_values) buttons.push(made("button", { type: "button", click: () => preview(key, row), "aria-label": `Show the value of ${key}` }, "Value"));
  if (session.can_write) {
    buttons.push(
      made("button", { type: "button", click: () => changed("api/expire", key, "is stale now: the next call loads it"), "aria-label": `Refresh ${key}: the next call loads it` }, "Refresh"),
      made("button", { type: "button", class: "danger", click: () => changed("api/invalidate", key, "is gone"), "aria-label": `Invalidate ${key}` }, "Invalidate"),
    );
  }
  return made("span", { class: "buttons" }, ...buttons);
}

function entryRow(one) {
  const row = made("tr", { role: "row" }, made("th", { role: "rowheader", scope: "row", class: "name" }, one.key));
  if (one.error) {
    row.append(made("td", { role: "cell", colspan: "5", "data-label": "Error" }, one.error));
  } else {
    const states = [one.is_stale ? "stale" : "fresh", one.is_negative ? "exception" : "", one.tier === "front" ? "in front" : ""];
    row.append(
      cell("Tags", "name", one.tags.join(", ") || none), cell("Age", "number", duration(one.age)),
      cell("TTL", "number", duration(one.ttl)), cell("Size", "number", size(one.size)),
      cell("State", "", states.filter(Boolean).join(", ")),
    );
  }
  row.append(cell("", "actions", actions(one.key, row)));
  return row;
}

async function preview(key, row) {
  const below = row.nextElementSibling;
  if (below?.classList.contains("value")) return below.remove();
  const told = await asked(`api/value?key=${encodeURIComponent(key)}`).catch((error) => ({ value: error.message }));
  row.after(made("tr", { class: "value", role: "row" }, made("td", { role: "cell", colspan: "7" }, made("pre", { tabindex: "0", "aria-label": `Value of ${key}` }, told.value))));
}

async function changed(path, key, said) {
  try {
    const done = await change(path, { keys: [key] });
    await search();
    $("keys-status").textContent = done.pending ? `${key}: the server does not answer; delivered as soon as it does.` : `${key} ${said}.`;
    form.elements.template.focus();
  } catch (error) {
    $("keys-status").textContent = error.message;
  }
}

let searches = 0;

async function search() {
  searches += 1;
  const ours = searches;
  const query = new URLSearchParams(new FormData(form));
  $("drop-tag").hidden = !(session.can_write && form.elements.tag.value.trim());
  $("keys-status").textContent = "Searching…";
  try {
    const told = await asked(`api/keys?${query}`);
    if (ours !== searches) return; // a later search was begun meanwhile
    const number = told.rows.length;
    $("keys-status").textContent = number ? `${count(number)} ${number === 1 ? "entry" : "entries"}${told.is_cut ? ", and there are more: narrow the search" : ""}` : "Nothing is stored that matches.";
    $("entries").tBodies[0].replaceChildren(...told.rows.map(entryRow));
    $("keys-panel").hidden = number === 0;
  } catch (error) {
    $("keys-status").textContent = error.message;
    $("keys-panel").hidden = true;
  }
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  search();
});
$("drop-tag").addEventListener("click", () => {
  const tag = form.elements.tag.value.trim();
  $("sure-title").textContent = "Invalidate a tag?";
  $("sure-text").textContent = `Every entry with the tag ${tag} goes, in all processes.`;
  $("sure-yes").onclick = async () => {
    $("sure").close();
    try {
      await change("api/invalidate", { tags: [tag] });
      await search();
    } catch (error) {
      $("keys-status").textContent = error.message;
    }
  };
  $("sure").showModal();
});
$("sure-no").addEventListener("click", () => $("sure").close());

// ---- doctor and config ----

const MARKS = { good: "✓", warning: "!", fault: "✗", unknown: "?" };
const WORDS = { good: "well", warning: "warning", fault: "fault", unknown: "not known" };

async function examine() {
  $("doctor-status").textContent = "Checking…";
  $("examine").disabled = true;
  try {
    const found = await asked("api/doctor");
    const number = (level) => found.filter((one) => one.level === level).length;
    const many = (value, noun) => `${value} ${noun}${value === 1 ? "" : "s"}`;
    $("doctor-status").textContent = `${many(found.length, "check")}, ${many(number("warning"), "warning")}, ${many(number("fault"), "fault")}`;
    $("checks").replaceChildren(...found.map((one) => made("li", { class: one.level },
      made("span", { class: "mark", role: "img", "aria-label": WORDS[one.level] }, MARKS[one.level]),
      made("b", {}, `${one.check} ${one.node}`.trim()),
      made("span", { class: "cause" }, one.cause, one.mend ? made("small", {}, `→ ${one.mend}`) : null),
    )));
  } catch (error) {
    $("doctor-status").textContent = error.message;
  }
  $("examine").disabled = false;
}

$("examine").addEventListener("click", examine);

async function config() {
  try {
    const values = await asked("api/config");
    $("settings").tBodies[0].replaceChildren(...values.map((one) => made("tr", { role: "row" },
      made("th", { role: "rowheader", scope: "row" }, one.name), cell("Value", "name", one.value), cell("From", "", one.origin))));
  } catch (error) {
    notice(error.message);
  }
}

function server(figures) {
  $("no-server").hidden = Boolean(figures);
  const human = (name, value) => {
    if (value === null) return "not told";
    if (name.includes("bytes") || name.includes("limit")) return value ? size(value) : "none";
    if (name === "hit ratio") return share(value);
    if (name === "uptime") return duration(value);
    return name.endsWith("/s") ? rate(value) : count(value);
  };
  $("server").replaceChildren(...Object.entries(figures ?? {}).map(([name, value]) => tile(name, human(name, value), "")));
}

// ---- which section is shown ----

function go() {
  const [name, query] = location.hash.slice(1).split("?");
  const chosen = SECTIONS.includes(name) ? name : "overview";
  // Their ids are not those in the address, or the browser would scroll past the header.
  for (const each of SECTIONS) $(`section-${each}`).hidden = each !== chosen;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#${chosen}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  scrollTo(0, 0);
  document.title = `${chosen === "overview" ? "" : `${chosen[0].toUpperCase()}${chosen.slice(1)} – `}dualcache`;
  if (chosen === "keys") {
    if (query) {
      form.reset();
      form.elements.template.value = new URLSearchParams(query).get("template") ?? "";
    }
    search();
  }
  if (chosen === "doctor" && !$("checks").children.length) examine();
  if (chosen === "config") config();
}

addEventListener("hashchange", go);

async function begin() {
  try {
    session = await asked("api/session");
  } catch (error) {
    sayLive("not live", "bad");
    notice(error.message);
    return;
  }
  if (session.follows) {
    $("events-of").textContent = "The last 200 changes of keys and tags, by all processes, while this page is open; and what this dashboard does itself.";
    $("events-about").textContent = "About";
  }
  $("namespace").textContent = session.namespace ? session.namespace : "no namespace";
  go();
  listen();
}

begin();
