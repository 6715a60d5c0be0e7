# SPDX-License-Identifier: MIT
"""A backend with guests who sit in a room and hear each other, whatever else comes in."""
import os
import re
import subprocess
import time
import urllib.request

os.environ["ASAN_OPTIONS"] = ":".join(
    filter(None, [os.environ.get("ASAN_OPTIONS"), "quarantine_size_mb=4"]))

# pylint: disable=wrong-import-position
from raw import Raw
from support import DEADLINE, TRANSPORTS, TestCase


class House(TestCase):
    """A backend, two guests who listen, one over each transport, and one who speaks."""

    def open_house(self, *flags):
        self.server = self.serve(*flags)
        self.port = self.server.listening["port"]
        self.http_port = self.server.listening["http_port"]
        self.said = 0
        self.ears = [self.joined(self.server, "good", "--transport", transport)
                     for transport in TRANSPORTS]
        self.mouth = self.client(self.server, "chat", "good", "--transport", TRANSPORTS[0],
                                 "--id", "mouth", stdin=subprocess.PIPE)
        self.mouth.out.until("here:")
        self.all_is_well()

    def all_is_well(self):
        """The guests hear each other, have missed nothing and were never cut off."""
        self.said += 1
        self.mouth.child.stdin.write(f"line {self.said}\n")
        self.mouth.child.stdin.flush()
        for ear in self.ears:
            self.assertEqual(ear.record()["data"], f"line {self.said}")
            self.assertEqual(ear.err.seen, [])
        self.assertIsNone(self.server.child.poll())

    def raw(self, secure=False, **more):
        raw = Raw(self.port if secure else self.http_port, secure, **more)
        self.addCleanup(raw.close)
        return raw

    def guest(self, path="/v1?yomo=1", secure=False, **more):
        """One that was let in and has its hello."""
        raw = self.raw(secure, **more)
        self.assertEqual(raw.upgrade(path), 101)
        if "yomo=1" in path:
            raw.message("hello")
        return raw

    def metrics(self):
        url = f"http://localhost:{self.http_port}/metrics"
        with urllib.request.urlopen(url, timeout=DEADLINE) as answer:
            text = answer.read().decode()
        rows = [line.rsplit(" ", 1) for line in text.splitlines() if line[0] != "#"]
        return {name: float(value) if "." in value else int(value)
                for name, value in rows}

    def until(self, holds, what):
        """Ask for the numbers until `holds`: a worker publishes them once a turn, and
        nothing tells when."""
        end = time.monotonic() + DEADLINE
        while not holds(numbers := self.metrics()):
            self.assertLess(time.monotonic(), end, f"{what}: {numbers}")
            time.sleep(0.02)
        return numbers

    def counted(self, name, at_least):
        return self.until(lambda now: now[name] >= at_least, f"{name} < {at_least}")[name]

    def logged(self, text):
        """The next line of the log that has `text` in it."""
        return self.server.err.until(text)

    def resident(self):
        with open(f"/proc/{self.server.child.pid}/status", encoding="ascii") as status:
            return int(re.search(r"VmRSS:\s+(\d+) kB", status.read())[1]) * 1024

    def flood(self, delivery, count, size, until, room="slow"):
        """Speak into a room until `until` is reached."""
        data = '"' + "x" * size + '"'
        name, value = until
        for _ in range(20):
            code, _, err = self.run_client(
                self.server, "pub", room, "e", data, "--repeat", str(count), "--class",
                delivery, "--transport", "websocket", "--queue-size", "64m",
                "--unreliable-queue", "64m")
            self.assertEqual(code, 0, err)
            if self.metrics()[name] >= value:
                return
        self.fail(f"{name} never came to {value}: {self.metrics()}")
