#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The programs that README.md and docs/embedding.md show, compiled and run as they stand
there."""
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "program"))

from support import TestCase, Terminal, main  # noqa: E402


class Readme(TestCase):
    def path(self, name, text=None):
        # The program knows no --state-dir: it finds it as any program of this user does.
        return super().path("yomo" if name == "state" else name, text)

    def test_the_program_in_the_readme_joins_hears_and_is_heard(self):
        server = self.serve()
        source = self.path("hello.c")
        program = self.path("hello")
        subprocess.run([sys.executable, HERE / "extract.py", os.environ["YOMO_README"],
                        source, str(server.listening["port"])], check=True)
        subprocess.run([*os.environ["YOMO_CC"].split(), "-Wall", "-Werror", "-o", program,
                        source, *os.environ["YOMO_LINK"].split()], check=True)
        os.environ["XDG_STATE_HOME"] = self.folder
        sub = self.joined(server, "demo", "--presence", "--id", "bob")
        hello = Terminal(program=program)
        self.addCleanup(hello.close)
        hello.until("in demo")
        came = sub.record("join")
        self.assertEqual((came["from"], came["state"]["name"]), ("alice", "Alice"))
        self.assertEqual(sub.record("message")["data"], "hello from C")
        self.run_client(server, "pub", "demo", "chat", '"good day"', "--id", "carol")
        hello.until('carol says "good day"')


    def test_the_program_without_rooms_speaks_to_itself(self):
        with open(os.environ["YOMO_EMBEDDING"], encoding="utf-8") as file:
            chapter = file.read().split("## WebTransport without rooms", 1)[1]
        source = self.path("shout.c", chapter.split("```c\n", 1)[1].split("```", 1)[0])
        program = self.path("shout")
        subprocess.run([*os.environ["YOMO_CC"].split(), "-Wall", "-Werror", "-o", program,
                        source, *os.environ["YOMO_LINK"].split()], check=True)
        os.environ["XDG_STATE_HOME"] = self.folder
        out = subprocess.run([program], check=True, capture_output=True, text=True,
                             timeout=20).stdout
        self.assertEqual(out, "HELLO\nclosed: thanks\n")


if __name__ == "__main__":
    main()
