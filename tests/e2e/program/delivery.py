#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Messages to some users, and requests, on the command line and over each transport."""
import json

from support import TRANSPORTS, TestCase, main


class Delivery(TestCase):
    def setUp(self):
        super().setUp()
        self.server = self.serve()

    def pub(self, room, data, *flags):
        return self.run_client(self.server, "pub", room, "e", json.dumps(data), *flags)

    def test_only_those_who_are_named_hear_it(self):
        for transport in TRANSPORTS:
            with self.subTest(transport=transport):
                over = ["--transport", transport]
                subs = [self.joined(self.server, transport, "--id", name, *over)
                        for name in ["bob", "bob", "carol", "dave"]]
                code, _, err = self.pub(transport, "for two", "--to", "bob,carol",
                                        "--id", "ada", "--ttl", "10s", "--priority",
                                        "urgent", *over)
                self.assertEqual((code, err), (0, ""))
                self.assertEqual(self.pub(transport, "for all", *over)[0], 0)
                for sub in subs[:3]:
                    record = sub.record("message")
                    self.assertEqual((record["data"], record["from"], record["direct"]),
                                     ("for two", "ada", True))
                for sub in subs:  # dave heard nothing before
                    record = sub.record("message")
                    self.assertEqual(record["data"], "for all")
                    self.assertNotIn("direct", record)

    def test_nobody_there_is_a_failure(self):
        code, _, err = self.pub("room", 1, "--to", "zoe")
        self.assertEqual(code, 1)
        self.assertIn("not there", err)
        code, _, err = self.pub("room", 1, "--to", ",")
        self.assertNotEqual(code, 0)

    def test_the_server_answers_no_requests(self):
        code, out, err = self.run_client(self.server, "request", "room", "q", "1")
        self.assertEqual((code, out), (1, ""))
        self.assertIn("not there", err)

    def test_nobody_answers(self):
        for transport in TRANSPORTS:
            with self.subTest(transport=transport):
                over = ["--transport", transport]
                sub = self.joined(self.server, transport, "--id", "bob", *over)
                code, out, _ = self.run_client(self.server, "request", transport, "q",
                                               "7", "--to", "bob", "--patience", "300ms",
                                               *over)
                self.assertEqual((code, out), (5, ""))
                record = sub.record("message")
                self.assertEqual((record["event"], record["data"]), ("q", 7))


if __name__ == "__main__":
    main()
