#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Add up meson's test logs and close with one line that counts them all.

Exits with 1 when anything failed, could not be built, or when nothing passed."""
import argparse
import json
import sys

parser = argparse.ArgumentParser()
parser.add_argument("--broken", nargs="*", default=[])
parser.add_argument("--logs", nargs="*", default=[], help="NAME=testlog.json")
args = parser.parse_args()

passed, failed, skipped = 0, list(args.broken), []
for entry in args.logs:
    run, path = entry.split("=", 1)
    with open(path, encoding="utf-8") as log:
        for line in log:
            test = json.loads(line)
            name = f"{run}: {test['name']}"
            # A test of many cases says those that it left out, each in a line.
            skipped += [f"{run}: {line.removeprefix('skipped').strip()}"
                        for line in (test.get("stdout") or "").splitlines()
                        if line.startswith("skipped ") and test["result"] != "SKIP"]
            if test["result"] in ("OK", "EXPECTEDFAIL"):
                passed += 1
            elif test["result"] == "SKIP":
                skipped.append(name)
            else:
                failed.append(f"{name} ({test['result'].lower()})")

print()
for title, names in (("skipped", skipped), ("failed", failed)):
    for name in names:
        print(f"{title}  {name}")
print(f"{passed} passed, {len(failed)} failed, {len(skipped)} skipped")
sys.exit(1 if failed or not passed else 0)
