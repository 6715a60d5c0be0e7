#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What an operator may do over HTTP, asked by curl and by bare sockets."""
import base64
import hashlib
import hmac
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import time
import unittest

from endpoint import Endpoint
from support import DEADLINE, TRANSPORTS, TestCase, main

SECRET = "0123456789abcdefghijklmnopqrstuvwxyz"
KEY = b"a key for tokens, of thirty-two bytes or more"
REFUSED = 4


def token(key=KEY, **claims):
    """A JSON Web Token, made here and not by what is tested."""
    def part(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=")
    claims = {"exp": int(time.time()) + 3600, **claims}
    signed = part(b'{"alg":"HS256","typ":"JWT"}') + b"." + part(json.dumps(claims).encode())
    mac = hmac.new(key, signed, hashlib.sha256).digest()
    return (signed + b"." + part(mac)).decode()


class Case(TestCase):
    def secret_file(self, name="secret", text=SECRET + "\n", mode=0o600):
        path = self.path(name, text)
        os.chmod(path, mode)
        return path

    def serve_admin(self, *flags):
        return self.serve("--admin-port", "0", "--admin-token-file", self.secret_file(),
                          *flags)

    def hook_secret(self):
        path = self.path("hook", "whsec_" + "MDEy" * 11 + "\n")
        os.chmod(path, 0o600)
        return path

    def curl(self, server, call, body=None, secret=SECRET, headers=(), method=None):
        """Status, headers, JSON."""
        url = f"http://127.0.0.1:{server.listening['admin_port']}/admin/v1/{call}"
        command = ["curl", "--silent", "--show-error", "--max-time", str(DEADLINE),
                   "--dump-header", "-", url]
        if secret:
            command += ["--header", f"Authorization: Bearer {secret}"]
        if body is not None:
            command += ["--header", "Content-Type: application/json", "--data-binary",
                        body if isinstance(body, str) else json.dumps(body)]
        for header in headers:
            command += ["--header", header]
        if method:
            command += ["--request", method]
        done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        head, _, text = done.stdout.partition("\n\n")
        lines = head.splitlines()
        fields = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
        return int(lines[0].split()[1]), fields, json.loads(text)

    def ask(self, server, call, body=None, **more):
        """The answer of a call that must succeed."""
        status, _, answer = self.curl(server, call, body, **more)
        self.assertEqual(status, 200, answer)
        return answer

    def http(self, port, path, method="GET", **more):
        connection = http.client.HTTPConnection("localhost", port, timeout=DEADLINE)
        try:
            connection.request(method, path, **more)
            answer = connection.getresponse()
            answer.body = answer.read()
            return answer
        finally:
            connection.close()

    def until(self, call, wanted):
        """Ask until the answer is as wanted; with a deadline."""
        end = time.monotonic() + DEADLINE
        while True:
            answer = call()
            if wanted(answer) or time.monotonic() > end:
                self.assertTrue(wanted(answer), answer)
                return answer
            time.sleep(0.02)


@unittest.skipUnless(shutil.which("curl"), "there is no curl")
class Operators(Case):
    def test_rooms_and_members_are_listed(self):
        server = self.serve_admin()
        for transport in TRANSPORTS:
            self.joined(server, "room/1", "--id", "al\"ice", "--transport", transport)
        self.joined(server, "other", "--id", "bob")
        rooms = self.ask(server, "rooms")["rooms"]
        self.assertEqual([(room["room"], room["members"]) for room in rooms],
                         [("other", 1), ("room/1", len(TRANSPORTS))])
        self.assertEqual(rooms[0]["app"], "default")
        members = self.ask(server, "members?room=room%2F1")["members"]
        self.assertEqual({m["transport"] for m in members}, set(TRANSPORTS))
        self.assertEqual({m["id"] for m in members}, {"al\"ice"})
        for member in members:
            self.assertLess(abs(member["since"] / 1000 - time.time()), 60)
            self.assertRegex(member["address"], r"^(127\.0\.0\.1|\[::1\]):\d+$")
        page = self.ask(server, "rooms?max=1")
        self.assertEqual(page["rooms"][0]["room"], "other")
        page = self.ask(server, "rooms?max=1&after=" + page["next"])
        self.assertEqual(page["rooms"][0]["room"], "room/1")
        self.assertNotIn("next", page)
        stats = self.ask(server, "stats")
        self.assertEqual(stats["members"], len(TRANSPORTS) + 1)
        self.assertEqual(stats["state"], "serving")

    def test_who_is_kicked_stays_away(self):
        server = self.serve_admin()
        for transport in TRANSPORTS:
            with self.subTest(transport=transport):
                sub = self.joined(server, "r", "--id", "mallory", "--transport", transport)
                other = self.joined(server, "r", "--id", "alice", "--presence")
                answer = self.ask(server, "kick", {"id": "mallory", "reason": "be nice"})
                self.assertEqual(answer, {"kicked": 1})
                self.assertEqual(sub.wait(), REFUSED)
                other.kill()

    def test_out_of_a_room_by_session(self):
        server = self.serve_admin()
        sub = self.joined(server, "r", "--id", "mallory")
        member, = self.ask(server, "members?room=r")["members"]
        answer = self.ask(server, "kick", {"room": "r", "session": member["session"]})
        self.assertEqual(answer, {"kicked": 1})
        self.assertEqual(sub.wait(), REFUSED)
        self.assertEqual(self.ask(server, "kick", {"id": "nobody"}), {"kicked": 0})

    def test_a_ban_counts_until_it_is_taken_back(self):
        server = self.serve_admin()
        sub = self.joined(server, "r", "--id", "mallory")
        self.ask(server, "ban", {"id": "mallory", "seconds": 3600, "reason": "spam"})
        self.assertEqual(sub.wait(), REFUSED)
        for transport in TRANSPORTS:
            code, _, err = self.run_client(server, "pub", "r", "e", "1", "--id", "mallory",
                                           "--transport", transport)
            self.assertEqual(code, REFUSED, err)
        self.assertEqual(
            self.run_client(server, "pub", "r", "e", "1", "--id", "alice")[0], 0)
        ban, = self.ask(server, "bans")["bans"]
        self.assertEqual((ban["id"], ban["app"], ban["reason"]),
                         ("mallory", "default", "spam"))
        self.assertLess(abs(ban["until"] / 1000 - time.time() - 3600), 60)
        self.ask(server, "unban", {"id": "mallory"})
        self.assertEqual(self.curl(server, "unban", {"id": "mallory"})[0], 404)
        self.assertEqual(
            self.run_client(server, "pub", "r", "e", "1", "--id", "mallory")[0], 0)

    def test_a_ban_of_a_network_ends_by_itself(self):
        server = self.serve_admin()
        self.ask(server, "ban", {"address": "127.0.0.0/8", "seconds": 1})
        self.ask(server, "ban", {"address": "::1", "seconds": 1})
        code = self.run_client(server, "pub", "r", "e", "1")[0]
        self.assertEqual(code, REFUSED)
        self.until(lambda: self.run_client(server, "pub", "r", "e", "1")[0],
                   lambda code: code == 0)
        self.assertEqual(self.ask(server, "bans")["bans"], [])

    def test_bans_are_kept_over_a_restart_and_a_reload(self):
        file = self.path("bans")
        server = self.serve_admin("--bans-file", file)
        self.ask(server, "ban", {"id": "mallory", "room": "r", "seconds": 3600})
        self.ask(server, "ban", {"address": "2001:db8::/64", "seconds": 3600})
        server.child.kill() # it has no time to write anything now
        server.wait()
        self.assertEqual(os.stat(file).st_mode & 0o777, 0o600)
        server = self.serve_admin("--bans-file", file)
        bans = self.ask(server, "bans")["bans"]
        self.assertEqual({ban.get("id", ban.get("address")) for ban in bans},
                         {"mallory", "2001:db8::/64"})
        code, _, err = self.run_client(server, "pub", "r", "e", "1", "--id", "mallory")
        self.assertEqual(code, REFUSED, err)
        self.assertEqual(
            self.run_client(server, "pub", "s", "e", "1", "--id", "mallory")[0], 0)
        server.child.kill()
        server.wait()
        with open(file, "a", encoding="utf-8") as out:
            out.write("{\"app\":\"default\"\n")
        code, _, err = self.run_program("serve", "--port", "0", "--bans-file", file,
                                        "--state-dir", self.path("state"))
        self.assertNotEqual(code, 0)
        self.assertIn("line 3", err)

    def test_bans_that_cannot_be_written(self):
        file = self.path("bans")
        server = self.serve_admin("--bans-file", file)
        self.ask(server, "ban", {"id": "eve", "seconds": 3600})
        self.assertTrue(os.path.getsize(file) > 0) # an answer means that it is there
        os.unlink(file)
        os.mkdir(file) # nothing takes the place of a folder
        for call, body in (("ban", {"id": "mallory", "seconds": 3600}),
                           ("unban", {"id": "eve"})):
            status, _, answer = self.curl(server, call, body)
            self.assertEqual((status, answer["error"]), (500, "FILE"))
        server.err.until("bans are not kept")
        code = self.run_client(server, "pub", "r", "e", "1", "--id", "mallory")[0]
        self.assertEqual(code, REFUSED) # it counts all the same
        self.assertEqual(self.run_client(server, "pub", "r", "e", "1", "--id", "eve")[0], 0)
        self.until(lambda: self.http(server.listening["admin_port"], "/metrics", headers={
            "Authorization": f"Bearer {SECRET}"}).body,
                   lambda body: b"\nyomo_bans_file_failing 1" in body)
        os.rmdir(file)
        server.err.until("bans are kept again")
        with open(file, encoding="utf-8") as lines:
            self.assertEqual([json.loads(line)["id"] for line in lines], ["mallory"])

    def test_a_room_is_closed(self):
        server = self.serve_admin()
        subs = [self.joined(server, "r", "--transport", kind) for kind in TRANSPORTS]
        other = self.joined(server, "other")
        self.assertEqual(self.ask(server, "close", {"room": "r", "reason": "bye"}),
                         {"kicked": len(subs)})
        for sub in subs:
            self.assertEqual(sub.wait(), REFUSED)
        rooms = self.ask(server, "rooms")["rooms"]
        self.assertEqual([room["room"] for room in rooms], ["other"])
        self.joined(server, "r") # anew
        self.ask(server, "publish", {"room": "other", "event": "e", "data": {"a": [1]}})
        message = other.record("message")
        self.assertEqual((message["from"], message["data"]), ("operator", {"a": [1]}))

    def test_a_closed_room_is_gone_from_the_store_too(self):
        flags = ["--history-messages", "100", "--room-linger", "0", "--history-store",
                 "sqlite:" + self.path("history.db")]
        server = self.serve_admin(*flags)
        def said(room):
            code, out, err = self.run_client(server, "history", room)
            self.assertEqual((code, err), (0, ""))
            return [json.loads(line)["data"] for line in out.splitlines()]
        for room in ("used", "unused", "other"):
            for data in ("1", "2"):
                self.assertEqual(self.run_client(server, "pub", room, "e", data)[0], 0)
            self.assertEqual(said(room), [1, 2])
        sub = self.joined(server, "used")
        self.ask(server, "close", {"room": "used"})
        self.assertEqual(sub.wait(), REFUSED)
        self.ask(server, "close", {"room": "unused"}) # nobody is in it: on disk alone
        for room, left in (("used", []), ("unused", []), ("other", [1, 2])):
            self.assertEqual(self.until(lambda: said(room), lambda now: now == left), left)
        self.assertEqual(self.run_client(server, "pub", "used", "e", "3")[0], 0)
        server.signal(signal.SIGTERM)
        self.assertEqual(server.wait(), 0)
        server = self.serve_admin(*flags)
        for room, left in (("used", [3]), ("unused", []), ("other", [1, 2])):
            self.assertEqual(said(room), left)

    def test_values_are_set_and_read(self):
        endpoint = Endpoint()
        self.addCleanup(endpoint.close)
        server = self.serve_admin(
            "--webhook-url", f"http://127.0.0.1:{endpoint.port}/", "--webhook-allow",
            "127.0.0.0/8", "--webhook-events", "value_changed", "--webhook-secret-file",
            self.hook_secret(), "--webhook-batch-time", "20ms")
        new = {"room": "r", "key": "k", "data": {"page": 1}}
        self.assertEqual(self.curl(server, "set-value", new)[0], 404) # nobody is there
        self.joined(server, "r", "--id", "alice")
        first = self.ask(server, "set-value", new)["version"]
        self.assertEqual(self.ask(server, "value?room=r&key=k"),
                         {"key": "k", "version": first, "value": {"page": 1}})
        status, _, answer = self.curl(server, "set-value", dict(new, version=0))
        self.assertEqual((status, answer["error"]), (409, "CONFLICT"))
        self.assertIn(str(first), answer["text"])
        self.ask(server, "set-value", {"room": "r", "key": "k", "base64": "AP8=",
                                       "version": first, "from": "house"})
        self.assertEqual(self.ask(server, "value?room=r&key=k")["base64"], "AP8=")
        for transport in TRANSPORTS: # members see it
            code, out, _ = self.run_client(server, "value", "r", "k", "--transport", transport)
            self.assertEqual((code, json.loads(out)["from"]), (0, "house"))
        self.assertEqual(self.ask(server, "delete-value", {"room": "r", "key": "k"}),
                         {"deleted": True})
        self.assertEqual(self.curl(server, "value?room=r&key=k")[0], 404)
        self.assertEqual(self.curl(server, "set-value", {"room": "r", "key": "k"})[0], 400)
        events = [endpoint.event() for _ in range(3)]
        self.assertEqual([event["type"] for event in events], ["value_changed"] * 3)
        self.assertEqual((events[0]["key"], events[0]["value"], events[0]["id"]),
                         ("k", {"page": 1}, "operator"))
        self.assertEqual((events[1]["base64"], events[1]["id"]), ("AP8=", "house"))
        self.assertTrue("value" not in events[2] and "base64" not in events[2])

    def test_some_are_spoken_to(self):
        server = self.serve_admin()
        alice = self.joined(server, "r", "--id", "alice")
        bob = self.joined(server, "r", "--id", "bob")
        self.ask(server, "publish", {"room": "r", "event": "e", "data": 1, "id": "bob"})
        session = next(row["session"] for row in
                       self.ask(server, "members?room=r")["members"] if row["id"] == "bob")
        self.ask(server, "publish", {"room": "r", "event": "e", "data": 2,
                                     "session": session})
        self.ask(server, "publish", {"room": "r", "event": "e", "data": 3})
        self.assertEqual([bob.record("message")["data"] for _ in range(3)], [1, 2, 3])
        self.assertEqual(alice.record("message")["data"], 3)

    def test_bytes_are_published(self):
        server = self.serve_admin()
        sub = self.joined(server, "r")
        self.ask(server, "publish", {"room": "r", "event": "e", "base64": "AP8=",
                                     "from": "the house", "delivery": "latest"})
        message = sub.record("message")
        self.assertEqual((message["from"], message["data"]),
                         ("the house", {"base64": "AP8="}))
        self.assertEqual(self.curl(server, "publish", {
            "room": "r", "event": "e", "delivery": "perhaps"})[0], 400)


@unittest.skipUnless(shutil.which("curl"), "there is no curl")
class Manners(Case):
    def test_nobody_gets_in_without_a_secret(self):
        server = self.serve_admin()
        for secret in (None, "wrong" * 10, SECRET + "x", SECRET[:-1], "x.y.z"):
            status, headers, answer = self.curl(server, "rooms", secret=secret)
            self.assertEqual((status, answer["error"]), (401, "AUTH"), secret)
            self.assertIn("bearer", headers["www-authenticate"])
        self.assertFalse([line for line in server.err.seen if SECRET in line])

    def test_another_secret_counts_after_a_reload(self):
        server = self.serve_admin()
        self.ask(server, "ban", {"id": "mallory", "seconds": 3600})
        other = SECRET[::-1]
        self.secret_file(text=other)
        server.signal(signal.SIGHUP)
        server.err.until("were read again")
        self.assertEqual(self.curl(server, "bans")[0], 401)
        self.assertEqual(len(self.ask(server, "bans", secret=other)["bans"]), 1)
        self.secret_file(text="short") # what was in use stays in use
        server.signal(signal.SIGHUP)
        server.err.until("stays in use")
        self.ask(server, "stats", secret=other)

    def test_all_files_are_reloaded_or_none(self):
        """The last one that is read is broken: those before it do not count either."""
        other, key = SECRET[::-1], KEY[::-1]
        hooks = "whsec_" + base64.b64encode(KEY).decode()
        files = {"--token-keys": self.path("key", KEY.decode()),
                 "--webhook-secret-file": self.secret_file("whsec", hooks)}
        server = self.serve_admin(
            "--webhook-url", "http://127.0.0.1:9/", "--webhook-allow", "127.0.0.0/8",
            *(word for flag in files.items() for word in flag))
        everything = {"rooms": {"*": ["admin"]}}
        old = [SECRET, token(yomo=everything)]
        new = [other, token(key, yomo=everything)]
        def count(secrets):
            return [self.curl(server, "stats", secret=secret)[0] for secret in secrets]
        self.path("key", key.decode())
        self.secret_file(text=other)
        self.secret_file("whsec", "none")
        server.signal(signal.SIGHUP)
        self.assertIn("whsec", server.err.until("stays in use"))
        self.assertEqual((count(old), count(new)), ([200, 200], [401, 401]))
        self.secret_file("whsec", hooks)
        server.signal(signal.SIGHUP)
        server.err.until("were read again")
        self.assertEqual((count(old), count(new)), ([401, 401], [200, 200]))

    def test_pages_are_refused(self):
        server = self.serve_admin()
        for header in ("Origin: http://localhost:8080", "Origin: null",
                       "Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-origin"):
            status, headers, _ = self.curl(server, "rooms", headers=[header])
            self.assertEqual(status, 403, header)
            self.assertNotIn("access-control-allow-origin", headers)
        # A name that resolves to this machine: DNS rebinding.
        url = f"http://127.0.0.1:{server.listening['admin_port']}/admin/v1/rooms"
        done = subprocess.run(
            ["curl", "--silent", "--header", f"Authorization: Bearer {SECRET}", "--header",
             "Host: evil.example", "--write-out", "%{http_code}", "--output", "/dev/null",
             url], capture_output=True, encoding="utf-8", timeout=DEADLINE, check=True)
        self.assertEqual(done.stdout, "421")

    def test_what_is_wrong_is_said(self):
        server = self.serve_admin()
        for call, body, status, method in (
                ("nothing", None, 404, None), ("kick", None, 405, None),
                ("rooms", {}, 405, None), ("rooms", None, 405, "DELETE"),
                ("kick", {}, 400, None), ("kick", "{", 400, None), ("kick", "[]", 400, None),
                ("kick", "", 400, None), ("kick", {"id": 5}, 400, None),
                ("kick", {"id": ""}, 400, None), ("kick", {"id": "a\0b"}, 400, None),
                ("kick", {"id": "x" * 256}, 400, None),
                ("kick", {"id": "a", "rooom": "r"}, 400, None),
                ("kick", '{"id":"a","id":"b"}', 400, None),
                ("kick", {"session": -1}, 400, None), ("kick", {"session": 1.5}, 400, None),
                ("kick", {"session": "12x"}, 400, None),
                ("ban", {"id": "a"}, 400, None), ("ban", {"seconds": 5}, 400, None),
                ("ban", {"id": "a", "seconds": 0}, 400, None),
                ("ban", {"address": "1.2.3", "seconds": 5}, 400, None),
                ("members", None, 400, None), ("members?room=r&x=1", None, 400, None),
                ("members?room=%ff", None, 400, None), ("members?room=%zz", None, 400, None),
                ("members?room=a&room=b", None, 400, None),
                ("rooms?after=zz", None, 400, None), ("rooms?max=-1", None, 400, None),
                ("publish", {"room": "r", "event": "e", "data": 1, "base64": ""}, 400, None),
                ("publish", {"room": "r", "event": "e", "base64": "?"}, 400, None),
                ("kick", json.dumps({"id": "a", "reason": "x" * 70000}), 413, None)):
            with self.subTest(call=call, body=str(body)[:60]):
                url = f"http://127.0.0.1:{server.listening['admin_port']}/admin/v1/{call}"
                command = ["curl", "--silent", "--header", f"Authorization: Bearer {SECRET}",
                           "--write-out", "%{http_code}", "--output", "/dev/null", url,
                           "--max-time", str(DEADLINE)]
                if body is not None:
                    command += ["--header", "Content-Type: application/json",
                                "--data-binary", "@-"]
                if method:
                    command += ["--request", method]
                text = body if isinstance(body, str) else json.dumps(body)
                done = subprocess.run(command, input=text, capture_output=True,
                                      encoding="utf-8", check=False)
                self.assertEqual(done.stdout, str(status))
        status, headers, _ = self.curl(server, "kick", method="GET")
        self.assertEqual(headers["allow"], "post")
        answer = self.http(server.listening["admin_port"], "/admin/v1/kick", "POST",
                           body='{"id":"a"}', headers={
                               "Authorization": f"Bearer {SECRET}",
                               "Content-Type": "text/plain"})
        self.assertEqual(answer.status, 415)
        self.assertEqual(answer.getheader("Accept"), "application/json")
        self.ask(server, "stats") # and all is well

    def test_too_many_requests(self):
        server = self.serve_admin("--admin-rate", "1")
        statuses = [self.curl(server, "stats")[0] for _ in range(6)]
        self.assertEqual(statuses[:2], [200, 200])
        self.assertIn(429, statuses)

    def test_where_it_is_and_where_not(self):
        server = self.serve_admin()
        port = server.listening["admin_port"]
        self.assertIn(b"yomo_admin_requests_total", self.http(port, "/metrics").body)
        for path in ("/", "/v1", "/config.json"):
            self.assertEqual(self.http(port, path).status, 404)
        secret = {"Authorization": f"Bearer {SECRET}"}
        port = server.listening["http_port"]
        for path in ("/metrics", "/admin/v1/stats"):
            self.assertEqual(self.http(port, path, headers=secret).status, 404, path)
        # No listener of its own: where the others are, for who has the secret.
        server = self.serve("--admin-token-file", self.secret_file())
        self.assertEqual(server.listening["admin_port"], 0)
        port = server.listening["http_port"]
        self.assertEqual(self.http(port, "/admin/v1/stats").status, 401)
        self.assertEqual(self.http(port, "/admin/v1/stats", headers=secret).status, 200)
        # None of it unless asked for.
        port = self.serve().listening["http_port"]
        self.assertEqual(self.http(port, "/admin/v1/stats", headers=secret).status, 404)

    def test_a_start_without_proof_is_refused(self):
        for flags, sentence in (
                (["--admin-port", "0"], "admin-token-file"),
                (["--admin-token-file", self.secret_file("open", mode=0o644)], "open"),
                (["--admin-token-file", self.secret_file("short", "x" * 31)], "32"),
                (["--admin-token-file", self.path("none")], "none")):
            code, _, err = self.run_program("serve", "--port", "0", "--http-port", "none",
                                            "--state-dir", self.path("state"), *flags)
            self.assertNotEqual(code, 0)
            self.assertIn(sentence, err)

    def test_beyond_loopback_it_speaks_tls(self):
        server = self.serve("--admin-port", "0", "--admin-bind", "0.0.0.0",
                            "--admin-token-file", self.secret_file())
        done = subprocess.run(
            ["curl", "--silent", "--show-error", "--insecure", "--max-time", str(DEADLINE),
             "--header", f"Authorization: Bearer {SECRET}",
             f"https://127.0.0.1:{server.listening['admin_port']}/admin/v1/stats"],
            capture_output=True, encoding="utf-8", check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(json.loads(done.stdout)["state"], "serving")

    def test_tokens_may_do_what_they_grant(self):
        key = self.path("key", KEY.decode())
        server = self.serve_admin("--token-keys", key)
        self.joined(server, "doc-1", "--token", token(sub="alice"))
        self.joined(server, "lobby", "--token", token(sub="bob"))
        everything = token(yomo={"rooms": {"*": ["admin"]}})
        docs = token(yomo={"rooms": {"doc-*": ["admin"], "lobby": ["join"]}})
        nothing = token(sub="alice")
        elsewhere = token(yomo={"app": "other", "rooms": {"*": ["admin"]}})
        for secret, rooms in ((everything, ["doc-1", "lobby"]), (docs, ["doc-1"]),
                              (nothing, []), (elsewhere, [])):
            answer = self.ask(server, "rooms", secret=secret)["rooms"]
            self.assertEqual([room["room"] for room in answer], rooms)
        for call, body, allowed in (
                ("kick", {"id": "x", "room": "doc-1"}, {everything, docs}),
                ("kick", {"id": "x", "room": "lobby"}, {everything}),
                ("kick", {"id": "x"}, {everything}),
                ("ban", {"id": "x", "seconds": 1}, {everything}),
                ("members?room=doc-1", None, {everything, docs}),
                ("members?room=lobby", None, {everything}),
                ("publish", {"room": "doc-1", "event": "e"}, {everything, docs}),
                ("close", {"room": "lobby"}, {everything}),
                ("bans", None, {everything}), ("stats", None, {everything})):
            for secret in (everything, docs, nothing):
                status = self.curl(server, call, body, secret=secret)[0]
                self.assertEqual(status, 200 if secret in allowed else 403, (call, body))
        self.assertEqual(self.curl(server, "members?room=doc-1&app=default",
                                   secret=elsewhere)[0], 403)
        self.assertEqual(self.curl(server, "stats", secret=elsewhere)[0], 403)
        expired = token(exp=1, yomo={"rooms": {"*": ["admin"]}})
        self.assertEqual(self.curl(server, "stats", secret=expired)[0], 401)


class Program(Case):
    def admin(self, server, what, *flags, scheme="http", state=None):
        url = f"{scheme}://127.0.0.1:{server.listening['admin_port']}"
        return self.run_program("admin", what, url, "--token-file", self.path("secret"),
                                "--state-dir", state or self.path("state"), *flags)

    def good(self, *args, **more):
        code, out, err = self.admin(*args, **more)
        self.assertEqual((code, err), (0, ""))
        return out

    def test_tables(self):
        server = self.serve_admin()
        self.joined(server, "r", "--id", "b\u00f6b\x1b[2J")
        rows = [line.split() for line in self.good(server, "rooms").splitlines()]
        self.assertEqual(rows, [["APP", "ROOM", "MEMBERS", "OBSERVERS"],
                                ["default", "r", "1", "0"]])
        out = self.good(server, "members", "--room", "r")
        self.assertIn("b\u00f6b", out)
        self.assertNotIn("\x1b", out)
        self.assertIn("websocket" if TRANSPORTS == ["websocket"] else "webtransport", out)
        self.assertRegex(self.good(server, "stats"), r"(?m)^members  1$")
        rooms = json.loads(self.good(server, "rooms", "--json"))["rooms"]
        self.assertEqual(rooms, [{"app": "default", "room": "r", "members": 1, "observers": 0}])
        self.assertEqual(len(self.good(server, "bans").splitlines()), 1)

    def test_what_changes_something(self):
        server = self.serve_admin()
        sub = self.joined(server, "r", "--id", "mallory")
        other = self.joined(server, "r", "--id", "alice")
        self.good(server, "publish", "--room", "r", "--event", "e", "--data", '{"a": 1}',
                  "--from", "house")
        message = other.record("message")
        self.assertEqual((message["from"], message["data"]), ("house", {"a": 1}))
        out = self.good(server, "set-value", "--room", "r", "--key", "k", "--data", "[1]",
                        "--if-version", "0")
        self.assertRegex(out, r"^version  \d+\n$")
        self.assertEqual(json.loads(self.good(server, "value", "--room", "r", "--key", "k",
                                              "--json"))["value"], [1])
        code, _, err = self.admin(server, "set-value", "--room", "r", "--key", "k", "--data",
                                  "2", "--if-version", "0")
        self.assertEqual(code, 1)
        self.assertIn("its version is", err)
        self.good(server, "delete-value", "--room", "r", "--key", "k")
        self.assertEqual(self.good(server, "kick", "--user", "mallory"), "kicked  1\n")
        self.assertEqual(sub.wait(), REFUSED)
        self.good(server, "ban", "--user", "mallory", "--for", "1h", "--reason", "a \"b\"")
        self.assertIn('a "b"', self.good(server, "bans"))
        self.assertEqual(
            self.run_client(server, "pub", "r", "e", "1", "--id", "mallory")[0], REFUSED)
        self.good(server, "unban", "--user", "mallory")
        code, _, err = self.admin(server, "unban", "--user", "mallory")
        self.assertEqual(code, 1)
        self.assertIn("404", err)
        self.assertEqual(self.good(server, "close", "--room", "r"), "kicked  1\n")
        self.assertEqual(other.wait(), REFUSED)

    def test_exit_codes(self):
        server = self.serve_admin()
        self.assertEqual(self.admin(server, "nothing")[0], 2)
        self.assertEqual(self.admin(server, "rooms", "--user", "x")[0], 2)
        self.assertEqual(self.admin(server, "kick")[0], 2)
        self.path("secret", "x" * 40)
        self.assertEqual(self.admin(server, "rooms")[0], REFUSED)
        os.remove(self.path("secret"))
        self.assertEqual(self.admin(server, "rooms")[0], 1)
        self.secret_file()
        server.kill()
        self.assertEqual(self.admin(server, "rooms")[0], 3)

    def test_no_answer_comes_in_time(self):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            code = self.run_program(
                "admin", "rooms", f"http://127.0.0.1:{silent.getsockname()[1]}",
                "--connect-timeout", "200ms")[0]
        self.assertEqual(code, 5)

    def test_an_answer_cut_short_is_none(self):
        with socket.create_server(("127.0.0.1", 0)) as lying:
            client = self.start("admin", "rooms",
                                f"http://127.0.0.1:{lying.getsockname()[1]}")
            lying.settimeout(DEADLINE)
            peer, _ = lying.accept()
            with peer:
                peer.recv(65536)
                peer.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"rooms":[')
            self.assertEqual(client.wait(), 3)

    def test_a_certificate_is_looked_at(self):
        server = self.serve("--admin-port", "0", "--admin-bind", "0.0.0.0",
                            "--admin-token-file", self.secret_file())
        self.good(server, "stats", scheme="https")
        code, _, err = self.admin(server, "stats", scheme="https",
                                  state=self.path("elsewhere"))
        self.assertEqual(code, 3, err)
        self.good(server, "stats", "--cert-hash", server.listening["certificate_sha256"],
                  scheme="https", state=self.path("elsewhere"))


class Liars(Case):
    def connect(self, server):
        raw = socket.create_connection(("127.0.0.1", server.listening["admin_port"]),
                                       timeout=DEADLINE)
        self.addCleanup(raw.close)
        return raw

    def read_all(self, raw):
        data = b""
        while piece := raw.recv(65536):
            data += piece
        return data

    def request(self, call, more="", body=""):
        return (f"{'POST' if body else 'GET'} /admin/v1/{call} HTTP/1.1\r\n"
                f"Host: localhost\r\nAuthorization: Bearer {SECRET}\r\n"
                f"{more}\r\n{body}").encode()

    def test_requests_in_one_piece_are_answered_in_their_order(self):
        server = self.serve_admin()
        self.joined(server, "r", "--id", "alice")
        body = json.dumps({"id": "nobody"})
        post = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        raw = self.connect(server)
        raw.sendall(self.request("rooms") + self.request("stats") +
                    self.request("kick", post, body) + self.request("members?room=r") +
                    self.request("nothing", "Connection: close\r\n"))
        answers = self.read_all(raw)
        places = [answers.find(text) for text in
                  (b'{"rooms":[', b'"state":"serving"', b'{"kicked":0}', b'{"members":[',
                   b'NOT_FOUND')]
        self.assertNotIn(-1, places)
        self.assertEqual(places, sorted(places))

    def test_one_byte_at_a_time(self):
        server = self.serve_admin()
        raw = self.connect(server)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in self.request("rooms", "Connection: close\r\n"):
            raw.sendall(bytes([byte]))
        self.assertIn(b"200 OK", self.read_all(raw))

    def test_two_lengths_are_none(self):
        server = self.serve_admin()
        body = '{"id":"a"}'
        json_type = "Content-Type: application/json\r\n"
        for more in ("Content-Length: 10\r\nTransfer-Encoding: chunked\r\n",
                     "Content-Length: 10\r\nContent-Length: 11\r\n",
                     "Transfer-Encoding: chunked, identity\r\n",
                     "Content-Length: -1\r\n", "Content-Length: 1e1\r\n",
                     "Content-Length : 10\r\n", "Host: localhost\r\nContent-Length: 10\r\n"):
            raw = self.connect(server)
            raw.sendall(self.request("kick", json_type + more, body) +
                        self.request("close", "", ""))
            answer = self.read_all(raw)
            self.assertRegex(answer, rb"^HTTP/1.1 400 ", more)
            self.assertEqual(answer.count(b"HTTP/1.1"), 1, more)

    def test_a_body_that_does_not_end(self):
        server = self.serve_admin("--handshake-timeout", "500ms")
        raw = self.connect(server)
        raw.sendall(self.request("kick", "Content-Type: application/json\r\n"
                                         "Content-Length: 100\r\n", "{"))
        self.assertIn(b" 408 ", self.read_all(raw))
        raw = self.connect(server)
        raw.sendall(self.request("kick", "Content-Type: application/json\r\n"
                                         "Content-Length: 100000000\r\n", "{"))
        self.assertIn(b" 413 ", self.read_all(raw))

    def test_who_asks_and_runs(self):
        server = self.serve_admin()
        for _ in range(50):
            raw = self.connect(server)
            raw.sendall(self.request("rooms") * 3)
            raw.close()
        raw = self.connect(server)
        raw.sendall(self.request("stats", "Connection: close\r\n"))
        self.assertIn(b"200 OK", self.read_all(raw))

    def test_no_more_operators_than_there_is_room_for(self):
        server = self.serve_admin()
        idle = [self.connect(server) for _ in range(64)]
        for raw in idle: # each is in
            raw.sendall(self.request("stats"))
            self.assertIn(b"200 OK", raw.recv(65536))
        with self.assertRaises(OSError):
            late = self.connect(server)
            late.sendall(self.request("stats"))
            if not late.recv(1):
                raise ConnectionError("closed")
        idle.pop().close()
        def asks():
            try:
                raw = self.connect(server)
                raw.sendall(self.request("stats", "Connection: close\r\n"))
                return self.read_all(raw)
            except OSError:
                return b""
        self.until(asks, lambda answer: b"200 OK" in answer)


if __name__ == "__main__":
    main()
