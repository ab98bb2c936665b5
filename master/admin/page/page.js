// The status page. Everything that comes from the gateway is put in as text,
// never as markup: names and payloads are chosen by strangers.
"use strict";

const $ = id => document.getElementById(id);
const number = new Intl.NumberFormat("en");
let selected = null;

function element(name, text, className) {
  const e = document.createElement(name);
  if (text !== undefined && text !== null) e.textContent = printable(text);
  if (className) e.className = className;
  return e;
}

// Control characters and marks that reorder text are shown as their numbers.
function printable(text) {
  return String(text).replace(
    /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g,
    c => "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0"));
}

async function get(path, type) {
  const headers = { Accept: type || "application/json" };
  const token = sessionStorage.getItem("token");
  if (token) headers.Authorization = "Bearer " + token;
  const r = await fetch(path, { headers });
  if (r.status === 401) {
    $("login").hidden = false;
    throw new Error(token ? "this token is not known" : "a token is needed");
  }
  if (!r.ok && r.status !== 503) throw new Error(path + ": " + r.status);
  $("login").hidden = true;
  return type ? r.text() : r.json();
}

function ago(time) {
  if (!time) return "never";
  const s = Math.max(0, (Date.now() - Date.parse(time)) / 1000);
  return s < 120 ? Math.round(s) + " s ago"
    : s < 7200 ? Math.round(s / 60) + " min ago"
    : s < 172800 ? Math.round(s / 3600) + " h ago"
    : Math.round(s / 86400) + " d ago";
}

function duration(ms) {
  const s = ms / 1000;
  return s < 120 ? Math.round(s) + " s" : s < 7200 ? Math.round(s / 60) + " min"
    : s < 172800 ? Math.round(s / 3600) + " h" : Math.round(s / 86400) + " d";
}

function show(status) {
  $("node").textContent = printable(status.node);
  const well = status.status === "healthy";
  $("state").replaceChildren(
    element("span", status.status, well ? "good" : "bad"),
    document.createTextNode(", version " + status.version + ", running for " +
      duration(status.uptimeMs)));
  $("problems-box").hidden = status.problems.length === 0;
  $("problems").replaceChildren(...status.problems.map(p => element("li", p)));
}

function figures(status, stats) {
  const latency = h => h && h.count ? "< " + number.format(Math.ceil(h.p99Us / 1000)) + " ms"
    : "none yet";
  const rows = [
    ["Connections", number.format(status.connections) + " of " +
      number.format(status.maxConnections)],
    ["Charge points known", number.format(status.identities)],
    ["Workers ready", status.workersReady + " of " + status.workers],
    ["Messages received", number.format(stats.messages_in)],
    ["Events written", number.format(stats.events)],
    ["Journal", status.journal.status],
    ["Answers, 99 of 100", latency(stats.answer_time)],
    ["Commits, 99 of 100", latency(stats.commit_time)],
    ["Pings, 99 of 100", latency(stats.ping_time)],
    ["Pings left out", number.format(stats.pings_skipped)],
  ];
  $("figures").replaceChildren(...rows.map(([k, v]) => {
    const d = element("div");
    d.append(element("dt", k), element("dd", v));
    return d;
  }));
}

const plots = [
  ["connections", "Connections"],
  ["acceptsPerSecond", "Accepted per second"],
  ["messagesInPerSecond", "Messages in per second"],
  ["messagesOutPerSecond", "Messages out per second"],
  ["eventsPerSecond", "Events per second"],
  ["pingsPerSecond", "Pings per second"],
];

function draw(series) {
  const space = "http://www.w3.org/2000/svg";
  $("plots").replaceChildren(...plots.map(([key, name]) => {
    const values = series[key], most = Math.max(...values, 0);
    const last = values.length ? values[values.length - 1] : 0;
    const round = v => number.format(Math.round(v * 10) / 10);
    const box = element("div", null, "plot");
    const head = element("p");
    head.append(element("span", name), element("b", round(last)));
    const svg = document.createElementNS(space, "svg");
    svg.setAttribute("viewBox", "0 0 720 100");
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", name + ": now " + round(last) +
      ", at most " + round(most) + " in the last hour");
    const line = document.createElementNS(space, "polyline");
    line.setAttribute("points", values.map((v, i) =>
      (720 - values.length + 1 + i) + "," +
      (98 - (most > 0 ? v / most * 94 : 0)).toFixed(1)).join(" "));
    svg.append(line);
    const foot = element("p");
    foot.append(element("span", "an hour ago"),
      element("span", "at most " + round(most)));
    box.append(head, svg, foot);
    return box;
  }));
}

function rows(body, list, cells) {
  $(body).replaceChildren(...list.map(x => {
    const tr = element("tr");
    for (const c of cells(x)) {
      const td = element("td");
      td.append(c instanceof Node ? c : printable(c ?? ""));
      tr.append(td);
    }
    return tr;
  }));
}

function opener(identity) {
  const b = element("button", identity);
  b.type = "button";
  b.addEventListener("click", () => open(identity));
  return b;
}

async function points() {
  const find = $("find").value.replace(/[[\]\\*?]/g, "\\$&");
  const q = new URLSearchParams({ state: $("which").value, limit: "50", sort: "seen" });
  if (find) q.set("match", "*" + find + "*");
  const got = await get("v1/charge-points?" +
    q.toString().replaceAll("+", "%20"));
  rows("points", got.connections, p => [opener(p.identity),
    p.online ? "connected, worker " + p.worker
      : p.closed ? "away: " + p.closeReason
      : p.refused ? "refused: " + p.refuseReason : "away",
    p.address, ago(p.lastSeen), p.lastAction]);
  $("count").textContent = got.connections.length + " of " +
    number.format(got.total);
}

async function open(identity, quiet) {
  selected = identity;
  const path = "v1/charge-points/" + encodeURIComponent(identity);
  const why = await get(path + "/why");
  let all = "";
  try {
    all = JSON.stringify(await get(path), null, 2);
  } catch (e) { /* unknown: its story shows that */ }
  const events = (await get("v1/events?cp=" + encodeURIComponent(identity),
    "application/x-ndjson")).trim().split("\n").slice(-20).reverse().join("\n");
  if (selected !== identity) return;
  $("one-name").textContent = printable(identity);
  $("one-why").textContent = printable(why.text);
  $("one-show").textContent = printable(all);
  $("one-events").textContent = printable(events || "none");
  $("one").hidden = false;
  if (!quiet) $("one").focus();
}

async function update() {
  try {
    const [status, stats, series, workers, refused] = await Promise.all([
      get("v1/status"), get("v1/stats"), get("v1/series"), get("v1/workers"),
      get("v1/refused?limit=20")]);
    show(status);
    figures(status, stats);
    draw(series);
    rows("workers", workers, w => [w.worker, w.state,
      number.format(w.connections), number.format(w.messagesIn), w.starts,
      w.lastDeath ? ago(w.lastDeath.time) + ", " + w.lastDeath.how : "none"]);
    rows("refused", refused, r => [ago(r.time),
      r.identity ? opener(r.identity) : "", r.address,
      r.sentence + (r.detail ? " (" + r.detail + ")" : "")]);
    await points();
    if (selected !== null) await open(selected, true);
  } catch (e) {
    $("state").replaceChildren(element("span", e.message, "bad"));
  }
  document.body.dataset.updates = Number(document.body.dataset.updates || 0) + 1;
}

$("search").addEventListener("submit", e => { e.preventDefault(); points(); });
$("login").addEventListener("submit", e => {
  e.preventDefault();
  sessionStorage.setItem("token", $("token").value.trim());
  $("token").value = "";
  update();
});
$("one-close").addEventListener("click", () => {
  selected = null;
  $("one").hidden = true;
});
update();
setInterval(() => { if (!document.hidden) update(); }, 3000);
