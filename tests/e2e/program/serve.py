#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The backend as a process: how it starts, reloads, and ends."""
import http.client
import json
import os
import shutil
import signal
import socket
import stat
import time
import urllib.error
import urllib.request
from contextlib import closing

from raw import CLOSE, Raw
from support import DEADLINE, TRANSPORTS, TestCase, closed_port, main


class Start(TestCase):
    def test_it_says_where_it_listens_in_one_line(self):
        server = self.serve()
        listening = server.listening
        self.assertGreater(listening["port"], 0)
        self.assertGreater(listening["http_port"], 0)
        self.assertRegex(listening["certificate_sha256"], "^[0-9a-f]{64}$")
        self.assertIs(listening["development"], True)
        self.assertEqual(listening["pid"], server.child.pid)
        self.assertIn(f"http://localhost:{listening['http_port']}", server.err.next())

    def test_it_serves_the_pages_of_the_tree_it_was_built_from(self):
        server = self.serve()
        base = f"http://localhost:{server.listening['http_port']}"
        for path, kind in [("/", "text/html"), ("/app.js", "text/javascript"),
                           ("/style.css", "text/css"), ("/icon.svg", "image/svg+xml"),
                           ("/config.json", "application/json"), ("/healthz", "text/plain")]:
            with urllib.request.urlopen(base + path) as answer:
                self.assertTrue(answer.headers["Content-Type"].startswith(kind), path)
        with self.assertRaises(urllib.error.HTTPError):
            urllib.request.urlopen(base + "/../meson.build")

    def test_the_state_is_readable_by_its_user_only(self):
        self.serve()
        folder = self.path("state")
        self.assertEqual(stat.S_IMODE(os.stat(folder).st_mode), 0o700)
        for name in os.listdir(folder):
            mode = stat.S_IMODE(os.stat(os.path.join(folder, name)).st_mode)
            self.assertEqual(mode & 0o077, 0, name)

    def test_a_port_in_use_is_an_error(self):
        port = str(self.serve().listening["port"])
        code, _, err = self.run_program("serve", "--port", port, "--http-port", "none",
                                        "--state-dir", self.path("state"))
        self.assertEqual(code, 1)
        self.assertIn(port, err)

    def test_an_open_door_beyond_loopback_is_refused(self):
        code, _, err = self.run_program("serve", "--bind", "0.0.0.0", "--port", "0",
                                        "--state-dir", self.path("state"))
        self.assertEqual(code, 2)
        self.assertIn("insecure-open", err)

    def test_a_certificate_that_is_not_there_is_named(self):
        code, _, err = self.run_program(
            "serve", "--port", "0", "--state-dir", self.path("state"), "--tls-cert",
            self.path("no-cert.pem"), "--tls-key", self.path("no-key.pem"))
        self.assertEqual(code, 1)
        self.assertIn("no-cert.pem", err)

    def test_a_state_folder_that_cannot_be_made_is_named(self):
        blocked = self.path("file", "")
        code, _, err = self.run_program("serve", "--port", "0", "--state-dir",
                                        os.path.join(blocked, "below"))
        self.assertEqual(code, 1)
        self.assertIn("file", err)


class Limits(TestCase):
    """Connections are counted for all workers, transports and doors together."""

    def full(self, server):
        """Nobody more gets in, whichever worker he comes to."""
        for _ in range(4):
            for transport in TRANSPORTS:
                done = self.run_client(server, "pub", "room", "e", "1", "--transport",
                                       transport)
                self.assertIn(done[0], [3, 4], done) # a reset, or a word
        with socket.create_connection(("127.0.0.1", server.listening["http_port"])) as plain:
            plain.settimeout(DEADLINE)
            try:
                plain.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
                self.assertEqual(plain.recv(100), b"")
            except ConnectionError:
                pass

    def test_no_more_than_so_many_come_in(self):
        for flag in ["--connections-max", "--connections-per-address-max"]:
            with self.subTest(flag):
                server = self.serve(flag, "6", "--bind", "127.0.0.1")
                subs = [self.joined(server, "room", "--transport",
                                    TRANSPORTS[index % len(TRANSPORTS)])
                        for index in range(6)]
                self.full(server)
                for sub in subs:
                    self.assertEqual(sub.err.seen, [])
                left = subs.pop()
                left.signal(signal.SIGTERM)
                self.assertEqual(left.wait(), 0)
                # Its place is free, as soon as the backend has noticed.
                begin = time.monotonic()
                while self.client(server, "sub", "room").out.next() is None:
                    self.assertLess(time.monotonic() - begin, DEADLINE)
                self.full(server)


class Configuration(TestCase):
    def test_options_come_from_a_file_and_flags_win_over_it(self):
        config = self.path("yomo.conf", "# mine\nmesh = north\nhttp-port = none\n"
                                        "keys = a=1\nkeys = b=2\n")
        server = self.serve("--config", config, "--keys", "c=3")
        self.assertGreater(server.listening["http_port"], 0) # --http-port 0 won
        self.assertIs(server.listening["development"], False) # the file's keys are read
        for key, code in [("1", 4), ("3", 0)]: # the flag's list stands for the file's
            done = self.run_client(server, "pub", "r", "e", "1", "--public-key", key)
            self.assertEqual(done[0], code, done[2])

    def test_a_wrong_line_is_named(self):
        config = self.path("yomo.conf", "port = 0\n\nprot = 1\n")
        code, _, err = self.run_program("serve", "--config", config)
        self.assertEqual(code, 2)
        self.assertIn("line 3", err)
        self.assertIn("did you mean 'port'?", err)

    def test_a_file_that_is_not_there_is_named(self):
        code, _, err = self.run_program("serve", "--config", self.path("nothing.conf"))
        self.assertEqual(code, 1)
        self.assertIn("nothing.conf", err)


class Signals(TestCase):
    def test_sigterm_and_sigint_end_it_cleanly(self):
        for number in [signal.SIGTERM, signal.SIGINT]:
            server = self.serve()
            server.signal(number)
            self.assertEqual(server.wait(), 0)

    def test_with_clients_it_is_out_within_ten_seconds(self):
        server = self.serve()
        subs = [self.joined(server, "room") for _ in range(3)]
        begin = time.monotonic()
        server.signal(signal.SIGTERM)
        self.assertEqual(server.wait(), 0)
        self.assertLess(time.monotonic() - begin, 10)
        for sub in subs: # they were told to come back, and try
            sub.err.until("connection lost")

    def test_clients_go_where_a_backend_that_ends_sends_them(self):
        there = self.serve()
        other = self.joined(there, "room", "--presence")
        for transport in TRANSPORTS:
            with self.subTest(transport=transport):
                here = self.serve("--drain-url", there.url)
                sub = self.joined(here, "room", "--transport", transport)
                here.signal(signal.SIGTERM)
                self.assertEqual(here.wait(), 0)
                self.assertEqual(sub.record("joined")["transport"], transport)
                other.record("join") # it is here now
                self.assertEqual(self.run_client(there, "pub", "room", "e", "1")[0], 0)
                self.assertEqual(sub.record("message")["data"], 1)
                for kind in ["join", "message", "leave"]: # of the one that said it
                    other.record(kind)
                sub.signal(signal.SIGTERM)
                self.assertEqual(sub.wait(), 0)
                other.record("leave")

    def test_clients_come_back_where_the_other_url_leads_nowhere(self):
        nowhere = f"https://localhost:{closed_port()}"
        server = self.serve("--drain-url", nowhere)
        sub = self.joined(server, "room", "--reconnect-max", "1s")
        server.signal(signal.SIGTERM)
        self.assertEqual(server.wait(), 0)
        sub.err.until("connection lost")
        self.serve(port=server.listening["port"])
        sub.record("joined")

    def test_a_url_that_is_none_is_named(self):
        code, _, err = self.run_program("serve", "--drain-url", "b.example")
        self.assertEqual(code, 2)
        self.assertIn("drain-url", err)

    def test_a_backend_that_ends_says_that_it_is_not_ready(self):
        server = self.serve("--workers", "1", "--drain-timeout", "1h")
        port = server.listening["http_port"]
        member = Raw(port) # for whom it waits: it does not answer the close
        self.addCleanup(member.close)
        self.assertEqual(member.upgrade("/v1"), 101)
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)) as kept:
            def status(path):
                kept.request("GET", path)
                with kept.getresponse() as answer:
                    answer.read()
                    return answer.status
            self.assertEqual((status("/readyz"), status("/healthz")), (200, 200))
            server.signal(signal.SIGTERM)
            while (now := status("/readyz")) == 200: # the signal is on its way
                pass
            self.assertEqual(now, 503)
        member.until(CLOSE)
        member.close()
        self.assertEqual(server.wait(), 0)

    def test_a_client_that_hangs_does_not_hold_it(self):
        server = self.serve("--drain-timeout", "500ms")
        with socket.create_connection(("127.0.0.1", server.listening["http_port"])) as idle:
            idle.send(b"GET /v1 HTT")
            server.signal(signal.SIGTERM)
            self.assertEqual(server.wait(), 0)

    def test_a_second_signal_ends_it_at_once(self):
        server = self.serve("--drain-timeout", "1h")
        self.joined(server, "room")
        begin = time.monotonic()
        server.signal(signal.SIGTERM)
        server.signal(signal.SIGINT)
        self.assertIn(server.wait(), [0, 1])
        self.assertLess(time.monotonic() - begin, 10)

    def certificate(self, state):
        """One that a backend made for itself: its two files and its hash."""
        server = self.start("serve", "--port", "0", "--http-port", "none", "--workers", "1",
                            "--state-dir", self.path(state))
        line = server.err.until(lambda line: line.startswith("listening {"))
        server.signal(signal.SIGTERM)
        self.assertEqual(server.wait(), 0)
        return [os.path.join(self.path(state), name)
                for name in ["dev-cert.pem", "dev-key.pem"]
                ], json.loads(line.removeprefix("listening "))["certificate_sha256"]

    def test_sighup_reads_the_certificate_again(self):
        old, old_pin = self.certificate("old")
        new, new_pin = self.certificate("new")
        used = [self.path("cert.pem"), self.path("key.pem")]
        for source, copy in zip(old, used):
            shutil.copy(source, copy)
        server = self.serve("--tls-cert", used[0], "--tls-key", used[1])
        stays = [self.joined(server, "room", "--transport", transport, "--cert-hash", old_pin)
                 for transport in TRANSPORTS]
        for source, copy in zip(new, used):
            shutil.copy(source, copy)
        server.signal(signal.SIGHUP)
        server.err.until("were read again")
        for transport in TRANSPORTS:
            for pin, code in [(new_pin, 0), (old_pin, 3)]:
                done = self.run_client(server, "pub", "room", "e", "1", "--transport",
                                       transport, "--cert-hash", pin)
                self.assertEqual(done[0], code, done[2])
        for sub in stays: # connections that stood went on
            for _ in TRANSPORTS:
                self.assertEqual(sub.record()["data"], 1)
            self.assertEqual(sub.err.seen, [])

    def test_a_certificate_that_went_away_leaves_the_old_one_in_use(self):
        first = self.serve() # makes a certificate
        cert = os.path.join(self.path("state"), "dev-cert.pem")
        key = os.path.join(self.path("state"), "dev-key.pem")
        copies = [self.path("cert.pem"), self.path("key.pem")]
        for source, copy in zip([cert, key], copies):
            with open(source, encoding="utf-8") as file:
                self.path(os.path.basename(copy), file.read())
        pin = first.listening["certificate_sha256"]
        server = self.serve("--tls-cert", copies[0], "--tls-key", copies[1])
        os.remove(copies[0])
        server.signal(signal.SIGHUP)
        server.err.until("stays in use")
        code = self.run_client(server, "pub", "r", "e", "1", "--cert-hash", pin)[0]
        self.assertEqual(code, 0)


if __name__ == "__main__":
    main()
