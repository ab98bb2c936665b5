#!/usr/bin/python3
"""Rules of the source: its layers, the errors in schemas, which are reported with
their line, and names of OCPP, which occur only in worker/ocpp."""

import glob
import re

from lib import *


def layers(top, *files):
    return subprocess.run(["awk", "-f", os.path.join(ROOT, "scripts/layers"), *files],
                          cwd=top, capture_output=True, text=True)


def test_calls_go_down_the_layers():
    files = [os.path.relpath(f, ROOT) for d in ("common", "master", "worker")
             for f in glob.glob(os.path.join(ROOT, d, "**/*.[ch]"), recursive=True)]
    assert any("/net/" in f for f in files), files
    r = layers(ROOT, *sorted(files))
    assert r.returncode == 0, r.stdout


def test_an_include_that_breaks_the_layers_is_reported():
    with tempfile.TemporaryDirectory() as top:
        def write(path, text=""):
            path = os.path.join(top, path)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w") as f:
                f.write(text)
        for path in ("worker/worker.h", "worker/session/session.h", "worker/net/conn.h",
                     "worker/sweep.h", "master/base/master.h", "master/control/control.h",
                     "master/ctl/top.h", "common/buf.h"):
            write(path)
        for path, text, word in (
                ("worker/net/json.c", '#include "session/session.h"\n', "above"),
                ("worker/net/x.c", '#include "sweep.h"\n', "above"),
                ("worker/sweep.c", '#include "base/master.h"\n', "no base/master.h"),
                ("master/x.c", '#include "net/conn.h"\n', "no net/conn.h"),
                ("master/base/x.c", '#include "control/control.h"\n', "above"),
                ("master/ctl/x.c", '#include "control/control.h"\n', "no control/control.h"),
                ("common/x.c", '#include "net/conn.h"\n', "only itself"),
                ("worker/net/conn.c", "#include <wslay/wslay.h>\n", "included only in"),
                ("worker/nowhere/x.c", "\n", "no place")):
            write(path, text)
            r = layers(top, path)
            assert r.returncode == 1 and word in r.stdout, (path, r.stdout)
            assert r.stdout.startswith(path + ":1:"), r.stdout
        for path, text in (
                ("worker/session/x.c", '#include "net/conn.h"\n#include "buf.h"\n'),
                ("worker/sweep.c", '#include "session/session.h"\n#include "sweep.h"\n'),
                ("master/x.c", '#include "worker/worker.h"\n#include "control/control.h"\n'),
                ("master/ctl/x.c", '#include "ctl/top.h"\n')):
            write(path, text)
            r = layers(top, path)
            assert r.returncode == 0, (path, r.stdout)


def test_no_test_has_the_name_of_a_module_of_python():
    """The directory of a test is first in Python's path, so libraries would import a
    test of that name instead of the module."""
    names = {os.path.basename(f)[:-3] for f in glob.glob(ROOT + "/test/*.py")}
    assert "lib" in names
    hidden = names & set(sys.stdlib_module_names)
    assert not hidden, hidden


def test_an_error_in_a_schema_is_reported_with_its_line():
    with open(os.path.join(ROOT, "worker/ocpp/ocpp16.schema")) as f:
        lines = f.read().splitlines()
    at = next(i for i, l in enumerate(lines) if "connectorId" in l)
    with tempfile.TemporaryDirectory() as top:
        bad = os.path.join(top, "bad.schema")
        with open(bad, "w") as f:
            f.write("\n".join(lines[:at] + ["  connectorId: no-such-type"] + lines[at + 1:]))
        r = subprocess.run(["awk", "-f", os.path.join(ROOT, "scripts/schema.awk"),
                            "-v", "out=tables", bad], capture_output=True, text=True)
        assert r.returncode == 1, r.stdout[:200]
        assert "%s:%d:" % (bad, at + 1) in r.stderr + r.stdout, r.stderr


def test_a_message_without_an_event_does_not_build():
    with open(os.path.join(ROOT, "worker/ocpp/ocpp16.schema")) as f:
        text = f.read()
    for good, bad in (("message Heartbeat cp heartbeat", "message Heartbeat cp"),
                      ("message DataTransfer both data_transfer",
                       "message DataTransfer both")):
        assert good in text
        at = text[:text.index(good)].count("\n") + 1
        with tempfile.NamedTemporaryFile("w", suffix=".schema") as f:
            f.write(text.replace(good, bad))
            f.flush()
            r = subprocess.run(["awk", "-f", os.path.join(ROOT, "scripts/schema.awk"),
                                "-v", "out=tables", f.name],
                               capture_output=True, text=True)
            assert r.returncode == 1 and not r.stdout, r.stdout[:200]
            assert r.stderr.startswith("%s:%d:" % (f.name, at)), r.stderr
            assert "EVENT" in r.stderr, r.stderr


def actions():
    """Returns the names of all messages of the schemas."""
    found = set()
    for path in glob.glob(ROOT + "/worker/ocpp/*.schema"):
        with open(path) as f:
            found |= set(re.findall(r"^message (\w+)", f.read(), re.M))
    assert len(found) > 30, found
    return found


def code(path):
    """Returns the lines of a C file without its comments, with their numbers."""
    with open(path) as f:
        text = f.read()
    text = re.sub(r"/\*.*?\*/", lambda m: re.sub("[^\n]", " ", m.group()), text,
                  flags=re.S)
    return list(enumerate(text.split("\n"), 1))


def test_no_action_or_version_is_named_outside_of_worker_ocpp():
    names = actions()
    # These words have other meanings too, so they may occur in other texts.
    wrong = re.compile(r'\bACTION_(%s)\b|"(%s)"|ocpp(1\.6|16|2\.?0\.?1|2\.?1)\b'
                       '|OCPPJ_SPELLING_\w+' % (("|".join(sorted(names)),) * 2))
    seen = []
    files = [p for top in ("worker", "master", "common")
             for p in glob.glob(ROOT + "/" + top + "/**/*.[ch]", recursive=True)
             + glob.glob(ROOT + "/" + top + "/**/*.def", recursive=True)
             if not p.startswith(ROOT + "/worker/ocpp/")]
    assert len(files) > 100, files
    for path in files:
        for number, line in code(path):
            if wrong.search(line):
                seen.append("%s:%d: %s" % (os.path.relpath(path, ROOT), number,
                                           line.strip()))
    assert not seen, "names of OCPP outside of worker/ocpp:\n" + "\n".join(seen)


if __name__ == "__main__":
    main()
