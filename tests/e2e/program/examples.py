#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The example programs, run as their first lines say."""
import json
import os
import subprocess

from support import EXAMPLES, TestCase, main


class Examples(TestCase):
    """The examples know no --state-dir: they find it as any program of this user does."""

    def setUp(self):
        super().setUp()
        before = os.environ.get("XDG_STATE_HOME")
        os.environ["XDG_STATE_HOME"] = self.folder
        self.addCleanup(lambda: os.environ.pop("XDG_STATE_HOME") if before is None
                        else os.environ.update(XDG_STATE_HOME=before))

    def path(self, name, text=None):
        return super().path("yomo" if name == "state" else name, text)

    def example(self, name, *args):
        return self.start(*args, program=os.path.join(EXAMPLES, name),
                          stdin=subprocess.PIPE)

    def test_hello_room_greets_and_tells_who_comes_until_enter_is_pressed(self):
        server = self.serve()
        sub = self.joined(server, "demo", "--presence")
        hello = self.example("hello_room", server.url, "demo", "ada")
        hello.out.until("connected over")
        hello.out.until("in room demo")
        came = sub.record("join")
        self.assertEqual((came["from"], came["state"]["name"]), ("ada", "Hello from C"))
        self.assertEqual(sub.record("message")["data"], "hello from C")
        code = self.run_client(server, "pub", "demo", "note", '{"a":1}', "--id", "bob")[0]
        self.assertEqual(code, 0)
        hello.out.until("bob came")
        hello.out.until('bob: note {"a":1}')
        hello.child.stdin.write("\n")
        hello.child.stdin.close()
        self.assertEqual(hello.wait(), 0)
        sub.out.until(lambda line: json.loads(line)["type"] == "leave" and
                      json.loads(line)["from"] == "ada")

    def test_live_cursors_see_each_other(self):
        server = self.serve()
        sub = self.joined(server, "demo", "--event", "cursor", "--count", "10")
        one = self.example("live_cursors", server.url, "demo", "One", "600")
        cursor = sub.record("message")["data"]
        self.assertTrue(0 <= cursor["x"] <= 1 and 0 <= cursor["y"] <= 1)
        two = self.example("live_cursors", server.url, "demo", "Two", "120")
        self.assertEqual(sub.wait(), 0)
        self.assertRegex(one.out.next(), r"^\S+ 0\.\d\d 0\.\d\d$")
        self.assertEqual(two.wait(), 0)

    def echo(self, *args):
        client = self.example("echo_client", *args)
        code = client.wait()
        return code, client.out.rest(), client.err.rest()

    def test_the_echo_client_sees_everything_come_back(self):
        server = self.serve()
        said = {'datagram: "hello in a datagram"', 'bidirectional stream: "hello both ways"',
                'unidirectional stream: "hello one way"', "all of it came back"}
        for more in ([], [server.listening["certificate_sha256"]]):
            code, out, err = self.echo(server.url + "/echo", *more)
            self.assertEqual((code, err), (0, []))
            self.assertRegex(out[0], r"^open; datagrams of up to \d{4,5} bytes$")
            self.assertEqual(set(out[1:]), said)

    def test_the_echo_client_says_why_it_failed(self):
        server = self.serve()
        code, out, err = self.echo(server.url + "/nowhere")
        self.assertEqual((code, out), (1, ["not all of it came back"]))
        self.assertIn("HTTP status 404", err[0])
        code, _, err = self.echo(server.url + "/echo", "00" * 32)
        self.assertEqual(code, 1)
        self.assertIn("certificate", err[0])
        code, _, err = self.echo(server.url + "/echo", "short")
        self.assertEqual(code, 1)
        self.assertEqual(err, ["the certificate's hash: unknown option, or a value it does "
                               "not take"])
        self.assertEqual(self.echo()[0], 2)

    def test_the_embedded_server_has_its_rules(self):
        server = self.example("embedded_server", "0", self.path("state"))
        line = server.out.until("listening {")
        server.url = f"https://localhost:{json.loads(line.split(' ', 1)[1])['port']}"
        token = ["--token", "open-sesame", "--id", "ada"]
        self.assertEqual(self.run_client(server, "pub", "lobby", "e", "1")[0], 4)
        self.assertEqual(self.run_client(server, "pub", "staff", "e", "1", *token)[0], 4)
        sub = self.joined(server, "lobby", "--count", "1", *token)
        server.out.until("ada comes in from ")
        server.out.until("ada joins lobby")
        record = sub.record("message") # the program itself tells the time
        self.assertEqual((record["event"], record["from"]), ("time", "server"))
        server.out.until("ada leaves lobby")
        server.child.stdin.write("\n")
        server.child.stdin.close()
        self.assertEqual(server.wait(), 0)


if __name__ == "__main__":
    main()
