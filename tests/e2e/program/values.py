#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a room shares: values that are compared and set, locks; over each transport."""
import json
import os
import signal
import time

from support import TRANSPORTS, TestCase, main

MEMBERS = 8
TIMES = 50


class Shared(TestCase):
    def setUp(self):
        super().setUp()
        self.server = self.serve("--message-burst", "100000", "--message-rate", "100000",
                                 "--lease-max", "3s", "--grace-time", "1s",
                                 "--silence-timeout", "2s")

    def value(self, room, key, *flags):
        code, out, err = self.run_client(self.server, "value", room, key, *flags)
        return code, json.loads(out) if out else None, err

    def values(self, room, *flags):
        code, out, err = self.run_client(self.server, "values", room, *flags)
        self.assertEqual((code, err), (0, ""))
        return {record["key"]: record for record in map(json.loads, out.splitlines())}


class Values(Shared):
    def test_a_value_is_set_and_read_and_taken_away(self):
        for transport in TRANSPORTS:
            with self.subTest(transport=transport):
                over = ["--transport", transport]
                self.assertEqual(self.value(transport, "k", *over)[0], 1)
                code, first, _ = self.value(transport, "k", "--set", '{"page":1}', "--id",
                                            "ada", *over)
                self.assertEqual((code, first["value"], first["from"]),
                                 (0, {"page": 1}, "ada"))
                self.assertEqual(self.value(transport, "k", *over)[1], first)
                code, _, err = self.value(transport, "k", "--set", "2", "--if-version",
                                          "0", *over)
                self.assertEqual((code, err),
                                 (1, "yomo value: somebody else was first\n"))
                code, second, _ = self.value(transport, "k", "--set", "2", "--if-version",
                                             str(first["version"]), *over)
                self.assertEqual((code, second["value"]), (0, 2))
                self.assertGreater(second["version"], first["version"])
                self.assertEqual(self.value(transport, "k", "--delete", "--if-version",
                                            str(first["version"]), *over)[0], 1)
                self.assertEqual(self.value(transport, "k", "--delete", *over)[0], 0)
                self.assertEqual(self.value(transport, "k", "--delete", *over)[0], 1)
                self.assertEqual(self.values(transport, *over), {})

    def test_eight_members_count_and_nothing_is_lost(self):
        members = [self.client(self.server, "value", "room", "n", "--add", "1", "--repeat",
                               str(TIMES), "--transport",
                               TRANSPORTS[i % len(TRANSPORTS)])
                   for i in range(MEMBERS)]
        for member in members:
            self.assertEqual(member.wait(), 0, member.err.seen)
        self.assertEqual(self.value("room", "n")[1]["value"], MEMBERS * TIMES)

    def test_whoever_comes_late_sees_all_of_many(self):
        writer = self.start("sub", self.server.url, "room", "--state-dir",
                            self.path("state"))
        writer.record("joined")
        for i in range(3):
            self.assertEqual(self.value("room", f"big {i}", "--set",
                                        json.dumps("x" * 15000))[0], 0)
        self.assertEqual(self.value("room", "ключ", "--set", "[]")[0], 0)
        for transport in TRANSPORTS:
            self.assertEqual(sorted(self.values("room", "--transport", transport)),
                             ["big 0", "big 1", "big 2", "ключ"])

    def test_what_is_too_much_is_refused(self):
        server = self.serve("--values-max", "1", "--value-size-max", "64")
        self.server = server
        self.assertEqual(self.value("room", "a", "--set", "1")[0], 0)
        self.assertEqual(self.value("room", "b", "--set", "1")[2],
                         "yomo value: limit reached\n")
        self.assertEqual(self.value("room", "a", "--set", json.dumps("x" * 100))[2],
                         "yomo value: larger than the limit\n")
        self.assertEqual(self.value("room", "k" * 256, "--set", "1")[2],
                         "yomo value: invalid argument\n")
        self.assertEqual(self.value("room", "a")[1]["value"], 1)


class Locks(Shared):
    """Each holder writes when it came and when it went, with its version."""

    def hold(self, seconds, *flags, transport=TRANSPORTS[0], lease="2s"):
        log = self.path("log")
        command = (f"echo in $YOMO_LOCK_VERSION >> '{log}'; sleep {seconds}; "
                   f"echo out $YOMO_LOCK_VERSION >> '{log}'")
        return self.client(self.server, "lock", "room", "doc", command, "--lease", lease,
                           "--transport", transport, *flags)

    def log(self):
        if not os.path.exists(self.path("log")):
            return []
        with open(self.path("log"), encoding="utf-8") as file:
            return [(word, int(version)) for word, version in map(str.split, file)]

    def await_log(self, holds):
        end = time.monotonic() + 30
        while not holds(self.log()):
            self.assertLess(time.monotonic(), end, self.log())
            time.sleep(0.05)

    def test_one_after_the_other_and_versions_grow(self):
        members = [self.hold(0.1, "--wait", "60s",
                             transport=TRANSPORTS[i % len(TRANSPORTS)])
                   for i in range(6)]
        for member in members:
            self.assertEqual(member.wait(), 0, member.err.seen)
        log = self.log()
        self.assertEqual([word for word, _ in log], ["in", "out"] * 6)
        self.assertEqual([version for _, version in log],
                         sorted(version for _, version in log))
        self.assertEqual(len({version for _, version in log}), 6)

    def test_who_does_not_wait_or_not_long_enough_is_told(self):
        first = self.hold(30)
        self.await_log(lambda log: len(log) == 1)
        holder = self.values("room")["doc"]
        self.assertTrue(holder["lock"])
        for transport in TRANSPORTS:
            self.assertEqual(self.hold(0, transport=transport).wait(), 1)
            self.assertEqual(self.hold(0, "--wait", "200ms", transport=transport).wait(), 5)
        time.sleep(2.5)  # longer than its lease, which is begun anew
        self.assertEqual(self.hold(0).wait(), 1)
        self.assertEqual(self.values("room")["doc"], holder)
        first.signal(signal.SIGTERM)
        self.assertNotEqual(first.wait(), 0)
        self.assertEqual(self.log(), [("in", holder["version"])])  # `sleep` was ended
        self.assertEqual(self.hold(0).wait(), 0)

    def test_a_holder_that_is_killed_is_followed_by_another(self):
        for transport in TRANSPORTS:
            with self.subTest(transport=transport):
                before = len(self.log())
                first = self.hold(0.01, transport=transport)
                self.assertEqual(first.wait(), 0)
                first = self.client(self.server, "lock", "room", "doc",
                                    f"echo in $YOMO_LOCK_VERSION >> '{self.path('log')}'; "
                                    "exec sleep 20 > /dev/null 2>&1", "--lease", "2s", "--transport",
                                    transport)
                self.await_log(lambda log: len(log) == before + 3)
                began = time.monotonic()
                first.kill()
                second = self.hold(0, "--wait", "60s", transport=transport)
                self.assertEqual(second.wait(), 0, second.err.seen)
                # Not before the lease of the first was over, as far as it knew.
                self.assertGreater(time.monotonic() - began, 0.5)
                log = self.log()[before:]
                self.assertEqual([word for word, _ in log],
                                 ["in", "out", "in", "in", "out"])
                self.assertGreater(log[3][1], log[2][1])


if __name__ == "__main__":
    main()
