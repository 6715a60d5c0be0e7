#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""bench: it ends by itself, loses nothing that it may not lose, and says so in JSON. How
fast anything was is not asked."""
import json
import os
import subprocess
import tempfile

from support import PROGRAM, TRANSPORTS, WORKERS, TestCase, main

PATIENCE = 90


class Bench(TestCase):
    def bench(self, *flags, code=0, env=None):
        done = subprocess.run([PROGRAM, "bench", *flags], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              encoding="utf-8", timeout=PATIENCE, check=False, env=env)
        self.assertEqual((done.returncode, done.stderr), (code, ""), done.stdout)
        return done.stdout

    def result(self, *flags):
        out = self.bench("--json", *flags)
        self.assertEqual(out.count("\n"), 1)
        return json.loads(out)

    def load(self, transport, *flags):
        return self.result("--transport", transport, "--workers", WORKERS, "--threads", "1",
                           *flags)


class Messages(Bench):
    def test_every_reliable_message_is_counted(self):
        for transport in TRANSPORTS:
            with self.subTest(transport=transport):
                result = self.load(transport, "--rooms", "2", "--members", "3", "--senders",
                                   "2", "--rate", "20", "--seconds", "500ms", "--class",
                                   "reliable")
                self.assertEqual((result["transport"], result["connections"],
                                  result["connected"]), (transport, 6, 6))
                self.assertGreater(result["sent"], 0)
                # Each message has two receivers: all in its room but its sender.
                self.assertEqual(result["expected"], 2 * result["sent"])
                self.assertEqual(result["received"], result["expected"])
                for fault in ["lost", "out_of_order", "duplicate", "missing", "damaged",
                              "refused", "reconnects", "failures"]:
                    self.assertEqual(result[fault], 0, fault)
                self.assertTrue(result["clean"])

    def test_what_the_backend_needed_is_told(self):
        for transport in TRANSPORTS:
            with self.subTest(transport=transport):
                result = self.load(transport, "--members", "3", "--rate", "20", "--seconds",
                                   "500ms", "--class", "unreliable")
                self.assertEqual(result["received"] + result["lost"], result["expected"])
                latency = result["latency_us"]
                self.assertTrue(0 < latency["p50"] <= latency["p99"] <= latency["max"])
                server = result["server"]
                self.assertGreater(server["rss_bytes"], 1 << 20)
                # A packet for each delivery, or fewer where they shared one.
                self.assertEqual(server["packets_out"] > 0, transport == "webtransport")

    def test_as_fast_as_it_goes_ends_too(self):
        result = self.load(TRANSPORTS[0], "--members", "2", "--rate", "0", "--seconds",
                           "200ms", "--class", "reliable")
        self.assertEqual(result["received"], result["expected"])
        self.assertGreater(result["received"], 0)

    def test_without_json_it_is_a_table(self):
        out = self.bench("--members", "2", "--rate", "10", "--seconds", "200ms",
                         "--transport", TRANSPORTS[0])
        self.assertGreater(out.count("\n"), 5)
        with self.assertRaises(ValueError):
            json.loads(out)


class Idle(Bench):
    def test_all_are_held_and_nobody_sends(self):
        for transport in TRANSPORTS:
            with self.subTest(transport=transport):
                result = self.load(transport, "--idle", "--connections", "20", "--members",
                                   "5", "--seconds", "200ms")
                self.assertTrue(result["idle"])
                self.assertEqual((result["connected"], result["rooms"]), (20, 4))
                self.assertGreater(result["server"]["rss_growth"], 0)
                self.assertTrue(result["clean"])


class Backend(Bench):
    def test_it_takes_its_backend_and_folder_away(self):
        with tempfile.TemporaryDirectory() as folder:
            self.bench("--members", "2", "--rate", "10", "--seconds", "100ms",
                       "--transport", TRANSPORTS[0],
                       env={**os.environ, "TMPDIR": folder})
            self.assertEqual(os.listdir(folder), [])

    def test_another_backend_is_loaded_where_it_is(self):
        server = self.serve()
        for transport in TRANSPORTS:
            with self.subTest(transport=transport):
                result = self.load(transport, "--url", server.url, "--cert-hash",
                                   server.listening["certificate_sha256"], "--members",
                                   "3", "--rate", "20", "--seconds", "300ms", "--class",
                                   "reliable")
                self.assertEqual(result["received"], result["expected"])
                self.assertNotIn("server", result)


if __name__ == "__main__":
    main()
