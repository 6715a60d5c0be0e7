#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""sub, pub, chat and ping against a backend, over each transport."""
import json
import os
import signal
import subprocess
import time

from support import TRANSPORTS, Terminal, TestCase, main, closed_port, silent_port


class Clients(TestCase):
    """A backend for each test; `over` are the flags for a transport."""

    def setUp(self):
        super().setUp()
        self.server = self.serve()

    def each_transport(self):
        for transport in TRANSPORTS:
            with self.subTest(transport=transport):
                yield transport, ["--transport", transport]

    def pub(self, room, event, data, *flags):
        code, out, err = self.run_client(self.server, "pub", room, event, data, *flags)
        self.assertEqual((code, out, err), (0, "", ""))


class Sub(Clients):
    def test_it_prints_joined_and_then_what_it_hears(self):
        for transport, over in self.each_transport():
            sub = self.joined(self.server, transport, *over)
            self.assertEqual(sub.joined, {"type": "joined", "room": transport,
                                          "transport": transport})
            self.pub(transport, "greet", '{"x":1}', "--id", "ada", *over)
            self.assertEqual(sub.record(), {"type": "message", "room": transport,
                                            "event": "greet", "from": "ada",
                                            "data": {"x": 1}})

    def test_one_message_is_one_line_however_it_was_written(self):
        sub = self.joined(self.server, "room", "--count", "1")
        self.pub("room", "e", ' {\n "a b" : [ 1,\t"c\\nd" ]\r\n}\n')
        lines = sub.out.rest()
        self.assertEqual(len(lines), 1)
        self.assertTrue(lines[0].endswith('"data":{"a b":[1,"c\\nd"]}}'), lines[0])

    def test_it_ends_after_as_many_messages_as_were_asked_for(self):
        for transport, over in self.each_transport():
            sub = self.joined(self.server, transport, "--count", "3", *over)
            self.pub(transport, "e", "1", "--repeat", "5", *over)
            self.assertEqual(sub.wait(), 0)
            self.assertEqual(len(sub.out.rest()), 3)

    def test_an_event_can_be_singled_out(self):
        sub = self.joined(self.server, "room", "--event", "b", "--count", "1")
        self.pub("room", "a", "1")
        self.pub("room", "b", "2")
        self.assertEqual(sub.record()["data"], 2)
        self.assertEqual(sub.wait(), 0)

    def test_with_presence_it_tells_who_is_there_comes_and_goes(self):
        for transport, over in self.each_transport():
            first = self.joined(self.server, transport, "--presence", "--id", "ada",
                                "--state", '{"name":"Ada"}', *over)
            second = self.client(self.server, "sub", transport, "--presence", "--id", "bob",
                                 *over)
            self.assertEqual(second.record()["type"], "joined")
            self.assertEqual(second.record(), {"type": "join", "room": transport,
                                               "from": "ada",
                                               "state": {"id": "ada", "name": "Ada"}})
            came = first.record()
            self.assertEqual((came["type"], came["from"]), ("join", "bob"))
            second.signal(signal.SIGTERM)
            self.assertEqual(second.wait(), 0)
            left = first.record()
            self.assertEqual((left["type"], left["from"]), ("leave", "bob"))

    def test_an_observer_hears_and_is_not_seen(self):
        for transport, over in self.each_transport():
            room = "observed-" + transport
            seen = self.joined(self.server, room, "--presence", "--id", "ada", *over)
            unseen = self.client(self.server, "sub", room, "--presence", "--observe", "--id",
                                 "olga", *over)
            self.assertEqual(unseen.record()["type"], "joined")
            self.assertEqual(unseen.record()["from"], "ada")
            bob = self.joined(self.server, room, "--presence", "--id", "bob", *over)
            self.assertEqual(bob.record()["from"], "ada")  # and nobody else
            for sub in (seen, unseen):
                self.assertEqual(sub.record()["from"], "bob")
            self.run_client(self.server, "pub", room, "tick", "1", "--id", "bob", *over)
            for sub in (seen, unseen, bob):
                while (record := sub.record())["type"] != "message":
                    self.assertEqual(record["from"], "bob")  # pub comes and goes

    def test_one_person_on_two_devices_is_told_once(self):
        for transport, over in self.each_transport():
            room = "persons-" + transport
            sub = self.joined(self.server, room, "--users", "--id", "watcher", *over)
            devices = [self.joined(self.server, room, "--id", "ada", *over)
                       for _ in range(2)]
            came = sub.record()
            self.assertEqual((came["type"], came["from"]), ("user_join", "ada"))
            for device in devices:
                device.signal(signal.SIGTERM)
                self.assertEqual(device.wait(), 0)
            left = sub.record()
            self.assertEqual((left["type"], left["from"], left["devices"]),
                             ("user_leave", "ada", 0))

    def test_signals_end_it_with_zero(self):
        for number in [signal.SIGINT, signal.SIGTERM]:
            sub = self.joined(self.server, "room")
            sub.signal(number)
            self.assertEqual(sub.wait(), 0)

    def test_it_ends_when_nobody_reads_any_more(self):
        sub = self.client(self.server, "sub", "room")
        reader = subprocess.Popen(
            [os.environ["YOMO_PROGRAM"], "sub", self.server.url, "pipe", "--state-dir",
             self.path("state")], stdout=subprocess.PIPE)
        self.addCleanup(reader.wait)
        self.addCleanup(reader.kill)
        self.assertIn(b"joined", reader.stdout.readline())
        reader.stdout.close()
        self.assertEqual(reader.wait(20), 0)
        sub.signal(signal.SIGTERM)

    def test_it_joins_again_after_the_backend_was_away(self):
        port = self.server.listening["port"]
        for transport, over in self.each_transport():
            sub = self.joined(self.server, "room", *over)
            self.server.signal(signal.SIGTERM)
            self.assertEqual(self.server.wait(), 0)
            sub.err.until("connection lost")
            self.server = self.serve(port=port)
            self.assertEqual(sub.record("joined")["transport"], transport)
            # Another backend, another order: nobody knows what was said meanwhile.
            self.assertEqual(sub.record()["type"], "gap")
            self.pub("room", "e", "1", *over)
            self.assertEqual(sub.record()["data"], 1)
            sub.signal(signal.SIGTERM)
            self.assertEqual(sub.wait(), 0)

    def test_transports_share_a_room(self):
        subs = [self.joined(self.server, "room", "--count", "2", *over)
                for _, over in self.each_transport()]
        for data in ["1", "2"]:
            self.pub("room", "e", data, "--transport", TRANSPORTS[0])
        for sub in subs:
            self.assertEqual([json.loads(line)["data"] for line in sub.out.rest()], [1, 2])


class Pub(Clients):
    def test_every_class_is_confirmed(self):
        for transport, over in self.each_transport():
            for delivery in ["reliable", "unreliable", "latest"]:
                self.pub("room", "e", "1", "--class", delivery, *over)
            self.pub("room", "e", "1", "--class", "latest", "--latest-key", "k", *over)

    def test_a_value_that_a_newer_one_replaced_is_done_with_that(self):
        for transport, over in self.each_transport():
            self.pub("room", "e", "1", "--class", "latest", "--repeat", "500", *over)

    def test_a_server_that_takes_fewer_is_waited_for_and_gets_them_all(self):
        self.server = self.serve("--message-rate", "500", "--message-burst", "300")
        for transport, over in self.each_transport():
            for delivery in ["reliable", "unreliable"]:
                with self.subTest(transport=transport, delivery=delivery):
                    room = transport + delivery
                    sub = self.joined(self.server, room, "--count", "1000", *over)
                    code, _, err = self.run_client(self.server, "pub", room, "e", "1",
                                                   "--repeat", "1000", "--class", delivery,
                                                   *over)
                    self.assertEqual(code, 0, err)
                    self.assertIn("--rate", err)
                    self.assertEqual(len(err.splitlines()), 1, err) # said once
                    if delivery == "reliable":
                        self.assertEqual(len(sub.out.rest()), 1000)

    def test_reliable_messages_arrive_all_and_in_order(self):
        for transport, over in self.each_transport():
            sub = self.joined(self.server, transport, "--count", "1500", *over)
            self.pub(transport, "e", '"x"', "--repeat", "1500", "--message-size-max", "1k",
                     *over)
            self.assertEqual(len(sub.out.rest()), 1500)

    def test_a_rate_is_kept(self):
        sub = self.joined(self.server, "room", "--count", "5")
        begin = time.monotonic()
        self.pub("room", "e", "1", "--repeat", "5", "--rate", "20")
        self.assertGreaterEqual(time.monotonic() - begin, 0.2)
        self.assertEqual(sub.wait(), 0)

    def test_json_that_is_none_is_wrong_usage(self):
        code, _, err = self.run_client(self.server, "pub", "room", "e", "{bad")
        self.assertEqual(code, 2)
        self.assertIn("JSON", err)

    def test_a_message_over_the_limit_fails(self):
        big = '"' + "x" * 70000 + '"'
        code, _, err = self.run_client(self.server, "pub", "room", "e", big)
        self.assertEqual(code, 1)
        self.assertIn("larger than the limit", err)


class ExitCodes(Clients):
    def test_where_nobody_listens_is_unreachable(self):
        for transport, over in self.each_transport():
            code, _, err = self.run_program(
                "pub", f"https://127.0.0.1:{closed_port()}", "r", "e", "1", *over)
            self.assertEqual(code, 3, err)

    def test_a_certificate_that_is_not_trusted_is_unreachable(self):
        for transport, over in self.each_transport():
            code, _, err = self.run_program(
                "pub", self.server.url, "r", "e", "1", "--state-dir", self.path("other"),
                *over)
            self.assertEqual(code, 3, err)
            self.assertIn("certificate", err)

    def test_a_path_that_is_none_is_refused(self):
        for transport, over in self.each_transport():
            code, _, err = self.run_program(
                "pub", self.server.url + "/v9", "r", "e", "1", "--state-dir",
                self.path("state"), *over)
            self.assertEqual(code, 4, err)

    def test_a_wrong_public_key_is_refused(self):
        server = self.serve("--keys", "app=right")
        for transport, over in self.each_transport():
            for key, wanted in [("wrong", 4), ("right", 0)]:
                code, _, err = self.run_client(server, "pub", "r", "e", "1", "--public-key",
                                               key, *over)
                self.assertEqual(code, wanted, err)

    def test_who_does_not_answer_in_time_is_a_timeout(self):
        tcp, udp = silent_port()
        with tcp, udp:
            for transport, over in self.each_transport():
                code, _, err = self.run_program(
                    "pub", f"https://127.0.0.1:{tcp.getsockname()[1]}", "r", "e", "1",
                    "--timeout", "300ms", *over)
                self.assertEqual(code, 5, err)

    def test_the_certificate_can_be_pinned(self):
        pin = self.server.listening["certificate_sha256"]
        for transport, over in self.each_transport():
            code, _, err = self.run_program(
                "pub", self.server.url, "r", "e", "1", "--state-dir", self.path("other"),
                "--cert-hash", pin, *over)
            self.assertEqual(code, 0, err)

    def test_the_plain_listener_can_be_used(self):
        url = f"ws://localhost:{self.server.listening['http_port']}"
        code, _, err = self.run_program("pub", url, "r", "e", "1")
        self.assertEqual(code, 0, err)


class Chat(Clients):
    def test_plain_lines_are_said_and_all_of_them_arrive(self):
        for transport, over in self.each_transport():
            sub = self.joined(self.server, transport, "--count", "2", *over)
            chat = self.client(self.server, "chat", transport, "--id", "ada", *over,
                               stdin=subprocess.PIPE)
            chat.child.stdin.write('hello "all"\nlast line without an end')
            chat.child.stdin.close()
            self.assertEqual(chat.wait(), 0)
            said = [json.loads(line) for line in sub.out.rest()]
            self.assertEqual([line["data"] for line in said],
                             ['hello "all"', "last line without an end"])
            self.assertEqual({line["event"] for line in said}, {"chat"})

    def test_plain_lines_show_who_is_there_and_what_they_say(self):
        ear = self.client(self.server, "chat", "room", stdin=subprocess.PIPE)
        ear.out.until("here: nobody else")
        mouth = self.client(self.server, "chat", "room", "--name", "Ada \x1b[2J",
                            stdin=subprocess.PIPE)
        ear.out.until("* Ada  [2J came") # what could move a terminal's cursor does not
        mouth.child.stdin.write("good morning\n")
        mouth.child.stdin.close()
        last = {ear.out.next(), ear.out.next()} # streams of their own: in either order
        self.assertEqual(last, {"Ada  [2J: good morning", "* Ada  [2J left"})
        ear.signal(signal.SIGTERM)
        self.assertEqual(ear.wait(), 0)

    def terminal(self, *flags):
        terminal = Terminal("chat", self.server.url, "room", "--state-dir",
                            self.path("state"), *flags)
        self.addCleanup(terminal.close)
        terminal.until("nobody else - ")
        return terminal

    def test_in_a_terminal_the_line_being_typed_survives_what_arrives(self):
        terminal = self.terminal("--name", "Zoë")
        terminal.type("half a li")
        terminal.until("> half a li")
        sub = self.joined(self.server, "room", "--event", "chat", "--count", "1")
        self.pub("room", "chat", '{"text":"from elsewhere"}', "--state", '{"name":"Ada"}')
        self.assertEqual(sub.wait(), 0)
        terminal.until("from elsewhere")
        terminal.until("> half a li")
        again = self.joined(self.server, "room", "--event", "chat", "--count", "1")
        terminal.type("ne, ä\x7fö\r")
        self.assertEqual(again.record()["data"], "half a line, ö")
        terminal.until("Zoë")
        terminal.type("\x04")
        self.assertEqual(terminal.wait(), 0)

    def test_the_terminal_is_given_back_as_it_was(self):
        for end in [signal.SIGTERM, signal.SIGINT, signal.SIGHUP]:
            terminal = self.terminal()
            self.assertFalse(terminal.echoes())
            os.kill(terminal.pid, end)
            self.assertEqual(terminal.wait(), 0)
            self.assertTrue(terminal.echoes())

    def test_a_refusal_gives_the_terminal_back_too(self):
        terminal = Terminal("chat", f"https://127.0.0.1:{closed_port()}", "room")
        self.addCleanup(terminal.close)
        terminal.until("cannot be reached")
        self.assertEqual(terminal.wait(), 3)
        self.assertTrue(terminal.echoes())


class Ping(Clients):
    def test_it_measures_and_sums_up(self):
        for transport, over in self.each_transport():
            code, out, err = self.run_client(self.server, "ping", "--count", "3",
                                             "--interval", "1ms", *over)
            self.assertEqual((code, err), (0, ""))
            lines = out.splitlines()
            self.assertEqual(len(lines), 4)
            for number, line in enumerate(lines[:3], 1):
                self.assertRegex(line, rf"^{number}: {transport} rtt [0-9.]+ ms")
            self.assertRegex(lines[3], r"^3 answered: min [0-9.]+, mean [0-9.]+, max ")


if __name__ == "__main__":
    main()
