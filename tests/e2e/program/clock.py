#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The wall clock of a backend is set by hours while it runs, forward and back again."""
import base64
import contextlib
import hashlib
import hmac
import json
import os
import sqlite3
import struct
import time
import unittest
import urllib.request

from endpoint import Endpoint
from support import DEADLINE, TestCase, main

REFUSED = 4
HOUR = 3600
KEY = b"0123456789abcdef0123456789abcdef"
SECRET = "the-secret-of-the-operators-32-long"


def part(value):
    return base64.urlsafe_b64encode(value).rstrip(b"=")


def token(name, until):
    text = part(b'{"alg":"HS256"}') + b"." + part(
        json.dumps({"sub": name, "exp": int(until)}).encode())
    return (text + b"." + part(hmac.new(KEY, text, hashlib.sha256).digest())).decode()


@unittest.skipUnless(os.environ.get("YOMO_CLOCK"), "no clock that could be set")
class Clock(TestCase):
    def private(self, name, text):
        path = self.path(name, text)
        os.chmod(path, 0o600)
        return path

    def set_clock(self, hours):
        with open(self.path("clock"), "r+b") as file:
            file.write(struct.pack("=q", hours * HOUR * 1000))
        self.ahead = hours * HOUR

    def now(self):
        """As the backend has it."""
        return time.time() + self.ahead

    def serve_shifted(self, *flags):
        env = dict(os.environ, LD_PRELOAD=os.environ["YOMO_CLOCK"],
                   YOMO_CLOCK_FILE=self.path("clock"))
        env["ASAN_OPTIONS"] = env.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
        return self.serve("--token-keys", self.private("keys", KEY.decode()),
                          "--admin-port", "0",
                          "--admin-token-file", self.private("secret", SECRET),
                          "--bans-file", self.path("bans"), *flags, env=env)

    def ask(self, server, call, body=None):
        request = urllib.request.Request(
            f"http://127.0.0.1:{server.listening['admin_port']}/admin/v1/{call}",
            data=json.dumps(body).encode() if body else None,
            headers={"Authorization": f"Bearer {SECRET}", "Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
            return json.load(answer)

    def pub(self, server, name, until):
        return self.run_client(server, "pub", "r", "e", "1", "--transport", "websocket",
                               "--token", token(name, until))[0]

    def kept(self, room):
        """How many messages of a room are in the database."""
        with contextlib.closing(sqlite3.connect(self.path("history"))) as database:
            return database.execute(
                "SELECT count(*) FROM messages WHERE room = "
                "(SELECT id FROM rooms WHERE key = ?)",
                (b"default\0" + room.encode(),)).fetchone()[0]

    def until(self, holds):
        end = time.monotonic() + DEADLINE
        while not holds():
            self.assertLess(time.monotonic(), end)
            time.sleep(0.05)

    def test_it_is_set_forward_and_back(self):
        with open(self.path("clock"), "wb") as file:
            file.write(bytes(8))
        self.set_clock(0)
        endpoint = Endpoint()
        self.addCleanup(endpoint.close)
        stored = os.environ.get("YOMO_SQLITE") == "1"
        more = ("--history-messages", "5", "--history-age", "1h", "--history-store",
                f"sqlite:{self.path('history')}") if stored else ()
        server = self.serve_shifted(
            "--webhook-url", f"http://127.0.0.1:{endpoint.port}/",
            "--webhook-secret-file", self.private(
                "hook", "whsec_" + base64.b64encode(KEY).decode()),
            "--webhook-allow", "127.0.0.0/8", *more)
        sub = self.joined(server, "r", "--token", token("alice", self.now() + HOUR / 2))
        self.ask(server, "publish", {"room": "r", "event": "e", "data": 1})
        sub.record("message")
        self.ask(server, "ban", {"id": "mallory", "seconds": 600})
        if stored:
            self.until(lambda: self.kept("r") == 1)

        self.set_clock(5)
        server.err.until("forward by 1")
        # Who comes is judged by the clock as it stands; who is in has time to go on.
        self.assertEqual(self.pub(server, "bob", self.now() - HOUR), REFUSED)
        self.assertEqual(self.pub(server, "bob", self.now() + HOUR), 0)
        sub.record("message")
        self.assertEqual(self.pub(server, "mallory", self.now() + HOUR), REFUSED)
        ban = self.ask(server, "bans")["bans"][0]
        self.assertLess(abs(ban["until"] / 1000 - self.now() - 600), 60)
        # What is told outside has the date of when it is sent.
        self.until(lambda: any(abs(int(headers["webhook-timestamp"]) - self.now()) < 60
                               for headers, _ in endpoint.requests))
        if stored: # another room was trimmed since; what only seems old is there
            self.joined(server, "s", "--token", token("carol", self.now() + HOUR))
            for number in range(12):
                self.ask(server, "publish", {"room": "s", "event": "e", "data": number})
            self.until(lambda: self.kept("s") > 0)
            self.until(lambda: self.kept("s") == 5)
            self.assertEqual(self.kept("r"), 2)

        self.set_clock(0)
        server.err.until("back by 1")
        self.assertEqual(self.pub(server, "bob", self.now() + HOUR), 0)
        self.assertEqual(self.pub(server, "mallory", self.now() + HOUR), REFUSED)
        self.assertIsNone(sub.child.poll())
        server.child.kill()
        server.wait()
        server = self.serve_shifted() # as the file has it
        self.assertEqual(self.pub(server, "mallory", self.now() + HOUR), REFUSED)


if __name__ == "__main__":
    main()
