#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Histories in SQLite: restarts and crashes, and a database that does not do its part."""
import json
import os
import signal
import sqlite3
import time
import urllib.request

from support import DEADLINE, TRANSPORTS, TestCase, main


class Stored(TestCase):
    def setUp(self):
        super().setUp()
        os.mkdir(self.path("data"))
        self.file = self.path("data/history.db")

    def open(self, *flags, **more):
        self.server = self.serve("--history-store", f"sqlite:{self.file}",
                                 "--history-messages", "5000", "--room-linger", "100ms",
                                 "--message-rate", "0", *flags, **more)

    def close(self):
        self.server.signal(signal.SIGTERM)
        self.assertEqual(self.server.wait(), 0)

    def crash(self):
        self.server.signal(signal.SIGKILL)
        self.server.wait()

    def pub(self, room, *data, flags=()):
        for one in data:
            code, out, err = self.run_client(self.server, "pub", room, "e", str(one),
                                             *flags)
            self.assertEqual((code, out, err), (0, "", ""))

    def history(self, room, *flags):
        code, out, err = self.run_client(self.server, "history", room, *flags)
        self.assertEqual((code, err), (0, ""))
        return [json.loads(line) for line in out.splitlines()]

    def told(self, room, *flags):
        return [record["data"] for record in self.history(room, *flags)]

    def metrics(self):
        url = f"http://localhost:{self.server.listening['http_port']}/metrics"
        with urllib.request.urlopen(url, timeout=DEADLINE) as answer:
            text = answer.read().decode()
        rows = [line.rsplit(" ", 1) for line in text.splitlines() if line[0] != "#"]
        return {name: float(value) for name, value in rows}

    def until(self, holds):
        end = time.monotonic() + DEADLINE
        while not holds(numbers := self.metrics()):
            self.assertLess(time.monotonic(), end, numbers)
            time.sleep(0.05)
        return numbers

    def is_ready(self):
        url = f"http://localhost:{self.server.listening['http_port']}/readyz"
        with urllib.request.urlopen(url, timeout=DEADLINE) as answer:
            self.assertEqual(answer.status, 200)

    def stored(self, count):
        """Wait until the store has taken so many."""
        self.until(lambda now: now["yomo_history_stored_total"] >= count)

    def fails(self):
        numbers = self.until(lambda now: now["yomo_history_store_failing"] == 1)
        self.assertGreater(numbers["yomo_history_store_errors_total"], 0)
        self.is_ready()

    def works(self):
        self.until(lambda now: now["yomo_history_store_failing"] == 0)


class Restarts(Stored):
    def test_what_was_said_is_there_after_a_restart(self):
        self.open()
        self.pub("room", 1, 2, 3)
        places = [record["place"] for record in self.history("room")]
        self.close()
        self.assertEqual(os.stat(self.file).st_mode & 0o777, 0o600)
        self.open()
        for transport in TRANSPORTS:
            again = self.history("room", "--transport", transport)
            self.assertEqual([record["data"] for record in again], [1, 2, 3])
            self.assertEqual([record["place"] for record in again], places)
        self.pub("room", 4)
        records = self.history("room")
        self.assertEqual([record["data"] for record in records], [1, 2, 3, 4])
        # A regular end: the order goes on where it was.
        self.assertLess(records[3]["place"], places[-1] + 1000)
        sub = self.client(self.server, "sub", "room", "--history", "2")
        self.assertEqual(sub.record()["type"], "joined")
        self.assertEqual([sub.record()["data"], sub.record()["data"]], [3, 4])

    def test_who_was_there_goes_on_where_it_was(self):
        self.open()
        port = self.server.listening["port"]
        for transport in TRANSPORTS:
            sub = self.joined(self.server, transport, "--transport", transport)
            self.pub(transport, 1)
            self.assertEqual(sub.record()["data"], 1)
            self.close()
            sub.err.until("connection lost")
            self.open(port=port)
            self.pub(transport, 2)
            self.assertEqual(sub.record("joined")["transport"], transport)
            record = sub.record()
            if record["data"] == 2:
                continue  # it was back before that was said
            self.fail(record)

    def test_after_a_crash_nothing_stored_is_lost_and_no_place_comes_twice(self):
        self.open()
        # Over UDP a crash is silence.
        stay = self.joined(self.server, "room", "--silence-timeout", "2s")
        self.pub("room", 1, 2, 3)
        for expected in [1, 2, 3]:
            self.assertEqual(stay.record()["data"], expected)
        self.stored(3)
        last = self.history("room")[-1]["place"]
        port = self.server.listening["port"]
        self.crash()
        stay.err.until("connection lost")
        self.open(port=port)
        self.assertEqual(stay.record()["type"], "joined")
        # Places may have been given that nobody knows of.
        gap = stay.record()
        self.assertEqual(gap["type"], "gap")
        self.assertGreaterEqual(gap["first"], last)
        self.assertEqual(self.told("room"), [1, 2, 3])
        self.pub("room", 4)
        self.assertEqual(stay.record()["data"], 4)
        records = self.history("room")
        self.assertEqual([record["data"] for record in records], [1, 2, 3, 4])
        self.assertGreater(records[3]["place"], last + 2**31)

    def test_crashes_in_the_middle_of_a_flood_leave_no_hole(self):
        seen = 0
        for _ in range(3):
            self.open("--history-messages", "100000")
            flood = self.client(self.server, "pub", "room", "e", "7", "--repeat", "200000",
                                "--id", "flood")
            self.stored(50)
            self.crash()
            flood.kill()
        self.open("--history-messages", "100000")
        with sqlite3.connect(self.file) as database:
            rows = database.execute("SELECT place FROM messages ORDER BY place").fetchall()
            self.assertEqual(database.execute("PRAGMA integrity_check").fetchone()[0], "ok")
        self.assertGreaterEqual(len(rows), 150)
        places = [row[0] for row in rows]
        self.assertEqual(len(places), len(set(places)))
        # Within one run there is no hole: one speaker, and nobody comes or goes.
        jumps = [b - a for a, b in zip(places, places[1:]) if b - a != 1]
        self.assertLessEqual(len(jumps), 3, jumps)
        records = self.history("room", "--max", "1000")
        self.assertEqual(len(records), min(1000, len(rows)))
        seen += len(records)
        self.assertEqual(seen, len(records))

    def test_what_is_older_than_memory_is_read_from_the_store(self):
        self.open("--history-memory", "1k")
        self.pub("room", 7, flags=["--repeat", "2500"])
        places = [record["place"] for record in self.history("room", "--max", "5000")]
        self.assertEqual(len(places), 2500)
        self.assertEqual(places, sorted(set(places)))
        self.assertEqual(len(self.history("room", "--max", "40")), 40)

    def test_bounds_hold_in_the_store_too(self):
        self.open("--history-messages", "100", "--history-age", "30s")
        self.pub("room", 7, flags=["--repeat", "1000"])
        self.pub("other", 1)
        self.stored(1001)

        def left():
            with sqlite3.connect(self.file) as database:
                return database.execute("SELECT count(*) FROM messages").fetchone()[0]
        end = time.monotonic() + DEADLINE
        while left() > 101:
            self.assertLess(time.monotonic(), end)
            time.sleep(0.1)
        self.assertEqual(left(), 101)
        self.close()
        with sqlite3.connect(self.file) as database:  # a minute ago
            database.execute("UPDATE messages SET at = at - 60000 WHERE room = "
                             "(SELECT id FROM rooms WHERE key = ?)", (b"default\0room",))
        self.open("--history-messages", "100", "--history-age", "30s")
        self.assertEqual(self.told("room"), [])  # also while they are still in the file
        self.assertEqual(self.told("other"), [1])
        end = time.monotonic() + DEADLINE
        while left() > 1:
            self.assertLess(time.monotonic(), end)
            time.sleep(0.1)

    def test_two_backends_do_not_share_a_store(self):
        self.open()
        self.pub("room", 1)
        first = self.server
        self.open("--state-dir", self.path("other"))
        code, _, err = self.run_program("pub", self.server.url, "room", "e", "2",
                                        "--state-dir", self.path("other"))
        self.assertEqual((code, err), (0, ""))
        self.server.err.until("another process uses this store")
        self.fails()
        self.server = first
        self.works()
        self.assertEqual(self.told("room"), [1])


class Faults(Stored):
    def test_it_is_said_when_it_cannot_be(self):
        for flags, text in [
                (["--history-store", "sqlite:x.db"], "history-messages"),
                (["--history-store", "sqlite:", "--history-messages", "5"], "sqlite:PATH"),
                (["--history-store", "redis:x", "--history-messages", "5"], "sqlite:PATH")]:
            code, _, err = self.run_program("serve", "--port", "0", "--http-port", "0",
                                            "--state-dir", self.path("state"), *flags)
            self.assertNotEqual(code, 0)
            self.assertIn(text, err)

    def test_a_folder_that_is_not_there_and_then_is(self):
        self.file = self.path("later/history.db")
        self.open()
        self.joined(self.server, "room")
        self.pub("room", 1)
        self.server.err.until("the store does not work")
        self.fails()
        self.assertEqual(self.told("room"), [1])  # from memory
        os.mkdir(self.path("later"))
        end = time.monotonic() + DEADLINE
        while True:  # a room that is opened now is stored
            self.pub("other", 2)
            if self.metrics()["yomo_history_store_failing"] == 0:
                break
            self.assertLess(time.monotonic(), end)
            time.sleep(0.3)
        self.pub("third", 3)
        self.stored(1)
        self.close()
        self.open()
        self.assertEqual(self.told("third"), [3])

    def test_a_file_that_is_no_database(self):
        with open(self.file, "wb") as out:
            out.write(os.urandom(8192))
        self.open()
        self.joined(self.server, "room")
        self.pub("room", 1)
        self.server.err.until("not a database")
        self.fails()
        self.assertEqual(self.told("room"), [1])
        self.close()
        with sqlite3.connect(self.path("data/foreign.db")) as database:
            database.execute("CREATE TABLE recipes (name TEXT)")
        self.file = self.path("data/foreign.db")
        self.open()
        self.pub("room", 1)
        self.server.err.until("database of something else")
        self.fails()
        with sqlite3.connect(self.file) as database:
            self.assertEqual([row[0] for row in database.execute(
                "SELECT name FROM sqlite_schema")], ["recipes"])

    def test_a_file_that_is_broken_in_the_middle(self):
        self.open()
        self.pub("room", *range(3), flags=["--repeat", "200"])
        self.stored(600)
        self.close()
        with open(self.file, "r+b") as out:
            out.seek(4096)
            out.write(os.urandom(os.path.getsize(self.file) - 8192))
        self.open()
        self.joined(self.server, "room")
        self.pub("room", 7)
        self.fails()
        self.assertIn(7, self.told("room"))
        self.close()

    def test_a_database_that_somebody_has_locked(self):
        self.open()
        self.pub("room", 1)
        self.stored(1)
        stay = self.joined(self.server, "room")
        lock = sqlite3.connect(self.file, isolation_level=None)
        lock.execute("BEGIN EXCLUSIVE")
        self.pub("room", 2)
        self.fails()
        self.server.err.until("the store does not work")
        self.assertEqual(stay.record()["data"], 2)
        lock.execute("ROLLBACK")
        lock.close()
        self.stored(2)
        self.works()
        self.server.err.until("the store works again")
        self.close()
        self.open()
        self.assertEqual(self.told("room"), [1, 2])  # nothing was lost

    def test_a_file_that_was_taken_away(self):
        self.open()
        stay = self.joined(self.server, "room")
        self.pub("room", 1)
        self.assertEqual(stay.record()["data"], 1)
        self.stored(1)
        for name in os.listdir(self.path("data")):
            os.unlink(self.path("data/" + name))
        self.pub("room", 2)
        self.assertEqual(stay.record()["data"], 2)
        self.stored(2)
        self.assertEqual(self.told("room"), [1, 2])
        self.assertTrue(os.path.exists(self.file))

    def test_an_absurd_entry_harms_nobody(self):
        self.open()
        self.pub("room", 1)
        self.stored(1)
        self.close()
        with sqlite3.connect(self.file) as database:
            room = database.execute("SELECT id FROM rooms").fetchone()[0]
            rows = [(room, -5, 0, 0, 0, 0, b"x"), (room, 2**62, 0, 0, 0, 0, b"x"),
                    (room, 1, -1, -1, -1, 99, os.urandom(50))]
            database.executemany("INSERT OR REPLACE INTO messages VALUES (?,?,?,?,?,?,?)",
                                 rows)
        self.open()
        self.assertEqual(self.told("room"), [1])
        self.pub("room", 2)
        self.assertEqual(self.told("room"), [1, 2])


if __name__ == "__main__":
    main()
