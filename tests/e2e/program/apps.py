#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Two applications on one backend: one at all of its limits, the other does not notice."""
import json
import os
import signal
import urllib.request

from raw import Raw, control, data_of
from support import DEADLINE, TRANSPORTS, WORKERS, TestCase, main

SECRET = "0123456789abcdefghijklmnopqrstuvwxyz"
KEYS = "keys = loud=k1, quiet=k2\n"
LIMITS = "app-limits = loud:connections=3, loud:rooms=1, loud:messages=10\n"
TRY_LATER = 1013
MESSAGES = 40


class Case(TestCase):
    def setUp(self):
        super().setUp()
        os.chmod(self.path("secret", SECRET + "\n"), 0o600)
        self.config = self.path("config", KEYS + LIMITS)
        self.server = self.serve("--config", self.config, "--admin-port", "0",
                                 "--admin-token-file", self.path("secret"),
                                 "--workers", WORKERS)
        self.operators = f"http://127.0.0.1:{self.server.listening['admin_port']}"

    def knock(self, query):
        raw = Raw(self.server.listening["port"], True)
        self.addCleanup(raw.close)
        self.assertEqual(raw.upgrade(f"/v1?{query}"), 101)
        return raw

    def page(self, key, room):
        """A presencejs client in a room."""
        raw = self.knock(f"publickey={key}")
        raw.say(control("channel_join", c=room))
        raw.message("channel_join")
        return raw

    def get(self, path):
        request = urllib.request.Request(self.operators + path,
                                         headers={"Authorization": "Bearer " + SECRET})
        with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
            return answer.read().decode()

    def apps(self):
        return {row.pop("app"): row for row in json.loads(self.get("/admin/v1/apps"))["apps"]}

    def test_one_is_over_its_limits_and_the_other_undisturbed(self):
        loud = [self.page("k1", "r") for _ in range(2)]
        native = self.joined(self.server, "r", "--public-key", "k1", "--transport",
                             TRANSPORTS[-1])
        quiet = [self.page("k2", "r") for _ in range(2)]
        sub = self.joined(self.server, "r", "--public-key", "k2", "--transport",
                          TRANSPORTS[-1], "--count", str(MESSAGES))
        for query in ("publickey=k1", "publickey=k1&yomo=1"): # one too many
            self.assertEqual(self.knock(query).close_code(), TRY_LATER)
        loud[0].say(control("channel_join", c="another"))
        for number in range(MESSAGES):
            loud[number % 2].say(data_of("r", text=str(number)))
            quiet[number % 2].say(data_of("r", text=str(number)))
        self.assertEqual(sub.wait(), 0)
        for raw in loud + quiet:
            self.assertTrue(raw.alive())
        apps = self.apps()
        self.assertIn(apps["quiet"]["connections"], (2, 3)) # it may not be gone yet
        self.assertEqual([apps["quiet"][what] for what in apps["quiet"]
                          if what.endswith(("_refused", "_max", "_rate"))], [0] * 8)
        loud_now = apps["loud"]
        self.assertEqual((loud_now["connections"], loud_now["connections_max"],
                          loud_now["connections_refused"]), (3, 3, 2))
        self.assertEqual((loud_now["rooms"], loud_now["rooms_max"],
                          loud_now["rooms_refused"]), (1, 1, 1))
        self.assertGreater(loud_now["messages_refused"], 0)
        self.assertLess(loud_now["messages_refused"], MESSAGES)
        numbers = self.get("/metrics")
        self.assertIn('yomo_connections_refused_total{reason="app_full"} 2\n', numbers)
        self.assertIn("yomo_joins_app_full_total 1\n", numbers)
        self.assertIn('yomo_dropped_total{reason="app_message_rate"} '
                      f'{loud_now["messages_refused"]}\n', numbers)
        code, out, err = self.run_program("admin", "apps", self.operators, "--token-file",
                                          self.path("secret"), "--prefix", "lo")
        self.assertEqual((code, err), (0, ""))
        title, row = out.splitlines()
        self.assertEqual(title.split()[:3], ["APP", "CONNECTIONS", "MAX"])
        self.assertEqual(row.split()[:5], ["loud", "3", "3", "2", "1"])
        self.change(native)

    def change(self, native):
        """The limits of all are other ones, the one of some are gone: at once."""
        self.path("config", KEYS + "app-connections-max = 4\n")
        self.server.signal(signal.SIGHUP)
        told = self.server.err.until("options changed")
        self.assertIn("app-connections-max, app-limits", told)
        self.server.err.until("read again")
        one = self.page("k1", "another") # the fourth connection, and a second room
        self.assertEqual(self.knock("publickey=k1").close_code(), TRY_LATER)
        for number in range(MESSAGES):
            one.say(data_of("another", text=str(number)))
        self.assertTrue(one.alive())
        apps = self.apps()
        self.assertEqual({name: row["connections_max"] for name, row in apps.items()},
                         {"loud": 4, "quiet": 4})
        before = apps["loud"]["messages_refused"]
        self.path("config", KEYS + "app-limits = nobody:rooms=1\n")
        self.server.signal(signal.SIGHUP)
        self.assertIn('no application "nobody"',
                      self.server.err.until("what was in use stays in use"))
        self.assertEqual(self.apps()["loud"]["connections_max"], 4)
        self.assertEqual(self.apps()["loud"]["messages_refused"], before)
        self.assertIsNone(native.child.poll())


if __name__ == "__main__":
    main()
