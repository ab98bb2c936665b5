#!/usr/bin/env python3
"""Each fuzzer runs for a few seconds from its seeds. `make fuzz` runs them for longer."""

import glob
import os
import sys

here = os.path.dirname(os.path.abspath(__file__))
B = os.environ.get("B", "build")
found = sorted(glob.glob(os.path.join(B, "fuzz", "*_fuzz")))
if not found:
    print("there are no fuzzers in %s: make check-programs" % B)
    print("0 passed, 1 failed, 0 skipped")
    sys.exit(1)
sys.stdout.flush()
os.execv(os.path.join(here, "fuzz", "run"),
         ["run", os.environ.get("OCPPD_TEST_FUZZ_SECONDS", "4")] + found)
