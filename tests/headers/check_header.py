#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compile one public header alone, twice in the same file: it must bring all that it
needs, guard itself, and warn about nothing."""
import argparse
import subprocess
import sys

parser = argparse.ArgumentParser()
parser.add_argument("--include", action="append", default=[])
parser.add_argument("--header", required=True)
parser.add_argument("--std", required=True)
parser.add_argument("compiler", nargs="+")
args = parser.parse_args()

language = "c++" if "++" in args.std else "c"
source = f"#include <yomo/{args.header}>\n" * 2 + "int main(void) { return 0; }\n"
if language == "c++":
    source = source.replace("(void)", "()")
command = args.compiler + ["-x", language, f"-std={args.std}", "-fsyntax-only", "-Wall",
                           "-Wextra", "-Wpedantic", "-Werror"]
command += [f"-I{folder}" for folder in args.include] + ["-"]
result = subprocess.run(command, input=source.encode(), check=False)
sys.exit(1 if result.returncode else 0)
