#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The C program in README.md, with the port of a test's own server in place of 8443."""
import re
import sys

readme, out, port = sys.argv[1:]
with open(readme, encoding="utf-8") as file:
    program = re.search(r"^```c\n(.*?)^```", file.read(), re.M | re.S).group(1)
if "https://localhost:8443" not in program:
    sys.exit("README.md: the program connects to another URL than https://localhost:8443")
with open(out, "w", encoding="utf-8") as file:
    file.write(program.replace("localhost:8443", "localhost:" + port))
