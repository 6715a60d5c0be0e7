#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A library shows nothing but yomo_ symbols: --dynamic for a shared one."""
import subprocess
import sys

dynamic = "--dynamic" in sys.argv
library = [argument for argument in sys.argv[1:] if not argument.startswith("--")][0]
command = ["nm", "--defined-only", "--extern-only"] + (["-D"] if dynamic else [])
output = subprocess.run(command + [library], capture_output=True, text=True, check=True)
foreign = []
for line in output.stdout.splitlines():
    parts = line.split()
    # "A" is the name of the version itself.
    if len(parts) == 3 and parts[1] != "A" and not parts[2].startswith("yomo_"):
        foreign.append(parts[2])
if foreign:
    print(f"{library} shows {len(foreign)} symbols that do not begin with yomo_:")
    print("\n".join(foreign[:20]))
    print("Make them static, or keep them out of lib/libyomo.map.")
sys.exit(1 if foreign else 0)
