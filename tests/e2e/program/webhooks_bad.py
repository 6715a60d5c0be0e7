#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Webhooks to endpoints that hang, lie, redirect or are nowhere: rooms notice nothing."""
import json
import socket
import time
import types

from endpoint import OK, answer
from raw import control
from support import main
from webhooks import Webhooks


class Bad(Webhooks):
    def test_hangs(self):
        def behave(endpoint, *_):
            endpoint.ended.wait()
        endpoint = self.bad_endpoint(behave, "timed out", "--webhook-queue", "5")
        guest = self.guest("/v1?yomo=1&id=ada")
        for i in range(50):
            guest.say(control("channel_join", c=f"r{i}"))
            guest.message("channel_join")
        self.hook_counts("events_dropped_total", 90) # 50 opened, 50 joined, 5 wait
        self.assertLessEqual(self.hook("events_waiting"), 5 + 100)
        endpoint.behave = lambda *_: OK
        self.logged("are taken again")
        self.hook_counts("events_delivered_total", 6)
        endpoint.until_requests(2)
        self.until(lambda now: now["yomo_webhook_events_waiting"] == 0, "the rest")
        lost = {json.loads(body)["id"]: json.loads(body)["lost"]
                for _, body in endpoint.requests}
        self.assertEqual(sum(lost.values()), self.hook("events_dropped_total"))
        self.all_is_well()

    def test_hangs_at_the_end(self):
        self.bad_endpoint(lambda endpoint, *_: endpoint.ended.wait() and None, "timed out",
                          "--drain-timeout", "2s")
        began = time.monotonic()
        self.end()
        self.assertLess(time.monotonic() - began, 10)
        self.assertTrue(any("were not delivered before the end" in line
                            for line in self.server.err.rest() + self.server.err.seen))

    def test_answers_slowly(self):
        def behave(endpoint, connection, _):
            for byte in answer(200, b"x" * 100):
                connection.sendall(bytes([byte]))
                if endpoint.ended.wait(0.05):
                    break
        self.bad_endpoint(behave, "timed out")

    def test_closes_at_once(self):
        self.bad_endpoint(lambda *_: None, "connection closed")

    def test_headers_without_end(self):
        def behave(_, connection, __):
            connection.sendall(b"HTTP/1.1 200 OK\r\n")
            for i in range(100_000):
                connection.sendall(f"x-{i}: {'y' * 100}\r\n".encode())
        self.bad_endpoint(behave, "not HTTP, or too long")

    def test_hints_without_end(self):
        self.bad_endpoint(lambda *_: b"HTTP/1.1 103 Hints\r\n\r\n" * 20, "nobody asked")

    def test_is_no_http(self):
        self.bad_endpoint(lambda *_: b"220 mail.example ESMTP\r\n", "not HTTP")

    def test_redirects(self):
        endpoint = self.bad_endpoint(
            lambda endpoint, *_: answer(
                307, b"", f"Location: http://localhost:{endpoint.port}/other"),
            "answers 307, and no redirect is followed")
        self.assertEqual({headers[":"] for headers, _ in endpoint.requests},
                         {"POST /hook?a=b HTTP/1.1"})

    def test_redirects_to_a_private_address(self):
        inner = self.endpoint()
        self.bad_endpoint(lambda *_: answer(
            301, b"", f"Location: http://127.0.0.1:{inner.port}/"), "answers 301")
        self.assertEqual(inner.connections, 0)

    def test_is_nowhere(self):
        with socket.socket() as taken:  # by one who does not listen
            taken.bind(("127.0.0.1", 0))
            self.hooked(types.SimpleNamespace(port=taken.getsockname()[1]))
            self.assertIn("reached", self.logged("events for localhost wait"))
            self.all_is_well()

    def test_a_private_address_that_is_not_listed(self):
        for host in ("localhost", "127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "2130706433",
                     "[64:ff9b::7f00:1]"):
            with self.subTest(host=host):
                endpoint = self.endpoint(tls=self.tls())
                self.hooked(endpoint, "--webhook-ca", self.ca, "--drain-timeout", "100ms",
                            scheme="https", host=host, allow=())
                self.assertIn("is not in webhook-allow",
                              self.logged("wait, it is tried again"))
                self.all_is_well()
                self.assertEqual(endpoint.connections, 0)
                self.end()

    def test_http_to_an_address_that_is_not_listed(self):
        endpoint = self.endpoint()
        self.hooked(endpoint, allow=("--webhook-allow", "10.0.0.0/8"))
        self.assertIn("is not in webhook-allow", self.logged("wait, it is tried again"))
        self.assertEqual(endpoint.connections, 0)

    def test_a_wrong_certificate(self):
        for what in ("another name", "an authority that nobody knows"):
            with self.subTest(what=what):
                name = "example.com" if what == "another name" else "localhost"
                endpoint = self.endpoint(tls=self.tls(name))
                more = ["--webhook-ca", self.ca] if what == "another name" else []
                self.hooked(endpoint, "--drain-timeout", "100ms", *more, scheme="https")
                self.assertIn("certificate", self.logged("wait, it is tried again"))
                self.all_is_well()
                self.assertEqual(endpoint.requests, [])
                self.end()


if __name__ == "__main__":
    main()
