#!/usr/bin/python3
"""The status page in a browser (make check-browser)."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from lib import *
from redis_fleet import redis, tidy
from admin import gateway

try:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
    from selenium.common.exceptions import StaleElementReferenceException
except ImportError:
    webdriver = None

DRIVER = "/usr/bin/chromedriver"

# The folder in which screenshots are stored for inspection; none if it is not set.
SHOTS = os.environ.get("OCPPD_TEST_SHOTS")

NASTY = ["<img src=x onerror=alert(1)>", "\"'><script>boom()<", "a&amp;b"]


class Browser:
    def __init__(self, g):
        if webdriver is None or not os.path.exists(DRIVER):
            raise Skip("there is no chromium-driver or no python3-selenium")
        o = webdriver.ChromeOptions()
        for a in ("--headless=new", "--no-sandbox", "--disable-gpu",
                  "--disable-dev-shm-usage", "--hide-scrollbars",
                  "--disable-background-networking",
                  "--window-size=1280,2000"):
            o.add_argument(a)
        o.set_capability("goog:loggingPrefs",
                         {"browser": "ALL", "performance": "ALL"})
        self.d = webdriver.Chrome(service=Service(DRIVER),
                                  options=o)
        self.base = "http://127.0.0.1:%d" % g.admin
        self.look(1280)

    def look(self, width, dark=False, height=1600):
        self.d.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": width, "height": height, "deviceScaleFactor": 1,
            "mobile": width < 500})
        self.d.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [
            {"name": "prefers-color-scheme",
             "value": "dark" if dark else "light"}]})
        self.d.get(self.base + "/")
        self.updated()

    def updated(self):
        n = self.updates()
        poll(lambda: self.updates() > n, 30 * SLOW, "an update of the page")

    def updates(self):
        return int(self.d.execute_script(
            "return document.body.dataset.updates || 0"))

    def text(self, id):
        return self.d.find_element(By.ID, id).text

    def press(self, css, text=None):
        """Presses Enter on the first element that matches css, or on the one with this
        text. The page may replace an element at any moment, so the search is
        repeated."""
        def pressed():
            try:
                for e in self.d.find_elements(By.CSS_SELECTOR, css):
                    if text is None or e.text == text:
                        e.send_keys(Keys.ENTER)
                        return True
            except StaleElementReferenceException:
                pass
            return False
        poll(pressed, what="a press of %s %s" % (css, text or ""))

    def shot(self, name):
        if SHOTS:
            self.d.save_screenshot(os.path.join(SHOTS, name + ".png"))

    def close(self):
        """Ends the browser, and checks that it has reported no error and has requested
        nothing from other hosts."""
        faults = [e["message"] for e in self.d.get_log("browser")
                  if e["level"] == "SEVERE" and " 404 " not in e["message"]]
        elsewhere = set()
        for e in self.d.get_log("performance"):
            m = json.loads(e["message"])["message"]
            if m["method"] == "Network.requestWillBeSent":
                url = m["params"]["request"]["url"]
                if not url.startswith((self.base, "data:", "chrome")):
                    elsewhere.add(url)
        self.d.quit()
        assert not faults, faults
        assert not elsewhere, elsewhere


def fleet(g):
    chargers = []
    for i in range(4):
        c = Charger(g, "SITE1-%02d" % i)
        c.boot()
        chargers.append(c)
    for name in NASTY:
        c = Charger(g, name)
        c.boot(vendor="<b>Vendor</b>", model="\u202emodel")
        chargers.append(c)
    refusal(g, "BAD-PATH", path="/elsewhere/BAD-PATH")
    g.ctl("deny", "add", "identity", "DENIED")
    refusal(g, "DENIED")
    return chargers


def test_the_page_loads_updates_and_shows_charge_points():
    g = gateway(server_workers="2", websocket_idle_timeout="300s")
    chargers = fleet(g)
    b = Browser(g)
    assert "healthy" in b.text("state"), b.text("state")
    assert not b.d.find_element(By.ID, "login").is_displayed()
    assert "%d of " % len(chargers) in b.text("figures")
    before = b.text("figures")
    for i in range(20):
        chargers[0].call("Heartbeat")
    poll(lambda: (b.updated(), b.text("figures") != before)[1], 30 * SLOW)
    poll(lambda: len(b.d.find_elements(By.CSS_SELECTOR, "#plots svg")) == 6)
    poll(lambda: "URL path" in b.text("refused"))
    # Names are shown as text, whatever they contain.
    poll(lambda: NASTY[-1] in b.text("points"))
    points = b.text("points")
    for name in NASTY:
        assert name in points, (name, points)
    assert not b.d.find_elements(By.CSS_SELECTOR, "main img, main b script")
    # Search a charge point with the keyboard, and open it.
    find = b.d.find_element(By.ID, "find")
    find.send_keys("SITE1-02" + Keys.ENTER)
    poll(lambda: b.text("points").split()[:1] == ["SITE1-02"] and
         len(b.d.find_elements(By.CSS_SELECTOR, "#points tr")) == 1)
    b.press("#points a", "SITE1-02")
    poll(lambda: "is connected since" in b.text("one-why"))
    poll(lambda: "Vendor, Model" in b.text("one-boot"))
    for e in b.d.find_elements(By.CSS_SELECTOR, "#one summary"):
        e.send_keys(Keys.ENTER)
    poll(lambda: "BootNotification" in b.text("one-events"))
    assert '"protocol": "ocpp1.6"' in b.text("one-show")
    # Its messages are shown while they pass, also as text.
    tap = b.d.find_element(By.ID, "one-tap")
    tap.send_keys(Keys.ENTER)
    poll(lambda: tap.get_attribute("aria-pressed") == "true" and
         "waiting" in b.text("one-frames"))

    def seen():
        chargers[2].call("DataTransfer", {"vendorId": NASTY[0]})
        return "<- " in b.text("one-frames") and "-> " in b.text("one-frames")
    poll(seen, 30 * SLOW)
    assert NASTY[0] in b.text("one-frames")
    assert not b.d.find_elements(By.CSS_SELECTOR, "main img, main b script")
    b.shot("open")
    # The open charge point is part of the page's address. Escape closes it, and the
    # focus returns to its link.
    assert b.d.current_url.endswith("#cp/SITE1-02"), b.d.current_url
    tap.send_keys(Keys.ENTER)
    poll(lambda: tap.get_attribute("aria-pressed") == "false")
    b.d.find_element(By.ID, "one-close").send_keys(Keys.ESCAPE)
    assert not b.d.find_element(By.ID, "one").is_displayed()
    assert b.d.switch_to.active_element.text == "SITE1-02"
    assert "#" not in b.d.current_url
    # Latencies, limits, and the models with the most problems.
    poll(lambda: "Answers to charge points" in b.text("latencies"))
    assert "Connections" in b.text("limits") and "%" in b.text("limits")
    b.press("#score-form button")
    poll(lambda: "Model" in b.text("score"), 30 * SLOW)
    assert "charge points" in b.text("score-text")
    # A refused charge point is opened from the list of refused handshakes.
    b.press("#refused a", "DENIED")
    poll(lambda: "deny list" in b.text("one-why"))
    b.close()


def test_a_long_list_is_paged_and_filtered_by_keyboard():
    g = gateway(server_workers="1", websocket_idle_timeout="300s",
                websocket_ping_interval="45s")
    chargers = [Charger(g, "CP%03d" % i) for i in range(60)]
    for c in chargers[:3]:
        c.boot("ACME", "Wall*Box")
    for c in chargers[3:]:
        c.boot("Other", "Post")
    b = Browser(g)

    def names():
        return b.d.execute_script("return [...document.querySelectorAll("
                                  "'#points a')].map(x => x.textContent)")
    poll(lambda: names() == ["CP%03d" % i for i in range(50)])
    assert b.text("count") == "1 to 50 of 60 charge points", b.text("count")
    assert "ACME, Wall*Box" in b.text("points")
    b.press("#next")
    poll(lambda: names() == ["CP%03d" % i for i in range(50, 60)])
    b.press("#before")
    poll(lambda: len(names()) == 50)
    # The focus stays where it is while the list is drawn again.
    focus = "return document.activeElement.textContent"
    b.d.execute_script("document.querySelectorAll('#points a')[7].focus()")
    assert b.d.execute_script(focus) == "CP007"
    b.updated()
    b.updated()
    assert b.d.execute_script(focus) == "CP007"
    b.d.find_element(By.ID, "model").send_keys("acme wall*" + Keys.ENTER)
    poll(lambda: names() == ["CP000", "CP001", "CP002"])
    poll(lambda: b.text("count") == "3 charge points")
    # On a phone each cell has the name of its column.
    b.look(390, height=3000)
    poll(lambda: len(names()) == 20)
    assert b.d.execute_script(
        "return getComputedStyle(document.querySelector('#points td'),"
        " '::before').content") == '"Identity"'
    # When the gateway does not answer, the page shows how old the figures are.
    g.stop()
    poll(lambda: "the figures below are from" in b.text("state"), 30 * SLOW)
    b.d.get_log("browser")  # removes the browser's message that the gateway cannot be reached
    b.close()


def test_the_page_shows_certificates_and_limits_that_are_nearly_reached():
    from tls import authority
    a = authority()
    g = gateway(server_workers="1", server_max_connections="10",
                websocket_idle_timeout="300s",
                server_listen_tls="127.0.0.1:%d" % free_port(),
                tls_certificate=a.path("server")[0],
                tls_key=a.path("server")[1])
    chargers = [Charger(g, "NEAR-%d" % i) for i in range(9)]
    b = Browser(g)
    poll(lambda: "90 %, near its limit" in b.text("limits"), 30 * SLOW)
    assert b.text("limits").startswith("Connections 9 10 "), b.text("limits")
    assert "localhost" in b.text("tls") and "ECDSA" in b.text("tls")
    assert "0 TLS handshakes" in b.text("tls-text")
    assert not b.d.find_element(By.ID, "redis-box").is_displayed()
    b.close()


@tidy
def test_the_page_shows_the_state_of_redis():
    s = redis()
    g = gateway(server_workers="1", redis_host="127.0.0.1", redis_port=s.port,
                websocket_idle_timeout="300s")
    c = Charger(g, "SHIPPED")
    c.boot()
    poll(lambda: g.tell("redis")["redis"]["shipped"] >= 2)
    b = Browser(g)
    poll(lambda: "ready" in b.text("redis"), 30 * SLOW)
    assert "Oldest event not yet shipped" in b.text("redis")
    assert "Longest stream in Redis" in b.text("limits")
    s.kill()
    poll(lambda: "ready" not in b.text("redis"), 60 * SLOW)
    b.close()


# Computes the contrast of each visible text and of the edges of controls, as
# WCAG 2.1 defines it. Returns the number of texts and [[ratio, text]] of those
# whose contrast is too low.
CONTRAST = """
const canvas = document.createElement("canvas").getContext("2d");
function rgba(color) {
  canvas.clearRect(0, 0, 1, 1);
  canvas.fillStyle = color;
  canvas.fillRect(0, 0, 1, 1);
  return [...canvas.getImageData(0, 0, 1, 1).data];
}
function ground(e) {
  for (; e; e = e.parentElement) {
    const c = rgba(getComputedStyle(e).backgroundColor);
    if (c[3] === 255) return c;
  }
  return [255, 255, 255, 255];
}
function light(c) {
  const [r, g, b] = c.slice(0, 3).map(x => x / 255)
    .map(x => x <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
function ratio(a, b) {
  const [x, y] = [light(a), light(b)].sort((p, q) => q - p);
  return (x + 0.05) / (y + 0.05);
}
const bad = [];
let looked = 0;
for (const e of document.querySelectorAll("body *")) {
  if (!e.checkVisibility()) continue;
  const s = getComputedStyle(e);
  const own = [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim());
  if (own) {
    looked++;
    const r = ratio(rgba(s.color), ground(e));
    if (r < 4.5) bad.push([r, e.textContent]);
  }
  if (e.matches("input, select, button")) {
    const r = ratio(rgba(s.borderTopColor), ground(e.parentElement));
    if (r < 3) bad.push([r, e.outerHTML]);
  }
}
return [looked, bad];
"""

# Checks what a screen reader needs: every control, plot and heading has a name,
# every reference to an id can be resolved, and no id occurs twice. Returns the
# faults.
NAMES = """
const bad = [];
for (const e of document.querySelectorAll("input, select"))
  if (!e.labels.length) bad.push("no label: " + e.outerHTML);
for (const e of document.querySelectorAll("button, a, h1, h2"))
  if (!e.textContent.trim() && e.checkVisibility()) bad.push("no text: " + e.outerHTML);
for (const e of document.querySelectorAll("[aria-labelledby]"))
  if (!document.getElementById(e.getAttribute("aria-labelledby")))
    bad.push("aria-labelledby names no element: " + e.outerHTML.slice(0, 80));
for (const e of document.querySelectorAll("svg:not([aria-label])"))
  bad.push("a plot has no aria-label");
for (const e of document.querySelectorAll("nav a"))
  if (!document.getElementById(e.hash.slice(1))) bad.push("a link to no element: " + e.hash);
const ids = [...document.querySelectorAll("[id]")].map(e => e.id);
if (new Set(ids).size !== ids.length) bad.push("an id occurs twice");
return bad;
"""


def test_the_lists_of_an_empty_gateway_are_marked_as_empty():
    g = gateway(server_workers="1")
    b = Browser(g)
    poll(lambda: "no such charge point" in b.text("points"))
    assert "none since the start" in b.text("refused")
    assert b.d.title.endswith(": healthy - ocppd"), b.d.title
    # A screen reader announces an element of role "status" when it changes, so an
    # update that changes nothing must not insert it again.
    b.d.execute_script("""
        window.announced = 0;
        for (const e of document.querySelectorAll("[role=status]"))
          new MutationObserver(() => window.announced++).observe(e,
            { childList: true, characterData: true, subtree: true });""")
    b.updated()
    b.updated()
    assert b.d.execute_script("return window.announced") == 0
    b.close()


def test_the_page_is_readable_on_wide_and_narrow_light_and_dark_screens():
    g = gateway(server_workers="2", websocket_idle_timeout="300s")
    chargers = fleet(g)
    b = Browser(g)
    for width, height in ((1280, 1700), (390, 4200)):
        for dark in (False, True):
            b.look(width, dark, height)
            for c in chargers[:4]:
                c.call("Heartbeat")
            b.press("#points a")
            poll(lambda: "is connected since" in b.text("one-why"))
            b.press("#score-form button")
            poll(lambda: "Model" in b.text("score"), 30 * SLOW)
            wide = b.d.execute_script(
                "return document.documentElement.scrollWidth")
            assert wide <= width, (width, wide)
            looked, bad = b.d.execute_script(CONTRAST)
            assert looked > 100 and not bad, (looked, bad)
            bad = b.d.execute_script(NAMES)
            assert not bad, bad
            b.shot("%d-%s" % (width, "dark" if dark else "light"))
    b.close()


if __name__ == "__main__":
    main()
