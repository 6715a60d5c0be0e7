# SPDX-License-Identifier: MIT
"""What the tests of the program stand on: processes whose lines can be waited for.

Everything that is started here is ended here, by its own process. Nothing waits for a
length of time, only for an event with a deadline."""
import fcntl
import json
import os
import pty
import queue
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
import unittest

PROGRAM = os.environ["YOMO_PROGRAM"]
EXAMPLES = os.environ.get("YOMO_EXAMPLES", "")
TRANSPORTS = os.environ.get("YOMO_TRANSPORTS", "websocket").split(",")
WORKERS = os.environ.get("YOMO_WORKERS", "1")
DEADLINE = 20
END = object()


class Lines:
    """The lines of a pipe, as they come."""

    def __init__(self, pipe):
        self.seen = []
        self.queue = queue.Queue()
        self.thread = threading.Thread(target=self._read, args=(pipe,), daemon=True)
        self.thread.start()

    def _read(self, pipe):
        with pipe:
            for line in pipe:
                self.queue.put(line.rstrip("\n"))
        self.queue.put(END)

    def next(self):
        """The next line, or None at the end."""
        try:
            line = self.queue.get(timeout=DEADLINE)
        except queue.Empty:
            raise AssertionError(f"no further line; so far: {self.seen}") from None
        if line is END:
            self.queue.put(END)
            return None
        self.seen.append(line)
        return line

    def until(self, wanted):
        """The next line for which `wanted` holds; a text: that has it inside."""
        holds = wanted if callable(wanted) else lambda line: wanted in line
        while (line := self.next()) is not None:
            if holds(line):
                return line
        raise AssertionError(f"ended before {wanted}: {self.seen}")

    def rest(self):
        lines = []
        while (line := self.next()) is not None:
            lines.append(line)
        return lines


class Process:
    def __init__(self, *args, program=PROGRAM, stdin=subprocess.DEVNULL, env=None):
        self.args = args
        self.child = subprocess.Popen(
            [program, *args], stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            encoding="utf-8", env=env)
        self.out = Lines(self.child.stdout)
        self.err = Lines(self.child.stderr)

    def record(self, kind=None):
        """The next object on stdout, of that type."""
        return json.loads(self.out.until(
            lambda line: kind is None or json.loads(line)["type"] == kind))

    def signal(self, number):
        self.child.send_signal(number)

    def wait(self):
        try:
            return self.child.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.args} does not end: {self.err.seen}") from None

    def kill(self):
        if self.child.poll() is None:
            self.child.kill()
            self.child.wait()
        self.out.thread.join(DEADLINE)
        self.err.thread.join(DEADLINE)
        if self.child.stdin:
            self.child.stdin.close()


class TestCase(unittest.TestCase):
    """Ends what it started, and removes its folder."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="yomo-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def path(self, name, text=None):
        path = os.path.join(self.folder, name)
        if text is not None:
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
        return path

    def start(self, *args, **more):
        process = Process(*args, **more)
        self.addCleanup(process.kill)
        return process

    def run_program(self, *args):
        """Exit code, stdout and stderr of a program that ends by itself."""
        done = subprocess.run([PROGRAM, *args], stdin=subprocess.DEVNULL,
                              capture_output=True, encoding="utf-8", timeout=DEADLINE,
                              check=False)
        return done.returncode, done.stdout, done.stderr

    def serve(self, *flags, port=0, **more):
        server = self.start("serve", "--port", str(port), "--http-port", "0", "--workers",
                            WORKERS, "--state-dir", self.path("state"), *flags, **more)
        line = server.err.until(lambda line: line.startswith("listening {"))
        server.listening = json.loads(line.removeprefix("listening "))
        server.url = f"https://localhost:{server.listening['port']}"
        return server

    def client(self, server, command, *args, **more):
        return self.start(command, server.url, *args, "--state-dir", self.path("state"),
                          **more)

    def run_client(self, server, command, *args):
        return self.run_program(command, server.url, *args, "--state-dir",
                                self.path("state"))

    def joined(self, server, *args):
        """A `yomo sub` that is in the room."""
        sub = self.client(server, "sub", *args)
        sub.joined = sub.record("joined")
        return sub


class Terminal:
    """A program in a terminal of its own."""

    def __init__(self, *args, program=PROGRAM):
        self.args = args
        self.text = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ["TERM"] = "xterm"
            os.environ.pop("NO_COLOR", None)
            os.execv(program, [program, *args])
        self.resize(24, 80)
        self.pieces = queue.Queue()
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        try:
            while piece := os.read(self.fd, 65536):
                self.pieces.put(piece.decode("utf-8", "replace"))
        except OSError:
            pass # how Linux tells that the other end is closed
        self.pieces.put(END)

    def resize(self, rows, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text):
        os.write(self.fd, text.encode())

    def until(self, wanted):
        """Read on until `wanted` stands in what came since the last call."""
        end = time.monotonic() + DEADLINE
        while wanted not in self.text:
            try:
                piece = self.pieces.get(timeout=max(0, end - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no {wanted!r} in {self.text!r}") from None
            if piece is END:
                raise AssertionError(f"ended before {wanted!r}: {self.text!r}")
            self.text += piece
        self.text = self.text.split(wanted, 1)[1]

    def echoes(self):
        return bool(termios.tcgetattr(self.fd)[3] & termios.ECHO)

    def wait(self):
        end = time.monotonic() + DEADLINE
        while time.monotonic() < end: # reading on, or the program could not write
            try:
                if self.pieces.get(timeout=0.1) is END:
                    break
            except queue.Empty:
                pass
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def close(self):
        try:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass
        os.close(self.fd)


def silent_port():
    """Sockets on one port of 127.0.0.1, for UDP and TCP, behind which nobody answers."""
    while True:
        tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        tcp.bind(("127.0.0.1", 0))
        try:
            udp.bind(tcp.getsockname())
        except OSError:
            tcp.close()
            udp.close()
            continue
        tcp.listen()
        return tcp, udp


def closed_port():
    """A port on which nobody listens."""
    tcp, udp = silent_port()
    port = tcp.getsockname()[1]
    tcp.close()
    udp.close()
    return port


def main():
    """Run the tests of a file. One in which any was skipped counts as skipped, with the
    reason, and never as passed."""
    result = unittest.main(exit=False).result
    for test, why in result.skipped:
        print(f"skipped: {test.id()}: {why}")
    if not result.wasSuccessful():
        sys.exit(1)
    sys.exit(77 if result.skipped else 0)
