#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What QUIC brings, between real processes: sessions and connections that outlive a
restart, addresses that change or are somebody else's, packets' marks and sizes, keys,
traces. Some look at the packets through a relay of their own."""
import glob
import json
import os
import re
import select
import signal
import socket
import stat
import struct
import subprocess
import threading
import time
import urllib.request

os.environ["ASAN_OPTIONS"] = ":".join( # memory is measured
    filter(None, [os.environ.get("ASAN_OPTIONS"), "quarantine_size_mb=4"]))

# pylint: disable=wrong-import-position
from support import DEADLINE, TestCase, main

IP_RECVTOS = getattr(socket, "IP_RECVTOS", 13)
ECT0 = 2


class Relay:
    """UDP from one port of 127.0.0.1 to another, as behind a NAT: one client, whose
    address towards the server can be changed. Counts marks and sizes."""

    def __init__(self, port):
        self.target = ("127.0.0.1", port)
        self.inside = self._socket()
        self.port = self.inside.getsockname()[1]
        self.outside = self._socket()
        self.client, self.sockets = None, []
        self.deaf = False # nothing comes back
        self.marks = {"up": {}, "down": {}}
        self.largest = {"up": 0, "down": 0}
        self.ended, self.wake = os.pipe()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _socket(self):
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        one.setsockopt(socket.IPPROTO_IP, IP_RECVTOS, 1)
        one.bind(("127.0.0.1", 0))
        return one

    def _receive(self, one, way):
        data, control, _, address = one.recvmsg(65536, 256)
        for level, kind, value in control:
            if (level, kind) == (socket.IPPROTO_IP, socket.IP_TOS):
                mark = value[0] & 3
                self.marks[way][mark] = self.marks[way].get(mark, 0) + 1
                break
        self.largest[way] = max(self.largest[way], len(data))
        return data, control, address

    def _send(self, one, data, control, address):
        """On, with the mark that it had."""
        marks = [item for item in control if item[:2] == (socket.IPPROTO_IP, socket.IP_TOS)]
        one.sendmsg([data], [(level, kind, struct.pack("i", value[0]))
                             for level, kind, value in marks], 0, address)

    def _run(self):
        while True:
            outside = self.outside
            ready = select.select([self.ended, self.inside, outside], [], [])[0]
            if self.ended in ready:
                if os.read(self.ended, 1) == b"x":
                    return
                continue
            try:
                if self.inside in ready:
                    data, control, self.client = self._receive(self.inside, "up")
                    self._send(self.outside, data, control, self.target)
                if outside in ready:
                    data, control, _ = self._receive(outside, "down")
                    if self.client and not self.deaf:
                        self._send(self.inside, data, control, self.client)
            except OSError:
                pass # nobody is there at the moment

    def rebind(self):
        """The server sees another address from now on."""
        self.sockets.append(self.outside) # what comes there is lost
        self.outside = self._socket()
        os.write(self.wake, b"r")

    def close(self):
        os.write(self.wake, b"x")
        self.thread.join(DEADLINE)
        for one in [self.inside, self.outside, *self.sockets]:
            one.close()
        os.close(self.ended)
        os.close(self.wake)


class Quic(TestCase):
    def serve(self, *flags, **more):
        self.server = super().serve(*flags, **more)
        self.port = self.server.listening["port"]
        return self.server

    def numbers(self):
        port = self.server.listening["http_port"]
        with urllib.request.urlopen(f"http://localhost:{port}/metrics",
                                    timeout=DEADLINE) as answer:
            text = answer.read().decode()
        return {name: int(value) for name, value in
                re.findall(r"^(yomo_\S+) (\d+)$", text, re.MULTILINE)}

    def until(self, holds, what):
        end = time.monotonic() + DEADLINE
        while not holds(numbers := self.numbers()):
            if time.monotonic() > end:
                self.fail(f"{what}: {numbers}")
            time.sleep(0.05)
        return numbers

    def expect(self, **wanted):
        """These handshakes, by transport_kind, and no others. A worker publishes its
        numbers once a turn."""
        def found(numbers):
            return {name: numbers["yomo_tls_handshakes_total{transport=\"%s\",kind=\"%s\"}"
                                  % tuple(name.split("_"))] for name in wanted}
        self.until(lambda numbers: found(numbers) == wanted, str(wanted))

    def sub(self, *flags, transport="webtransport", server=None):
        sub = self.joined(server or self.server, "room", "--transport", transport,
                          "--reconnect-max", "500ms", *flags)
        self.assertEqual(sub.joined["transport"], transport)
        return sub

    def pub(self, *flags, data="1", transport="webtransport"):
        code, _, err = self.run_client(self.server, "pub", "room", "e", data, "--transport",
                                       transport, *flags)
        self.assertEqual(code, 0, err)

    def relay(self):
        relay = Relay(self.port)
        self.addCleanup(relay.close)
        return relay

    def through(self, relay, command, *flags):
        """A client that takes the relay for its server."""
        return self.start(command, f"https://127.0.0.1:{relay.port}", "room", *flags,
                          "--transport", "webtransport", "--state-dir", self.path("state"))

    def again(self, *flags):
        """The same backend after a death without a farewell."""
        self.server.kill()
        return self.serve(*flags, port=self.port)


class Restart(Quic):
    def test_sessions_are_resumed_by_whoever_serves(self):
        self.serve("--workers", "2")
        for transport, name in [("webtransport", "quic"), ("websocket", "tcp")]:
            with self.subTest(transport=transport):
                subs = [self.sub("--keep-alive", "200ms", "--silence-timeout", "2s",
                                 transport=transport) for _ in range(3)]
                self.expect(**{f"{name}_full": 3, f"{name}_resumed": 0})
                for _ in range(2): # which worker gets whom is for the kernel to say
                    self.again("--workers", "2")
                    for sub in subs:
                        sub.record("joined")
                    self.expect(**{f"{name}_full": 0, f"{name}_resumed": 3})
                    if name == "quic": # and each brought the token of its last visit
                        self.assertEqual(self.numbers()[
                            'yomo_quic_addresses_proven_total{by="new_token"}'], 3)
                for sub in subs:
                    sub.kill()
                self.again("--workers", "2")

    def test_keys_that_others_can_read_are_refused(self):
        self.serve()
        self.server.kill()
        for name in ["ticket-key", "dev-key.pem", "secret"]:
            path = os.path.join(self.path("state"), name)
            self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
            os.chmod(path, 0o644)
            code, _, err = self.run_program("serve", "--port", "0", "--state-dir",
                                            self.path("state"))
            self.assertEqual(code, 1)
            self.assertIn(path, err)
            self.assertIn("0600", err)
            os.chmod(path, 0o600)
        self.serve()

    def test_a_client_learns_at_once_that_its_backend_was_started_anew(self):
        self.serve()
        sub = self.sub("--keep-alive", "200ms", "--silence-timeout", "1h",
                       "--idle-timeout", "1h")
        begin = time.monotonic()
        self.again()
        sub.err.until("connection lost")
        sub.record("joined")
        self.assertLess(time.monotonic() - begin, 10)
        self.until(lambda n: n["yomo_quic_stateless_resets_total"] > 0, "a reset")


class Silence(Quic):
    def test_idle_connections_end_unless_somebody_keeps_them_alive(self):
        quiet = ["--keep-alive", "1h", "--silence-timeout", "1h", "--idle-timeout"]
        for server, client in [("1s", "1h"), ("1h", "1s")]:
            with self.subTest(server=server, client=client):
                self.serve(*quiet, server)
                kept = self.sub("--keep-alive", "200ms", "--idle-timeout", client)
                left = self.sub(*quiet, client)
                left.err.until("connection lost")
                self.assertEqual(kept.err.seen, [])
                left.kill()
                self.serve("--keep-alive", "200ms", "--idle-timeout", server)
                both = self.sub(*quiet, client)
                time.sleep(1.5) # longer than the one second
                self.pub(data="1")
                self.assertEqual(both.record("message")["data"], 1)
                self.assertEqual(both.err.seen, [])


class Addresses(Quic):
    def first_flight(self):
        """What a client says first, caught by a socket that does not answer."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trap:
            trap.bind(("127.0.0.1", 0))
            trap.settimeout(DEADLINE)
            client = self.start("pub", f"https://127.0.0.1:{trap.getsockname()[1]}", "room",
                                "e", "1", "--transport", "webtransport", "--state-dir",
                                self.path("state"))
            packets = [trap.recv(2048) for _ in range(2)] # a hello is as large as that
            client.kill()
        return packets

    def test_under_load_a_client_proves_its_address_first(self):
        self.serve("--handshakes-max", "1", "--workers", "1", "--handshake-timeout", "1h")
        relay = self.relay()
        relay.deaf = True
        self.through(relay, "pub", "e", "1") # half a handshake
        self.until(lambda n: n["yomo_handshakes"] == 1, "half a handshake")
        self.pub()
        numbers = self.until(
            lambda n: n['yomo_quic_addresses_proven_total{by="retry"}'] == 1, "a proof")
        self.assertGreater(numbers["yomo_quic_retries_total"], 0)

    def test_who_never_answers_gets_at_most_three_times_what_was_sent(self):
        self.serve("--handshake-timeout", "3s")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as victim:
            victim.bind(("127.0.0.1", 0))
            sent = 0
            for packet in self.first_flight():
                sent += victim.sendto(packet, ("127.0.0.1", self.port))
            self.until(lambda n: n["yomo_handshakes"] == 0 and
                       n["yomo_handshakes_failed_total"] > 0, "it is given up")
            victim.setblocking(False)
            got = 0
            try:
                while True:
                    got += len(victim.recv(65536))
            except BlockingIOError:
                pass
        self.assertGreater(got, 1000)
        self.assertLessEqual(got, 3 * sent)

    def memory(self):
        with open(f"/proc/{self.server.child.pid}/status", encoding="ascii") as file:
            return int(re.search(r"VmRSS:\s*(\d+)", file.read())[1])

    def test_a_flood_from_a_thousand_addresses_costs_little_and_nobody_else(self):
        self.serve("--handshakes-max", "20", "--workers", "1")
        sub = self.sub()
        flight = self.first_flight()
        self.pub(data="0")
        self.assertEqual(sub.record("message")["data"], 0)
        before = self.memory()
        for i in range(1000):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as spoofed:
                try:
                    spoofed.bind((f"127.9.{i >> 8}.{i & 255}", 0))
                except OSError as error:
                    self.skipTest(f"addresses of 127.0.0.0/8: {error}")
                packet = bytearray(flight[i % len(flight)])
                packet[6:14] = os.urandom(8) # another connection, whose hello is nonsense
                spoofed.sendto(packet, ("127.0.0.1", self.port))
                packet[1:5] = os.urandom(4) # a version that nobody speaks
                spoofed.sendto(packet, ("127.0.0.1", self.port))
            if i % 200 == 0:
                self.pub(data=str(i + 1))
                self.assertEqual(sub.record("message")["data"], i + 1)
        self.assertLess(self.memory() - before, 40 << 10)
        self.until(lambda n: n["yomo_handshakes"] == 0, "nothing is left")

    def test_packets_from_a_new_address_find_their_worker(self):
        self.serve("--workers", "2")
        relay = self.relay()
        sub = self.through(relay, "sub", "--keep-alive", "100ms")
        sub.record("joined")
        for i in range(1, 17):
            relay.rebind()
            self.pub(data=str(i))
            self.assertEqual(sub.record("message")["data"], i)
        numbers = self.until(lambda n: n["yomo_udp_packets_forwarded_total"] > 0,
                             "a packet that another worker got")
        self.assertEqual(numbers["yomo_quic_stateless_resets_total"], 0)
        self.assertEqual(len(sub.err.seen), 0)

    def test_a_failed_handshake_is_one_line_with_reason_and_address(self):
        self.serve("--log", "info")
        for transport, what in [("webtransport", "QUIC"), ("websocket", "TLS")]:
            self.run_client(self.server, "pub", "room", "e", "1", "--transport", transport,
                            "--cert-hash", "00" * 32, "--timeout", "2s")
            line = self.server.err.until(f"{what} handshake failed")
            self.assertRegex(line, r" address=(127\.0\.0\.1|\[::1\]):\d+ error=")
            self.assertRegex(line, "alert")


class Packets(Quic):
    def test_they_carry_marks_and_grow_with_the_path(self):
        self.serve()
        relay = self.relay()
        pub = self.through(relay, "pub", "e", json.dumps("x" * 30000), "--repeat", "20")
        self.assertEqual(pub.wait(), 0)
        for way in ["up", "down"]:
            marks = relay.marks[way]
            self.assertEqual([mark for mark in marks if mark not in (0, ECT0)], [])
            self.assertGreater(marks.get(ECT0, 0), marks.get(0, 0))
            self.assertGreater(relay.largest[way], 1400)
            self.assertLessEqual(relay.largest[way], 1452)

    def test_on_a_narrow_interface_they_stay_small(self):
        inside = ("ip link set lo mtu 1320 up && exec " + " ".join([
            "python3", os.path.abspath(__file__), "Narrow"]))
        done = subprocess.run(["unshare", "-rn", "sh", "-c", inside], check=False,
                              capture_output=True, encoding="utf-8", timeout=3 * DEADLINE,
                              env={**os.environ, "YOMO_NARROW": "1"})
        if "unshare" in done.stderr and done.returncode != 0:
            self.skipTest(f"no network namespace: {done.stderr.strip()}")
        self.assertEqual(done.returncode, 0, done.stderr + done.stdout)

    def test_keys_change_in_the_middle_and_nothing_is_lost(self):
        for server, client in [("20", "0"), ("0", "20"), ("20", "20")]:
            with self.subTest(server=server, client=client):
                self.serve("--key-update-packets", server)
                sub = self.sub("--key-update-packets", client)
                self.pub("--repeat", "100", "--key-update-packets", client,
                         data=json.dumps("x" * 5000))
                for _ in range(100):
                    sub.record("message")
                self.until(lambda n: n["yomo_quic_key_updates_total"] > 0, "new keys")
                self.assertEqual(len(sub.err.seen), 0)

    def test_each_congestion_control_can_be_asked_for(self):
        for name in ["cubic", "reno", "bbr"]:
            self.serve("--congestion-control", name)
            sub = self.sub("--congestion-control", name)
            self.pub("--repeat", "50", "--congestion-control", name,
                     data=json.dumps("x" * 20000))
            for _ in range(50):
                sub.record("message")
        for command in [["serve"], ["sub", "https://localhost", "room"]]:
            code, _, err = self.run_program(*command, "--congestion-control", "vegas")
            self.assertEqual(code, 2)
            self.assertIn("cubic", err)


class Narrow(Quic):
    """In a namespace whose loopback is narrow."""

    def test_everything_passes(self):
        if "YOMO_NARROW" not in os.environ:
            return # the test that makes the namespace runs this one in it
        self.serve()
        relay = self.relay()
        pub = self.through(relay, "pub", "e", json.dumps("x" * 30000), "--repeat", "20")
        self.assertEqual(pub.wait(), 0)
        for way in ["up", "down"]: # the kernel lets no larger one pass, nor cuts it
            self.assertLessEqual(relay.largest[way], 1320 - 28)
            self.assertGreaterEqual(relay.largest[way], 1200)


class Traces(Quic):
    def records(self, path):
        """RFC 7464: each text behind a record separator."""
        with open(path, encoding="utf-8") as file:
            text = file.read()
        self.assertEqual(text[0], "\x1e")
        records = [json.loads(record) for record in text[1:].split("\x1e")]
        self.assertTrue(text.endswith("\n"))
        return records

    def test_qlogs_tell_what_both_sides_did(self):
        folders = {name: self.path(name) for name in ["there", "here"]}
        self.serve("--qlog-dir", folders["there"])
        self.pub("--qlog-dir", folders["here"])
        self.server.signal(signal.SIGTERM)
        self.assertEqual(self.server.wait(), 0)
        for folder, point in [(folders["there"], "server"), (folders["here"], "client")]:
            self.assertEqual(stat.S_IMODE(os.stat(folder).st_mode), 0o700)
            files = glob.glob(os.path.join(folder, "*"))
            self.assertEqual(len(files), 1)
            self.assertEqual(stat.S_IMODE(os.stat(files[0]).st_mode), 0o600)
            head, *events = self.records(files[0])
            self.assertIn("SEQ", head.get("qlog_format", "") + head.get("file_schema", ""))
            self.assertEqual(head["trace"]["vantage_point"]["type"], point)
            names = {event["name"] for event in events}
            for name in ["packet_sent", "packet_received", "parameters_set"]:
                self.assertTrue(any(name in have for have in names), names)
            self.assertTrue(any("metrics_updated" in have for have in names), names)

    def test_a_folder_that_others_may_write_is_refused(self):
        open_to_all = self.path("open")
        os.mkdir(open_to_all)
        os.chmod(open_to_all, 0o777)
        code, _, err = self.run_program("serve", "--port", "0", "--http-port", "none",
                                        "--state-dir", self.path("state"), "--qlog-dir",
                                        open_to_all)
        self.assertEqual(code, 1)
        self.assertIn(open_to_all, err)

    def test_the_key_log_has_the_secrets_that_wireshark_asks_for(self):
        there, here = self.path("there.keys"), self.path("here.keys")
        environment = self.path("environment.keys")
        os.environ["SSLKEYLOGFILE"] = environment
        self.addCleanup(os.environ.pop, "SSLKEYLOGFILE")
        self.serve("--tls-keylog", there)
        self.pub("--tls-keylog", here)
        kept = {}
        for path in [there, here]:
            self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
            with open(path, encoding="ascii") as file:
                kept[path] = {}
                for line in file.read().splitlines():
                    label, random, secret = line.split(" ")
                    self.assertRegex(random, "^[0-9a-f]{64}$")
                    self.assertRegex(secret, "^([0-9a-f]{64}|[0-9a-f]{96})$")
                    kept[path][label, random] = secret
            labels = {label for label, _ in kept[path]}
            for label in ["CLIENT_HANDSHAKE_TRAFFIC_SECRET", "CLIENT_TRAFFIC_SECRET_0",
                          "SERVER_HANDSHAKE_TRAFFIC_SECRET", "SERVER_TRAFFIC_SECRET_0"]:
                self.assertIn(label, labels)
        shared = set(kept[there]) & set(kept[here])
        self.assertGreaterEqual(len(shared), 4)
        for name in shared: # both sides say the same
            self.assertEqual(kept[there][name], kept[here][name])
        self.pub() # nobody asked this one
        self.assertFalse(os.path.exists(environment))

    def test_a_key_log_that_others_may_read_is_refused(self):
        path = self.path("keys", "")
        os.chmod(path, 0o644)
        code, _, err = self.run_program("serve", "--port", "0", "--http-port", "none",
                                        "--state-dir", self.path("state"), "--tls-keylog",
                                        path)
        self.assertEqual(code, 1)
        self.assertIn(path, err)


if __name__ == "__main__":
    main()
