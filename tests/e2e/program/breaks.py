#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Processes that are killed: clients, whose seats are kept for a while, and the backend,
which nobody takes for the same one when it is there again."""
import signal

from support import TRANSPORTS, TestCase, main

QUICK = ["--silence-timeout", "2s", "--grace-time", "1s"]


class Clients(TestCase):
    def pair(self, transport, room):
        watcher = self.joined(self.server, room, "--presence", "--id", "bob")
        sub = self.joined(self.server, room, "--id", "ada", "--transport", transport)
        self.assertEqual(watcher.record()["type"], "join")
        return watcher, sub

    def test_a_killed_one_is_stale_and_then_gone(self):
        self.server = self.serve(*QUICK)
        for transport in TRANSPORTS:
            with self.subTest(transport=transport):
                watcher, sub = self.pair(transport, transport)
                sub.signal(signal.SIGKILL)
                for kind in ("stale", "leave"):
                    record = watcher.record()
                    self.assertEqual((record["type"], record["from"]), (kind, "ada"))

    def test_one_that_ends_by_itself_leaves_at_once(self):
        self.server = self.serve()
        for transport in TRANSPORTS:
            with self.subTest(transport=transport):
                watcher, sub = self.pair(transport, transport)
                sub.signal(signal.SIGTERM)
                self.assertEqual(sub.wait(), 0)
                self.assertEqual(watcher.record()["type"], "leave")

    def test_one_that_is_stopped_comes_back_and_has_missed_nothing(self):
        self.server = self.serve("--silence-timeout", "1s")
        for transport in TRANSPORTS:
            with self.subTest(transport=transport):
                watcher, sub = self.pair(transport, transport)
                sub.signal(signal.SIGSTOP)
                self.assertEqual(watcher.record("stale")["from"], "ada")
                code, out, err = self.run_client(self.server, "pub", transport, "e", "1",
                                                 "--repeat", "20", "--id", "carol")
                self.assertEqual((code, out, err), (0, "", ""))
                sub.signal(signal.SIGCONT)
                for _ in range(20):
                    self.assertEqual(sub.record("message")["from"], "carol")
                self.assertEqual(watcher.record("back")["from"], "ada")
                self.assertNotIn("gap", "".join(sub.out.seen))


class Backend(TestCase):
    def test_after_it_was_killed_rooms_are_joined_anew_and_a_gap_is_told(self):
        for transport in TRANSPORTS:
            with self.subTest(transport=transport):
                server = self.serve()
                sub = self.joined(server, "room", "--id", "ada", "--transport", transport,
                                  "--silence-timeout", "2s", "--reconnect-max", "200ms")
                self.run_client(server, "pub", "room", "e", "1", "--id", "bob")
                self.assertEqual(sub.record()["data"], 1)
                server.signal(signal.SIGKILL)
                server.wait()
                server = self.serve(port=server.listening["port"])
                sub.record("joined")
                self.assertEqual(sub.record("gap")["first"], 0) # nobody knows what it was
                code, _, err = self.run_client(server, "pub", "room", "e", "2", "--id", "bob")
                self.assertEqual((code, err), (0, ""))
                self.assertEqual(sub.record("message")["data"], 2)
                server.kill()


if __name__ == "__main__":
    main()
