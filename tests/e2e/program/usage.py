#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the program says about itself, and to wrong command lines."""
import os
import subprocess

from support import PROGRAM, TestCase, main

COMMANDS = ["serve", "sub", "pub", "chat", "ping", "admin"]
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..")


class Help(TestCase):
    def test_without_a_command_the_page_of_the_program_is_shown(self):
        code, out, err = self.run_program()
        self.assertEqual((code, out), (2, ""))
        for command in COMMANDS:
            self.assertIn(f"  {command} ", err)

    def test_each_command_explains_itself_completely(self):
        for command in COMMANDS:
            code, out, err = self.run_program(command, "--help")
            self.assertEqual((code, err), (0, ""))
            self.assertTrue(out.startswith(f"Usage: yomo {command}"))
            for line in ["0  done", "1  failed", "2  wrong usage", "3  the server cannot",
                         "4  refused", "5  timed out"]:
                self.assertIn(line, out)
            self.assertEqual(self.run_program("help", command)[1], out)
            self.assertTrue(all(len(line) <= 80 for line in out.splitlines()), out)

    def test_the_flags_of_the_contract_are_there(self):
        wanted = {
            "serve": ["bind", "port", "http-port", "tls-cert", "tls-key", "workers",
                      "state-dir", "config", "origins", "echo", "insecure-open"],
            "sub": ["transport", "id", "public-key", "token", "ca", "cert-hash", "timeout",
                    "event", "count", "presence"],
            "pub": ["transport", "class", "latest-key", "repeat", "rate", "timeout"],
        }
        for command, flags in wanted.items():
            out = self.run_program(command, "--help")[1]
            for flag in flags:
                self.assertIn(f"\n  --{flag}", out)

    def test_the_version_names_the_libraries_inside(self):
        code, out, _ = self.run_program("--version")
        self.assertEqual(code, 0)
        for name in ["yomo ", "ngtcp2", "nghttp3", "OpenSSL", "libuv"]:
            self.assertIn(name, out)

    def test_the_page_of_options_is_what_the_table_says(self):
        code, out, _ = self.run_program("help", "--markdown")
        self.assertEqual(code, 0)
        with open(os.path.join(ROOT, "docs", "options.md"), encoding="utf-8") as page:
            self.assertEqual(page.read(), out,
                             "run: build/cli/yomo help --markdown > docs/options.md")

    def test_help_that_nobody_can_read_is_a_failure(self):
        with open("/dev/full", "w", encoding="utf-8") as full:
            done = subprocess.run([PROGRAM, "--help"], stdout=full, check=False)
        self.assertEqual(done.returncode, 1)


class WrongUsage(TestCase):
    def check(self, sentence, *args):
        code, out, err = self.run_program(*args)
        self.assertEqual((code, out), (2, ""), err)
        self.assertIn(sentence, err)
        self.assertEqual(err.count("\n"), 1, err)

    def test_what_is_wrong_says_what_would_be_right(self):
        self.check("did you mean 'serve'?", "sevre")
        self.check("did you mean --port?", "serve", "--prot", "1")
        self.check("a number from 0 to 65535", "serve", "--port", "http")
        self.check("auto, webtransport or websocket", "sub", "https://x", "room",
                   "--transport", "tcp")
        self.check("reliable|unreliable|latest", "pub", "https://x", "room", "e", "1",
                   "--class", "fast")
        self.check("ROOM is missing", "sub", "https://x")
        self.check("JSON is missing", "pub", "https://x", "room", "event")
        self.check("'more' is too much", "chat", "https://x", "room", "more")
        self.check("messages a second", "pub", "https://x", "r", "e", "1", "--rate", "-1")
        self.check("--class latest", "pub", "https://x", "r", "e", "1", "--latest-key", "k")
        self.check("from 1", "pub", "https://x", "r", "e", "1", "--repeat", "0")

    def test_a_url_that_is_none_is_wrong_usage(self):
        self.check("not a URL", "sub", "no url", "room")
        self.check("not a URL", "sub", "localhost:8443", "room") # its scheme is unknown
        self.check("", "sub", "https://x", "room", "--state", "[]")
        self.check("", "sub", "https://x", "")


if __name__ == "__main__":
    main()
