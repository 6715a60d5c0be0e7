# SPDX-License-Identifier: MIT
"""An HTTP endpoint for webhooks that answers as it is told: well, badly, or not at all."""
import json
import queue
import socket
import ssl
import subprocess
import threading
import time

DEADLINE = 20
OK = b"HTTP/1.1 204 No Content\r\n\r\n"


def answer(status, body=b"", *fields):
    head = [f"HTTP/1.1 {status} Something", f"Content-Length: {len(body)}", *fields, "", ""]
    return "\r\n".join(head).encode() + body


def certificates(path, name):
    """A CA and a certificate of it for `name`: their files."""
    ca, key, cert = path("ca.pem"), path(f"{name}.key"), path(f"{name}.pem")
    new = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
           "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    subprocess.run([*new, "-subj", "/CN=ca", "-keyout", path("ca.key"), "-out", ca],
                   check=True, capture_output=True)
    subprocess.run([*new, "-subj", f"/CN={name}", "-CA", ca, "-CAkey", path("ca.key"),
                    "-addext", f"subjectAltName=DNS:{name}", "-keyout", key, "-out", cert],
                   check=True, capture_output=True)
    return ca, cert, key


class Endpoint:
    """`behave(endpoint, connection, number)` is called for each request and returns the
    bytes of an answer, or None: the connection is closed."""

    def __init__(self, behave=None, tls=None):
        self.behave = behave or (lambda *_: OK)
        self.tls = tls
        self.requests = []           # (headers, body)
        self.taken = queue.Queue()   # events of those that were answered with OK
        self.connections = 0
        self.lock = threading.Lock()
        self.ended = threading.Event()
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.open = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self.ended.set()
        try:  # without it the accept that waits would take one more
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()
        for one in self.open:
            try:
                one.close()
            except OSError:
                pass

    def _accept(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.connections += 1
            self.open.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            if self.tls:
                connection = self.tls.wrap_socket(connection, server_side=True)
                self.open.append(connection)
            self._talk(connection)
        except (OSError, ssl.SSLError):
            pass
        finally:
            connection.close()

    def _talk(self, connection):
        got = b""
        while True:
            while b"\r\n\r\n" not in got:
                piece = connection.recv(65536)
                if not piece:
                    return
                got += piece
            head, got = got.split(b"\r\n\r\n", 1)
            lines = head.decode("latin-1").split("\r\n")
            headers = dict(line.split(": ", 1) for line in lines[1:])
            headers[":"] = lines[0]
            size = int(headers["Content-Length"])
            while len(got) < size:
                got += connection.recv(65536)
            body, got = got[:size], got[size:]
            with self.lock:
                self.requests.append((headers, body))
                number = len(self.requests)
            said = self.behave(self, connection, number)
            if said is None:
                return
            if said.startswith(b"HTTP/1.1 2"):
                for event in json.loads(body)["events"]:
                    self.taken.put(event)
            connection.sendall(said)

    def until_requests(self, count):
        end = time.monotonic() + DEADLINE
        while len(self.requests) < count:
            assert time.monotonic() < end, f"{len(self.requests)} requests of {count}"
            time.sleep(0.02)
        return self.requests

    def event(self):
        return self.taken.get(timeout=DEADLINE)
