#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""count.py - instructions of the hot paths, beside those that counts.txt has.

    count.py --compiler NAME PROGRAM...

Runs each program under callgrind and adds up, for each PATH (path.h), what was executed
in it in lib/: libraries and the test around it do not count. Fails when one has grown by
more than 5 %, or is not in counts.txt. What a compiler makes of the code is another matter:
counts.txt has its numbers by compiler, and without some for this one, or without valgrind,
this is skipped (77). `scripts/instructions` builds what is needed and calls this, and with
--renew has them written."""
import argparse
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
LIB = os.path.join(os.path.dirname(os.path.dirname(HERE)), "lib") + os.sep
FILE = os.path.join(HERE, "counts.txt")
GROWTH = 0.05
SKIPPED = 77


def is_ours(name):
    """A compiler's cache may have what was compiled in another copy of the tree, whose
    name it bears: what counts is what it is called in lib/."""
    tail = name.rpartition("/lib/")[2]
    return tail != name and os.path.isfile(LIB + tail)


def self_costs(path):
    """Instructions executed in the files of lib/, of one dump of callgrind's, and the
    function whose end it was made at."""
    names, ours, total, trigger, skip = {}, False, 0, None, False
    with open(path, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if found := re.match(r"desc: Trigger: Client Request: (\S+)", line):
                trigger = found[1]
            elif found := re.match(r"f[lie]=\((\d+)\)(?: (.*))?$", line):
                if found[2]:
                    names[found[1]] = is_ours(found[2])
                ours = names[found[1]]
            elif found := re.match(r"cfi=\((\d+)\) (.*)$|cfl=\((\d+)\) (.*)$", line):
                number, name = (found[1] or found[3]), (found[2] or found[4])
                names[number] = is_ours(name)
            elif line.startswith("calls="):
                skip = True # the next line is what the callee cost
            elif re.match(r"[0-9+*-]", line):
                if ours and not skip:
                    total += int(line.split()[1])
                skip = False
    return trigger, total


def count(program):
    with tempfile.TemporaryDirectory(prefix="yomo-instructions-") as folder:
        done = subprocess.run(
            ["valgrind", "--tool=callgrind", "--compress-pos=no", "--collect-atstart=no",
             f"--callgrind-out-file={folder}/out", program],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=100, check=False,
            text=True, errors="replace")
        if done.returncode != 0:
            sys.exit(f"{program} failed:\n{done.stdout}")
        counts = {}
        for dump in glob.glob(f"{folder}/out*"):
            name, total = self_costs(dump)
            if name:
                counts[name] = total
        return counts


def read_known():
    known = {} # by compiler: by path
    if os.path.exists(FILE):
        with open(FILE, encoding="utf-8") as lines:
            compiler = None
            for line in lines:
                if found := re.match(r"\[(.*)\]$", line):
                    compiler = known.setdefault(found[1], {})
                elif found := re.match(r"(\w+) (\d+)$", line):
                    compiler[found[1]] = int(found[2])
    return known


def write_known(known):
    with open(FILE, "w", encoding="utf-8") as out:
        out.write("# Instructions in lib/ of the paths in this folder, by compiler.\n"
                  "# Written by `scripts/instructions --renew`.\n")
        for compiler, counts in sorted(known.items()):
            out.write(f"\n[{compiler}]\n")
            for name, number in sorted(counts.items()):
                out.write(f"{name} {number}\n")


def compare(counts, known):
    good = True
    for name, number in sorted(counts.items()):
        before = known.get(name)
        grown = (number - before) / before if before else None
        bad = not before or grown > GROWTH
        good = good and not bad
        print(f"{name:36} {number:9} "
              f"{'not in counts.txt' if not before else f'{grown:+7.1%}'}"
              f"{'  TOO MUCH' if bad else ''}")
    for name in sorted(set(known) - set(counts)):
        good = False
        print(f"{name:36} is not counted any more")
    if not good:
        print("A path takes more than 5 % more instructions than before. If that is worth "
              "it: scripts/instructions --renew, and say why in the commit.")
    return good


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--compiler", required=True)
    parser.add_argument("programs", nargs="*")
    options = parser.parse_args()
    renew = os.environ.get("YOMO_INSTRUCTIONS") == "renew" # a test has no arguments
    known = read_known()
    if not options.programs or not shutil.which("valgrind"):
        print("skipped: there is no valgrind")
        return SKIPPED
    if not renew and options.compiler not in known:
        print(f"skipped: counts.txt has nothing for {options.compiler}")
        return SKIPPED
    counts = {}
    for program in options.programs:
        counts.update(count(os.path.abspath(program)))
    if renew:
        compare(counts, known.get(options.compiler, {}))
        known[options.compiler] = counts
        write_known(known)
        return 0
    return 0 if compare(counts, known[options.compiler]) else 1


sys.exit(main())
