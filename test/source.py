#!/usr/bin/python3
"""What the source promises about itself: its layers, and a schema whose
mistakes are told with their line."""

import glob

from lib import *


def layers(top, *files):
    return subprocess.run(["awk", "-f", os.path.join(ROOT, "scripts/layers"), *files],
                          cwd=top, capture_output=True, text=True)


def test_calls_go_down_the_layers():
    files = [os.path.relpath(f, ROOT) for d in ("common", "master", "worker")
             for f in glob.glob(os.path.join(ROOT, d, "*.[ch]"))]
    r = layers(ROOT, *sorted(files))
    assert r.returncode == 0, r.stdout


def test_what_goes_up_or_around_is_found():
    with tempfile.TemporaryDirectory() as top:
        for d in ("common", "worker", "master"):
            os.mkdir(os.path.join(top, d))

        def write(path, text=""):
            with open(os.path.join(top, path), "w") as f:
                f.write(text)
        write("worker/session.h")
        write("worker/conn.h")
        write("master/master.h")
        for path, text, word in (
                ("worker/json.c", '#include "session.h"\n', "layer"),
                ("worker/sweep.c", '#include "master.h"\n', "never sees"),
                ("master/x.c", '#include "conn.h"\n', "only worker.h"),
                ("common/x.c", '#include "conn.h"\n', "only itself"),
                ("worker/conn.c", "#include <wslay/wslay.h>\n", "belongs behind"),
                ("worker/nowhere.c", "\n", "give nowhere a place")):
            write(path, text)
            r = layers(top, path)
            assert r.returncode == 1 and word in r.stdout, (path, r.stdout)
            assert r.stdout.startswith(path + ":1:"), r.stdout


def test_a_mistake_in_the_schema_is_told_with_its_line():
    with open(os.path.join(ROOT, "worker/ocpp16.schema")) as f:
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


if __name__ == "__main__":
    main()
