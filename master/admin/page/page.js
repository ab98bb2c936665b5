// The status page. Everything that comes from the gateway is inserted as text,
// never as markup, because names and payloads come from outside.
"use strict";

const $ = id => document.getElementById(id);
const number = new Intl.NumberFormat("en");
let selected = null;    // the identity of the charge point that is open
let page = 0;           // the part of the list of charge points that is shown
let lastGood = null;    // when the page was last updated without an error
let opener = null;      // the table body whose link opened the charge point
const narrow = matchMedia("(max-width: 600px)");
const PAGE = narrow.matches ? 20 : 50;

function element(name, text, className) {
  const e = document.createElement(name);
  if (text !== undefined && text !== null) e.textContent = printable(text);
  if (className) e.className = className;
  return e;
}

// Replaces control characters and characters that change the direction of text
// by escapes such as \u202e.
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
    throw new Error(token ? "this token is not valid" : "a token is needed");
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

// A text that has not changed is not set again, so that a selection in it and its
// scroll position are kept.
function put(id, text) {
  text = printable(text);
  if ($(id).textContent !== text) $(id).textContent = text;
}

const none = () => element("span", "none", "none");

function state(text, well) {
  put("state", text);
  $("state").className = well ? "good" : "bad";
}

function show(status) {
  $("node").textContent = printable(status.node);
  state(status.status, status.status === "healthy");
  put("running", ", version " + status.version + ", running for " +
    duration(status.uptimeMs));
  document.title = printable(status.node) + ": " + status.status + " - ocppd";
  $("problems-box").hidden = status.problems.length === 0;
  // A screen reader announces the list whenever it is replaced, so it is replaced
  // only if it has changed.
  const problems = status.problems.map(p => element("li", p));
  if (problems.map(p => p.textContent).join("\n") !==
      [...$("problems").children].map(p => p.textContent).join("\n"))
    $("problems").replaceChildren(...problems);
}

function figures(status, stats, config) {
  const rows = [
    ["Connections", number.format(status.connections) + " of " +
      number.format(status.maxConnections)],
    ["Charge points known", number.format(status.identities)],
    ["Workers ready", status.workersReady + " of " + status.workers],
    ["Messages received", number.format(stats.messages_in)],
    ["Events written", number.format(stats.events)],
    ["Journal", status.journal.status],
    ["Journal not yet on disk", bytes(stats.journal_backlog_bytes)],
    ["Pings every " + config.settings.websocket.ping_interval.value,
      number.format(stats.pings) + (stats.pings_skipped ? ", " +
        number.format(stats.pings_skipped) + " skipped" : "")],
    ["Commands queued or in flight", number.format(stats.commands_pending)],
    ["Deviations accepted", number.format(sum(stats.deviations))],
  ];
  const up = status.upgrade;
  if (up && up.last)
    rows.push(["Last upgrade", (up.lastFailed ? "failed " : "succeeded ") +
      ago(up.last)]);
  $("figures").replaceChildren(...rows.map(figure));
}

function figure([k, v]) {
  const d = element("div");
  d.append(element("dt", k), element("dd", v));
  return d;
}

const sum = o => Object.values(o).reduce((a, b) => a + b, 0);

function bytes(n) {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  let i = 0;
  for (; n >= 1024 && i < units.length - 1; i++) n /= 1024;
  return number.format(Math.round(n * 10) / 10) + " " + units[i];
}

const latencyNames = [
  ["answer_time", "Answers to charge points"],
  ["commit_time", "Commits of the journal"],
  ["command_time", "Commands until their answer"],
  ["ping_time", "Pings"],
  ["handshake_time", "Opening handshakes"],
  ["tls_handshake_time", "TLS handshakes"],
  ["platform_time", "Answers of the platform"],
  ["redis_time", "Requests to Redis"],
];

function latencies(stats) {
  const ms = us => us < 1000 ? us + " µs" : us < 1e6 ? us / 1000 + " ms"
    : us / 1e6 + " s";
  rows("latencies", latencyNames.filter(([k]) => stats[k] && stats[k].count),
    ([k, name]) => [name, number.format(stats[k].count), ms(stats[k].p50Us),
      ms(stats[k].p90Us), ms(stats[k].p99Us), ms(stats[k].maxUs)]);
}

// Shows how much of each limit is used; the limit with the largest share is first.
function limits(status, stats, config, redis) {
  const of = (section, key) => config.settings[section][key].value;
  const list = [
    ["Connections", status.connections, status.maxConnections],
    ["Charge points known", status.identities, status.maxIdentities],
    ["Opening handshakes", stats.handshaking, of("limits", "handshakes")],
    ["Buffers for charge points", stats.output_bytes,
      config.settings.limits.buffer_memory.bytes, bytes],
    ["Disk of the journal", stats.journal_disk_size_bytes -
      stats.journal_disk_free_bytes, stats.journal_disk_size_bytes, bytes],
    ["Longest stream in Redis", redis ? redis.streamEvents : 0,
      redis ? redis.streamMax : 0],
  ].filter(([, , most]) => most > 0)
    .sort((a, b) => b[1] / b[2] - a[1] / a[2]);
  rows("limits", list, ([name, used, most, form]) => {
    const share = Math.round(used / most * 100);
    const bar = document.createElement("meter");
    bar.max = 100;
    bar.high = 80;
    bar.optimum = 0;
    bar.value = share;
    bar.setAttribute("aria-hidden", "true");
    const cell = element("span", null, share >= 80 ? "bad" : "");
    cell.append(bar, " " + share + " %" + (share >= 80 ? ", near its limit" : ""));
    const f = form || (n => number.format(n));
    return [name, f(used), f(most), cell];
  });
}

function redisState(redis) {
  $("redis-box").hidden = !redis;
  if (!redis) return;
  $("redis").replaceChildren(...[
    ["State", redis.status],
    ["Oldest event not yet shipped", duration(redis.lagMs)],
    ["Events shipped", number.format(redis.shipped)],
    ["Events in the longest stream", number.format(redis.streamEvents)],
    ["Commands waiting", number.format(redis.commandsWaiting)],
    ["Sessions not yet claimed", number.format(redis.sessionsUnclaimed)],
  ].map(figure));
}

function certificates(tls) {
  $("tls-box").hidden = tls.files.length === 0;
  rows("tls", tls.files, f => [element("span", f.daysLeft < 0 ? "expired"
    : "in " + f.daysLeft + " d", f.daysLeft < 14 ? "bad" : ""), f.name, f.type,
    f.file]);
  const failures = Object.entries(tls.failures);
  $("tls-text").textContent = printable(
    number.format(sum(tls.handshakes)) + " TLS handshakes" + (failures.length
      ? ", failed: " + failures.map(([k, n]) => k + " " + number.format(n))
        .join(", ") : "") + (tls.expiring.length
      ? ". Client certificates that expire soon: " + tls.expiring.slice(0, 20)
        .map(e => e.identity).join(", ") : "") + ".");
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
    // The line begins with the first sample. A line needs two points, so a single
    // sample is drawn twice.
    const shown = values.length === 1 ? [last, last] : values;
    line.setAttribute("points", shown.map((v, i) =>
      (i * 720 / (shown.length - 1)).toFixed(1) + "," +
      (98 - (most > 0 ? v / most * 94 : 0)).toFixed(1)).join(" "));
    const area = document.createElementNS(space, "polygon");
    area.setAttribute("points", "0,100 " + line.getAttribute("points") + " 720,100");
    svg.append(area, line);
    const foot = element("p");
    foot.append(element("span", duration(values.length * 1000 * series.everySeconds) +
      " ago"),
      element("span", "at most " + round(most)));
    box.append(head, svg, foot);
    return box;
  }));
}

// Fills in a table. A table in which text is selected is not changed, so that the
// text can be copied. A link that has the focus keeps it. Each cell has the name of
// its column, which is shown on a narrow screen.
function rows(body, list, cells) {
  const at = $(body), chosen = getSelection();
  if (!chosen.isCollapsed && at.contains(chosen.anchorNode)) return;
  const columns = [...at.closest("table").tHead.rows[0].cells];
  const focus = at.contains(document.activeElement)
    ? document.activeElement.textContent : null;
  at.replaceChildren(...list.map(x => {
    const tr = element("tr");
    cells(x).forEach((c, i) => {
      const td = element("td");
      td.dataset.name = columns[i].textContent;
      td.className = columns[i].className;
      td.append(c instanceof Node ? c : printable(c ?? ""));
      tr.append(td);
    });
    return tr;
  }));
  if (list.length === 0 && at.dataset.none) {
    const none = element("td", at.dataset.none);
    none.colSpan = columns.length;
    at.append(element("tr"));
    at.rows[0].append(none);
  }
  if (focus === null) return;
  const again = [...at.querySelectorAll("a")].find(b => b.textContent === focus);
  if (again) again.focus({ preventScroll: true });
}

// The address of the page with a charge point opened is /#cp/IDENTITY.
const PREFIX = "#cp/";

function link(identity) {
  const a = element("a", identity);
  a.href = PREFIX + encodeURIComponent(identity);
  return a;
}

function follow() {
  if (!location.hash.startsWith(PREFIX)) return;
  let identity;
  try {
    identity = decodeURIComponent(location.hash.slice(PREFIX.length));
  } catch (e) { return; }
  opener = document.activeElement.closest("tbody");
  open(identity).catch(failed);
}

function close() {
  const identity = selected;
  stopTap();
  selected = null;
  $("one").hidden = true;
  history.replaceState(null, "", location.pathname);
  const back = opener && [...opener.querySelectorAll("a")]
    .find(a => a.textContent === printable(identity));
  (back || $("find")).focus();
}

const pattern = text => "*" + text.replace(/[[\]\\*?]/g, "\\$&") + "*";

async function points() {
  const q = new URLSearchParams({ state: $("which").value, limit: PAGE,
    sort: $("sort").value, offset: page * PAGE });
  if ($("find").value) q.set("match", pattern($("find").value));
  if ($("model").value) q.set("model", pattern($("model").value));
  const got = await get("v1/charge-points?" +
    q.toString().replaceAll("+", "%20"));
  if (page > 0 && got.connections.length === 0) { // the list has become shorter
    page = 0;
    return points();
  }
  rows("points", got.connections, p => [link(p.identity),
    p.online ? "connected, worker " + p.worker
      : p.closed ? "away: " + p.closeReason
      : p.refused ? "refused: " + p.refuseReason : "away",
    p.protocol, [p.vendor, p.model].filter(x => x).join(", "), p.address,
    ago(p.lastSeen), p.lastAction]);
  const first = page * PAGE, n = got.connections.length;
  put("count", (n < got.total ? number.format(first + 1) + " to " +
    number.format(first + n) + " of " : "") + number.format(got.total) +
    " charge points");
  $("before").hidden = page === 0;
  $("next").hidden = first + n >= got.total;
}

function turn(to) {
  page = to;
  return points().catch(failed);
}

function failed(e) {
  state(e.message +
    (lastGood ? "; the figures below are from " + lastGood.toLocaleTimeString() : ""),
    false);
  put("running", "");
}

async function open(identity, quiet) {
  if (selected !== identity) stopTap();
  selected = identity;
  const path = "v1/charge-points/" + encodeURIComponent(identity);
  const why = await get(path + "/why");
  let all = "";
  try {
    all = JSON.stringify(await get(path), null, 2);
  } catch (e) { /* the identity is unknown, and the text of /why contains that */ }
  if (selected !== identity) return;
  put("one-name", identity);
  put("one-why", why.text);
  put("one-show", all);
  $("one").hidden = false;
  if (quiet) return;
  // The journal may be large, so only its last hour is read, and not again at each
  // update.
  $("one").focus();
  $("one-boot").textContent = "";
  const events = (await get("v1/events?since=1h&cp=" +
    encodeURIComponent(identity), "application/x-ndjson")).trim().split("\n")
    .filter(x => x);
  if (selected !== identity) return;
  $("one-boot").textContent = printable(bootOf(events));
  $("one-events").textContent =
    printable(events.slice(-20).reverse().join("\n") || "none");
}

// Vendor, model and firmware of the last BootNotification.
function bootOf(events) {
  for (const line of events.slice().reverse()) {
    if (!line.includes('"eventType":"charge_point.booted"')) continue;
    const p = JSON.parse(line).payload, s = p.chargingStation || p;
    return [s.vendorName || p.chargePointVendor, s.model || p.chargePointModel,
      s.firmwareVersion ? "firmware " + s.firmwareVersion : ""]
      .filter(x => x).join(", ");
  }
  return "";
}

// --- the messages of the open charge point, while they are received and sent ----

let tap = null; // an AbortController while messages are shown

function stopTap() {
  if (tap) tap.abort();
  tap = null;
  $("one-tap").textContent = "Watch its messages";
  $("one-tap").setAttribute("aria-pressed", "false");
}

function showFrame(line) {
  let text = line;
  try {
    const f = JSON.parse(line);
    if (f.error) text = f.error.message;
    else if (f.frame !== undefined) text = f.timestamp.slice(11, 23) + " " +
      (f.direction === "in" ? "<- " : "-> ") + f.frame +
      (f.decision ? "   (" + f.decision + ")" : "");
  } catch (e) { /* a line that is not JSON is shown unchanged */ }
  const p = element("div", text);
  $("one-frames").prepend(p);
  while ($("one-frames").childNodes.length > 200) $("one-frames").lastChild.remove();
}

async function startTap(identity) {
  const mine = tap = new AbortController();
  const token = sessionStorage.getItem("token");
  $("one-frames").replaceChildren(element("div", "waiting for the next message"));
  $("one-frames").hidden = false;
  $("one-tap").textContent = "Stop";
  $("one-tap").setAttribute("aria-pressed", "true");
  try {
    const r = await fetch("v1/charge-points/" + encodeURIComponent(identity) +
      "/tap", { signal: mine.signal,
      headers: token ? { Authorization: "Bearer " + token } : {} });
    const reader = r.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      const lines = (rest + value).split("\n");
      rest = lines.pop();
      lines.filter(x => x).forEach(showFrame);
    }
  } catch (e) {
    if (!mine.signal.aborted) showFrame(e.message);
  }
  if (tap === mine) stopTap();
}

$("one-tap").addEventListener("click", () => {
  if (tap) stopTap();
  else startTap(selected);
});

// --- the models, vendors or charge points with the most problems -----------------

async function score() {
  const by = $("score-by").value;
  $("score-text").textContent = "reading";
  try {
    const got = await get("v1/score?worst=20&by=" + by + "&since=" +
      $("score-since").value);
    rows("score", got.worst, r => [
      r[by] === null ? "(no boot seen)" : by === "identity" ? link(r[by]) : r[by],
      number.format(Math.round(r.score * 10) / 10), number.format(r.chargePoints),
      Object.entries(r.deviations).map(([k, n]) => k + " " + n).join(", ") || "none",
      number.format(r.violations), r.lateAnswers + ", " + r.missingAnswers,
      Object.entries(r.endsPerDay).map(([k, n]) => k + " " +
        Math.round(n * 10) / 10).join(", ") || "none",
      r.pingMs === undefined ? "" : r.pingMs + " ms",
      r.clockSkewMs === undefined ? ""
        : (Math.round(r.clockSkewMs / 100) / 10 + 0).toFixed(1) + " s"]);
    $("score-box").hidden = false;
    $("score-text").textContent = number.format(got.events) + " events of " +
      number.format(got.chargePoints) + " charge points" +
      (got.partial ? "; the journal was read for 5 s, not to its end" : "");
  } catch (e) {
    $("score-text").textContent = printable(e.message);
  }
}

$("score-form").addEventListener("submit", e => { e.preventDefault(); score(); });

async function update() {
  try {
    const [status, stats, series, workers, refused, config, redis, tls] =
      await Promise.all(["status", "stats", "series", "workers",
        "refused?limit=20", "config", "redis", "tls?expiring=30d"]
        .map(p => get("v1/" + p)));
    show(status);
    figures(status, stats, config);
    draw(series);
    latencies(stats);
    limits(status, stats, config, redis.redis);
    redisState(redis.redis);
    certificates(tls);
    rows("workers", workers, w => [w.worker, w.state,
      number.format(w.connections), number.format(w.messagesIn), w.starts,
      w.lastDeath ? ago(w.lastDeath.time) + ", " + w.lastDeath.how : none(),
      w.lastWords || none()]);
    rows("refused", refused, r => [ago(r.time) + (r.count > 1 ? ", " +
      number.format(r.count) + " times" : ""),
      r.identity ? link(r.identity) : none(), r.address,
      r.sentence + (r.detail ? " (" + r.detail.replace(/\.$/, "") + ")" : "") +
      (r.path ? ": " + r.path : "")]);
    await points();
    if (selected !== null) await open(selected, true);
    lastGood = new Date();
  } catch (e) {
    failed(e);
  }
  document.body.dataset.updates = Number(document.body.dataset.updates || 0) + 1;
}

$("search").addEventListener("submit", e => { e.preventDefault(); turn(0); });
for (const id of ["which", "sort"])
  $(id).addEventListener("change", () => turn(0));
$("before").addEventListener("click", () => turn(page - 1));
$("next").addEventListener("click", () => turn(page + 1));
$("login").addEventListener("submit", e => {
  e.preventDefault();
  sessionStorage.setItem("token", $("token").value.trim());
  $("token").value = "";
  update();
});
$("one-close").addEventListener("click", close);
$("one").addEventListener("keydown", e => { if (e.key === "Escape") close(); });
addEventListener("hashchange", follow);
follow();
update();
setInterval(() => { if (!document.hidden) update(); }, 3000);
