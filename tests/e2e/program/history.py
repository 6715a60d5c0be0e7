#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What was said in a room before: sub --history and yomo history, over each transport."""
import json
import signal
import time

from support import TRANSPORTS, TestCase, main


class Said(TestCase):
    def pub(self, room, *data):
        for one in data:
            code, out, err = self.run_client(self.server, "pub", room, "e", str(one),
                                             "--id", "ada")
            self.assertEqual((code, out, err), (0, "", ""))

    def history(self, room, *flags):
        code, out, err = self.run_client(self.server, "history", room, *flags)
        self.assertEqual((code, err), (0, ""))
        return [json.loads(line) for line in out.splitlines()]

    def told(self, room, *flags):
        return [record["data"] for record in self.history(room, *flags)]


class Kept(Said):
    def setUp(self):
        super().setUp()
        self.server = self.serve("--history-messages", "2000", "--message-burst", "10000",
                                 "--message-rate", "10000")

    def test_a_joiner_hears_the_last_ones_first(self):
        for transport in TRANSPORTS:
            with self.subTest(transport=transport):
                before = time.time() * 1000
                self.pub(transport, 1, 2, 3)
                sub = self.client(self.server, "sub", transport, "--history", "2",
                                  "--transport", transport, "--count", "3")
                self.assertEqual(sub.record()["type"], "joined")
                for expected in [2, 3]:
                    record = sub.record()
                    self.assertEqual((record["data"], record["from"], record["past"]),
                                     (expected, "ada", True))
                    self.assertLess(abs(record["at"] - before), 60000)
                self.pub(transport, 4)
                record = sub.record()
                self.assertEqual(record["data"], 4)
                self.assertNotIn("past", record)
                self.assertEqual(sub.wait(), 0)

    def test_it_can_be_asked_for_and_paged_back(self):
        self.pub("room", 1, 2, 3, 4, 5)
        for transport in TRANSPORTS:
            with self.subTest(transport=transport):
                over = ["--transport", transport]
                self.assertEqual(self.told("room", *over), [1, 2, 3, 4, 5])
                last = self.history("room", "--max", "2", *over)
                self.assertEqual([record["data"] for record in last], [4, 5])
                self.assertLess(last[0]["place"], last[1]["place"])
                self.assertEqual(self.told("room", "--max", "2", "--before",
                                           str(last[0]["place"]), *over), [2, 3])
                self.assertEqual(self.told("room", "--event", "other", *over), [])
                self.assertEqual(self.told("room", "--max", "0", *over), [])

    def test_more_than_one_answer_holds_is_fetched_in_several(self):
        code, _, err = self.run_client(self.server, "pub", "room", "e", "7", "--repeat",
                                       "1500")
        self.assertEqual(code, 0, err)
        places = [record["place"] for record in self.history("room", "--max", "1200")]
        self.assertEqual(len(places), 1200)
        self.assertEqual(places, sorted(set(places)))
        self.assertEqual(len(self.told("room", "--max", "100000")), 1500)

    def test_who_was_away_too_long_hears_what_it_missed(self):
        self.server = self.serve("--history-messages", "10", "--silence-timeout", "1s",
                                 "--grace-time", "100ms", "--keep-alive", "200ms")
        for transport in TRANSPORTS:
            with self.subTest(transport=transport):
                stay = self.joined(self.server, transport, "--presence", "--id", "stay")
                sub = self.joined(self.server, transport, "--transport", transport, "--id",
                                  "away", "--silence-timeout", "1s", "--keep-alive", "200ms")
                self.assertEqual(stay.record()["from"], "away")
                self.pub(transport, 1)
                self.assertEqual(sub.record()["data"], 1)
                sub.signal(signal.SIGSTOP)
                stay.out.until(lambda line: json.loads(line)["type"] == "leave"
                               and json.loads(line)["from"] == "away")
                self.pub(transport, 2, 3)
                sub.signal(signal.SIGCONT)
                self.assertEqual(sub.record()["type"], "joined")
                for expected in [2, 3]:
                    record = sub.record()
                    self.assertEqual((record["data"], record.get("past")), (expected, True))
                self.pub(transport, 4)
                record = sub.record()
                self.assertEqual((record["data"], record.get("past")), (4, None))

    def test_a_room_that_nobody_is_in_keeps_it_for_a_while(self):
        self.server = self.serve("--history-messages", "10", "--room-linger", "100ms")
        self.pub("room", 1)
        end = time.monotonic() + 20
        while self.told("room"):  # each asking is a visit, after which time begins anew
            self.assertLess(time.monotonic(), end)
            time.sleep(1.2)


class NotKept(Said):
    def test_by_default_nothing_is(self):
        self.server = self.serve()
        self.pub("room", 1, 2)
        self.assertEqual(self.told("room"), [])
        sub = self.client(self.server, "sub", "room", "--history", "2", "--count", "1")
        self.assertEqual(sub.record()["type"], "joined")
        self.pub("room", 3)
        self.assertEqual(sub.record()["data"], 3)

    def test_what_is_too_old_is_gone(self):
        self.server = self.serve("--history-messages", "10", "--history-age", "2s")
        stay = self.joined(self.server, "room")
        self.pub("room", 1)
        self.assertEqual(stay.record()["data"], 1)
        end = time.monotonic() + 20
        while self.told("room"):
            self.assertLess(time.monotonic(), end)
            time.sleep(0.2)


if __name__ == "__main__":
    main()
