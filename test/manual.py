#!/usr/bin/python3
"""The manual pages: mandoc reports no error, and the pages describe every setting,
command, counter and event."""

from lib import *

PAGES = ["ocppd.8", "ocppctl.8", "ocppd.conf.5", "ocppd-events.7",
         "ocppd-stats.7"]


def page(name):
    path = os.path.join(B, "man", name)
    if not os.path.exists(path):
        path = os.path.join(ROOT, "man", name)
    assert os.path.exists(path), "there is no page " + name
    return path


def text(name):
    """Returns the text of a page as a terminal shows it, with one line for each
    paragraph."""
    if not shutil.which("mandoc"):
        raise Skip("mandoc is not installed")
    r = subprocess.run(["mandoc", "-T", "utf8", "-O", "width=500", page(name)],
                       stdout=subprocess.PIPE, text=True)
    assert len(r.stdout) > 1000, (name, r)
    return re.sub(".\x08", "", r.stdout)


def table(file, pattern):
    with open(os.path.join(ROOT, "common", file)) as f:
        found = re.findall(pattern, f.read(), re.M)
    assert found
    return found


def family():
    names = sorted(re.sub(r"\.in$", "", n)
                   for n in os.listdir(os.path.join(ROOT, "man")))
    assert len(names) >= 8, names
    return names


def test_mandoc_reports_no_error_in_any_page():
    if not shutil.which("mandoc"):
        raise Skip("mandoc is not installed")
    pages = set(PAGES)
    for d in (os.path.join(B, "man"), os.path.join(ROOT, "man")):
        if os.path.isdir(d):
            pages |= {n for n in os.listdir(d) if re.search(r"\.[1-9]$", n)}
    for name in sorted(pages):
        r = subprocess.run(["mandoc", "-T", "lint", "-W", "style", page(name)],
                           stdout=subprocess.PIPE, text=True)
        # mandoc does not find the other pages of ocppd, because they are not installed.
        faults = [l for l in r.stdout.splitlines()
                  if "referenced manual not found" not in l]
        assert not faults, "\n".join(faults)


def test_no_sentence_ends_with_two_full_stops():
    for name in family():
        t = text(name)
        assert not re.search(r"[^. ]\.\.(\s|$)", t), (
            name, re.findall(r".*[^. ]\.\.(?:\s|$)", t)[:5])


def test_words_of_headings_are_not_read_as_macros():
    for name in family():
        for l in text(name).splitlines():
            # A heading is indented less than text.
            assert not re.match(r" {0,3}<", l), (name, l)


def test_each_page_refers_to_all_others():
    for name in family():
        t = text(name)
        also = t[t.rindex("SEE ALSO"):]
        for other in family():
            if other != name:
                base, _, number = other.rpartition(".")
                assert "%s(%s)" % (base, number) in also, (name, other)


def test_the_example_of_an_event_is_a_valid_event():
    t = text("ocppd-events.7")
    got = re.search(r"becomes this event.*?(\{\"eventId\".*?\})\n\n", t, re.S)
    example = json.loads(re.sub(r"\n\s*", "", got[1]))
    g = Gateway()
    c = Charger(g, "CP001")
    c.boot()
    c.start()
    real = g.wait_events(1, type="transaction.started")[0]
    members = [m for m in real if m != "crc32c"]
    assert list(example) == members, (list(example), members)
    assert list(example["answer"]) == list(real["answer"])


def test_every_setting_is_in_the_manual():
    t = text("ocppd.conf.5")
    for section in table("conf.def", r"^SECTION\((\w+)"):
        assert "[%s]" % section in t, section
    for section, key in table("conf.def", r"^(?:FLAG|COUNT|TIME|SIZE|WORD|TEXT|SECRET|"
                              r"LIST)\((\w+), (\w+)"):
        assert re.search(r"\b%s\b" % key, t), key
    for key, word in table("conf.def", r"^CHOICE\(\w+, (\w+), (\w+)"):
        assert re.search(r"\b%s\b" % word, t), (key, word)


def test_every_command_is_in_the_manual():
    t = text("ocppctl.8")
    options = 0
    for word, usage in table("commands.def",
                             r'^COMMAND\(\w+, "([\w-]+)", "([^"]*)"'):
        assert re.search(r"^ *%s\b" % re.escape(word), t, re.M), word
        for option_ in re.findall(r"--[\w-]+", usage):
            assert option_ in t, option_
            options += 1
    assert options > 20, options


def test_every_counter_is_in_the_manual():
    t = text("ocppd-stats.7")
    for name in table("stats.def",
                      r"^(?:COUNTER|COUNTER_BY|GAUGE|GAUGE_BY|GAUGE_MAX|HISTOGRAM)\((\w+)"):
        assert re.search(r"\b%s\b" % name, t), name


def test_every_event_and_reason_is_in_the_manual():
    t = text("ocppd-events.7")
    for type in table("event.def", r'^EVENT\(\w+, "([^"]+)"'):
        assert type in t, type
    for word in table("outcome.def", r"^OUTCOME\((\w+)"):
        assert re.search(r"\b%s\b" % word, t), word


def test_the_options_of_the_daemon_are_in_the_manual():
    t = text("ocppd.8")
    for flag in "cdotxV":
        assert re.search(r"-%s\b" % flag, t), flag
    for sig in ("SIGHUP", "SIGTERM", "SIGQUIT", "SIGUSR1"):
        assert sig in t, sig
    for code in ("64", "78"):
        assert re.search(r"^ *%s\b" % code, t, re.M), code


if __name__ == "__main__":
    main()
