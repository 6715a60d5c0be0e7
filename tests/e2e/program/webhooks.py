#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Webhooks: what is told of rooms, how it is signed, and endpoints that refuse now and then."""
import base64
import hashlib
import hmac
import json
import os
import shutil
import signal
import ssl
import subprocess
import time
import urllib.request

from endpoint import DEADLINE, OK, Endpoint, answer, certificates
from house import House
from raw import control
from support import main

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
OLD = "whsec_" + base64.b64encode(bytes(range(32, 64))).decode()
LOOPBACK = ("--webhook-allow", "127.0.0.0/8", "--webhook-allow", "::1")
VERIFY = os.path.join(os.path.dirname(__file__), "..", "webhooks", "verify.mjs")


def verify(secret, headers, body):
    """As docs/webhooks.md has it."""
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    key = base64.b64decode(secret.removeprefix("whsec_"))
    good = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return any(hmac.compare_digest(one, "v1," + good)
               for one in headers["webhook-signature"].split(" "))


class Webhooks(House):
    def secret(self, text=SECRET + "\n", mode=0o600):
        path = self.path("whsec", text)
        os.chmod(path, mode)
        return path

    def endpoint(self, behave=None, tls=None):
        endpoint = Endpoint(behave, tls)
        self.addCleanup(endpoint.close)
        return endpoint

    def hooked(self, endpoint, *flags, scheme="http", host="localhost", allow=LOOPBACK,
               wait="20ms"):
        self.open_house("--webhook-url", f"{scheme}://{host}:{endpoint.port}/hook?a=b",
                        "--webhook-secret-file", self.secret(), "--webhook-batch-time",
                        wait, "--room-linger", "0", *allow, *flags)

    def metrics(self):
        url = f"http://localhost:{self.http_port}/metrics"
        with urllib.request.urlopen(url, timeout=DEADLINE) as got:
            text = got.read().decode()
        rows = [line.rsplit(" ", 1) for line in text.splitlines() if line[0] != "#"]
        return {name: float(value) for name, value in rows}

    def hook(self, name):
        return self.metrics()[f"yomo_webhook_{name}"]

    def hook_counts(self, name, at_least):
        return self.counted(f"yomo_webhook_{name}", at_least)

    def tls(self, name="localhost"):
        self.ca, cert, key = certificates(self.path, name)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        return context

    def end(self):
        self.mouth.kill()
        for ear in self.ears:
            ear.kill()
        self.server.signal(signal.SIGTERM)
        self.assertEqual(self.server.wait(), 0)

    def bad_endpoint(self, behave, wanted, *flags, least=1, **more):
        """It is tried again, the log says why, and nobody in a room notices."""
        endpoint = self.endpoint(behave)
        self.hooked(endpoint, "--webhook-timeout", "500ms", *flags, **more)
        self.assertIn(wanted, self.logged("events for localhost wait"))
        self.hook_counts("retries_total", least)
        self.all_is_well()
        self.assertEqual(self.hook("events_delivered_total"), 0)
        self.assertGreaterEqual(self.hook("events_waiting"), 1)
        self.assertEqual(self.hook("failing"), 1)
        with urllib.request.urlopen(f"http://localhost:{self.http_port}/readyz",
                                    timeout=DEADLINE) as ready:
            self.assertEqual(ready.status, 200)
        return endpoint


class Good(Webhooks):
    def test_what_happens_in_a_room_is_told_and_signed(self):
        endpoint = self.endpoint(tls=self.tls())
        self.hooked(endpoint, "--webhook-ca", self.ca, scheme="https")
        guest = self.guest("/v1?yomo=1&id=ada")
        guest.say(control("channel_join", c="r \u00e9"))
        guest.message("channel_join")
        guest.say(control("peer_offline", c="r \u00e9"))
        told = []
        while not told or told[-1]["type"] != "room_closed":
            event = endpoint.event()
            if event["room"] == "r \u00e9":
                told.append(event)
        self.assertEqual([one["type"] for one in told],
                         ["room_opened", "member_joined", "member_left", "room_closed"])
        for one in told:
            self.assertEqual(one["app"], "default")
            self.assertLess(abs(one["at"] - time.time() * 1000), 60_000)
        joined, left = told[1], told[2]
        self.assertEqual((joined["id"], joined["session"]), ("ada", left["session"]))
        self.assertNotIn("reason", joined)
        self.assertEqual((left["reason"], told[3]["reason"]), ("left", "empty"))
        for headers, body in endpoint.requests:
            self.assertEqual(headers[":"], "POST /hook?a=b HTTP/1.1")
            self.assertEqual(headers["Host"], f"localhost:{endpoint.port}")
            self.assertEqual(headers["Content-Type"], "application/json")
            self.assertEqual(json.loads(body)["id"], headers["webhook-id"])
            self.assertEqual(json.loads(body)["lost"], 0)
            self.assertTrue(verify(SECRET, headers, body))
            self.assertFalse(verify(OLD, headers, body))
        self.check_independently(endpoint.requests)
        self.assertLessEqual(endpoint.connections, 2) # both addresses may be tried
        self.hook_counts("latency_seconds_count", len(told))
        self.end()

    def test_the_endpoint_is_another_one_while_it_runs(self):
        """What the old one did not take goes to the new one, at once; what is wrong changes
        nothing."""
        old, new = self.endpoint(lambda *_: answer(500)), self.endpoint()
        lines = "webhook-allow = 127.0.0.0/8, ::1\nwebhook-batch-time = 20ms\n"
        url = "webhook-url = http://localhost:{}/hook\n"
        config = self.path("config", lines + url.format(old.port))
        self.open_house("--config", config, "--webhook-secret-file", self.secret())
        self.logged("answers 500")
        for wrong in ("webhook-url = ftp://localhost/\n", "",
                      url.format(new.port) + "webhook-ca = /nowhere\nrooms-max = 0\n",
                      url.format(new.port).replace("http", "https")
                      + "webhook-ca = /nowhere\n"):
            self.path("config", lines + wrong)
            self.server.signal(signal.SIGHUP)
            self.logged("what was in use stays in use")
        self.assertEqual(new.requests, [])
        self.path("config", lines + url.format(new.port) + "webhook-batch = 1\n")
        self.server.signal(signal.SIGHUP)
        self.assertIn("webhook-url", self.logged("options changed"))
        first = new.event()
        self.assertEqual(first["type"], "room_opened")
        self.hook_counts("events_delivered_total", 4) # a room, three members
        for headers, body in new.requests:
            self.assertTrue(verify(SECRET, headers, body))
        self.assertEqual(self.hook("events_dropped_total"), 0)
        self.all_is_well()

    def check_independently(self, requests):
        if not shutil.which("node") or not os.path.isdir(
                os.path.join(os.path.dirname(VERIFY), "node_modules")):
            self.skipTest("there is no node, or no standardwebhooks of npm")
        lines = "".join(json.dumps({"secret": SECRET, "headers": headers,
                                    "body": body.decode()}) + "\n"
                        for headers, body in requests)
        done = subprocess.run(["node", VERIFY], input=lines, capture_output=True,
                              encoding="utf-8", timeout=DEADLINE, check=True)
        self.assertEqual(done.stdout.splitlines(), ["good"] * len(requests), done.stderr)

    def test_every_event_of_many_joins_arrives_through_failures(self):
        def behave(_, connection, number):
            if number % 5 == 2:
                return answer(500)
            if number % 5 == 4:
                connection.close()
                return None
            return OK
        endpoint = self.endpoint(behave)
        self.hooked(endpoint, "--rooms-max", "200")
        guest = self.guest("/v1?yomo=1&id=ada")
        rooms = {f"r{i}" for i in range(200)}
        for room in sorted(rooms):
            guest.say(control("channel_join", c=room))
        joined = [endpoint.event() for _ in range(3)]
        while {one["room"] for one in joined if one["type"] == "member_joined"} < rooms:
            joined.append(endpoint.event())
        guest.close()
        left = []
        while {one["room"] for one in left if one["type"] == "room_closed"} < rooms:
            left.append(endpoint.event())
        self.assertGreaterEqual({one["room"] for one in left
                                 if one["type"] == "member_left"}, rooms)
        bodies = {}
        for headers, body in endpoint.requests: # each attempt of a batch is the same
            self.assertEqual(bodies.setdefault(headers["webhook-id"], body), body)
            self.assertTrue(verify(SECRET, headers, body))
        self.assertEqual(sum(json.loads(body)["lost"] for body in bodies.values()), 0)
        self.assertEqual(self.hook("events_dropped_total"), 0)
        self.all_is_well()

    def test_reasons(self):
        token = self.path("token", "x" * 40)
        os.chmod(token, 0o600)
        endpoint = self.endpoint()
        self.hooked(endpoint, "--admin-token-file", token, "--admin-port", "0",
                    "--grace-time", "300ms", "--webhook-events", "member_left")
        reasons = {}
        for name in ("kicked", "lost", "left"):
            guest = self.guest(f"/v1?yomo=1&id={name}")
            guest.say(control("channel_join", c="room"))
            guest.message("channel_join")
            if name == "kicked":
                port = self.server.listening["admin_port"]
                code, _, err = self.run_program(
                    "admin", "kick", f"http://127.0.0.1:{port}", "--user", "kicked",
                    "--token-file", token)
                self.assertEqual(code, 0, err)
            elif name == "lost":
                guest.close()
            else:
                guest.frame(8, b"\x03\xe8")
            event = endpoint.event()
            self.assertEqual(event["type"], "member_left")
            reasons[event["id"]] = event["reason"]
        self.assertEqual(reasons, {"kicked": "kicked", "lost": "lost", "left": "left"})

    def test_secrets_are_changed_without_a_gap(self):
        endpoint = self.endpoint()
        self.hooked(endpoint)
        endpoint.event()
        self.secret(f"# the new one\n{OLD}\n{SECRET}\n")
        self.server.signal(signal.SIGHUP)
        end = time.monotonic() + DEADLINE
        while " " not in endpoint.requests[-1][0]["webhook-signature"]:
            self.assertLess(time.monotonic(), end)
            self.run_client(self.server, "pub", "room", "e", "1")
            time.sleep(0.05)
        headers, body = endpoint.requests[-1]
        self.assertTrue(verify(SECRET, headers, body) and verify(OLD, headers, body))

    def test_what_waits_is_sent_at_the_end(self):
        endpoint = self.endpoint()
        self.hooked(endpoint, wait="1m") # nothing would be sent for a minute
        self.end()
        told = [event for _, body in endpoint.requests
                for event in json.loads(body)["events"]]
        self.assertEqual([one["type"] for one in told if one["room"] == "good"][::len(told) - 1],
                         ["room_opened", "room_closed"])


class Between(Webhooks):
    def test_500_and_then_200(self):
        endpoint = self.endpoint(lambda _, __, number: answer(500) if number == 1 else OK)
        self.hooked(endpoint)
        self.logged("answers 500")
        self.logged("are taken again")
        first, second = endpoint.until_requests(2)[:2]
        self.assertEqual(first[1], second[1])
        self.assertEqual(first[0]["webhook-id"], second[0]["webhook-id"])
        self.hook_counts("retries_total", 1)
        self.assertEqual(self.hook("events_failed_total"), 0)

    def test_too_many_requests(self):
        times = []

        def behave(_, __, number):
            times.append(time.monotonic())
            return answer(429, b"", "Retry-After: 3") if number == 1 else OK
        endpoint = self.endpoint(behave)
        self.hooked(endpoint)
        endpoint.until_requests(2)
        self.assertGreaterEqual(times[1] - times[0], 2.9)

    def test_410_is_final(self):
        endpoint = self.endpoint(lambda _, __, number: answer(410) if number == 1 else OK)
        self.hooked(endpoint, wait="300ms")
        self.assertIn("answers 410", self.logged("are given up"))
        first = endpoint.until_requests(1)[0]
        gone = len(json.loads(first[1])["events"])
        self.hook_counts("events_failed_total", gone)
        self.run_client(self.server, "pub", "room", "e", "1")
        second = endpoint.until_requests(2)[1]
        self.assertNotEqual(first[0]["webhook-id"], second[0]["webhook-id"])
        self.assertEqual(json.loads(second[1])["lost"], gone)
        self.assertEqual(self.hook("retries_total"), 0)

    def test_it_is_given_up_in_time(self):
        endpoint = self.endpoint(lambda *_: answer(503))
        self.hooked(endpoint, "--webhook-retry-for", "1500ms")
        self.assertIn("answers 503", self.logged("are given up"))
        self.assertGreaterEqual(len(endpoint.requests), 2)
        self.hook_counts("events_failed_total", 1)
        self.all_is_well()

    def test_lies_about_the_length(self):
        """Too short, too long, absurd, none: the answer counts, the connection does not."""
        answers = [b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfar more than that",
                   b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nless",
                   b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\n",
                   b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
                   b"HTTP/1.1 200 OK\r\n\r\nuntil it closes",
                   b"HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 500 Lie\r\n\r\n"]
        endpoint = self.endpoint(lambda _, __, number: answers[number % len(answers)])
        self.hooked(endpoint, "--webhook-batch", "1")
        for _ in range(12):
            self.run_client(self.server, "pub", "room", "e", "1")
        endpoint.until_requests(12)
        self.hook_counts("events_delivered_total", 12)
        self.assertEqual(self.hook("retries_total"), 0)
        self.assertGreaterEqual(endpoint.connections, 11)

    def test_a_connection_is_kept_and_replaced(self):
        def behave(_, __, number):
            return OK if number != 3 else b"HTTP/1.1 200 OK\r\nConnection: close\r\n" \
                                          b"Content-Length: 0\r\n\r\n"
        endpoint = self.endpoint(behave)
        self.hooked(endpoint, "--webhook-batch", "1", host="127.0.0.1")
        self.run_client(self.server, "pub", "room", "e", "1")
        endpoint.until_requests(6)
        self.assertEqual(endpoint.connections, 2)
        for one in endpoint.open: # while nobody looks
            one.close()
        self.run_client(self.server, "pub", "room", "e", "1")
        self.hook_counts("events_delivered_total", 8)
        self.assertEqual(self.hook("retries_total"), 0)


class Start(Webhooks):
    def test_what_does_not_fit_is_said(self):
        good = ["--webhook-url", "https://example.com/", "--webhook-secret-file",
                self.secret()]
        cases = [
            (["--webhook-url", "https://example.com/"], "webhook-secret-file"),
            (["--webhook-url", "ftp://example.com/", *good[2:]], "webhook-url"),
            (["--webhook-url", "http://example.com/", *good[2:]], "webhook-allow"),
            (["--webhook-url", "https://a@example.com/", *good[2:]], "webhook-url"),
            ([*good, "--webhook-events", "everything"], "webhook-events"),
            ([*good, "--webhook-allow", "10.0.0.0/33"], "webhook-allow"),
            ([*good, "--webhook-ca", self.path("none")], "none"),
            ([*good[:3], self.path("bad", "rubbish")], "bad"),
        ]
        os.chmod(self.path("bad"), 0o600)
        for flags, wanted in cases:
            with self.subTest(flags=flags):
                code, _, err = self.run_program(
                    "serve", "--port", "0", "--http-port", "0", "--state-dir",
                    self.path("state"), *flags)
                self.assertNotEqual(code, 0)
                self.assertIn(wanted, err)

    def test_a_secret_that_others_can_read_is_refused(self):
        code, _, err = self.run_program(
            "serve", "--port", "0", "--http-port", "0", "--state-dir", self.path("state"),
            "--webhook-url", "https://example.com/", "--webhook-secret-file",
            self.secret(mode=0o644))
        self.assertNotEqual(code, 0)
        self.assertIn("whsec", err)


if __name__ == "__main__":
    main()
