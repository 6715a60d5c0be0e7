#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Bad input, from outside, against a backend with guests: whatever a peer does or leaves
undone, it is counted, it is said in the log where somebody should know, and two guests
who sit in a room hear each other before, meanwhile and after."""
import os
import random
import re
import signal
import socket
import ssl
import subprocess
import time
import unittest
import urllib.error
import urllib.request

from house import House
from raw import (BINARY, CONTINUATION, PING, PONG, TEXT, Raw, control, data_of, pack)
from support import DEADLINE, TRANSPORTS, TestCase, main, silent_port

BURST = 120 # Initials and packets that are thrown at once


def client_hello():
    """The first flight of a TLS client."""
    context = ssl.create_default_context()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


class Http(House):
    def test_requests_that_are_none_get_their_status(self):
        self.open_house()
        host = b"Host: localhost\r\n"
        cases = [
            (b"GET /nothing-here HTTP/1.1\r\n" + host + b"\r\n", 404),
            (b"GET /../../etc/passwd HTTP/1.1\r\n" + host + b"\r\n", 404),
            (b"POST /healthz HTTP/1.1\r\n" + host + b"Content-Length: 0\r\n\r\n", 405),
            (b"GET /v1 HTTP/1.1\r\n" + host + b"\r\n", 426),
            (b"GET / HTTP/9.9\r\n" + host + b"\r\n", 505),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
            (b"BREW / HTTP/1.1\r\n" + host + b"\r\n", 501),
            (b"\x16\x03\x01\0\xff" + b"\0" * 250, (400, 501)),
            (b"GET / HTTP/1.1\r\n\r\n", 400),
            (b"GET / HTTP/1.1\r\n" + host + host + b"\r\n", 400),
            (b"GET /" + b"x" * 20000 + b" HTTP/1.1\r\n" + host + b"\r\n", 414),
            (b"GET / HTTP/1.1\r\n" + host + b"X: " + b"x" * 20000 + b"\r\n\r\n", 431),
            (b"GET / HTTP/1.1\r\n" + host + b"X: x\r\n" * 100 + b"\r\n", 431),
            (b"POST / HTTP/1.1\r\n" + host + b"Content-Length: 99999999\r\n\r\n", 413),
        ]
        for secure in [False, True]:
            for request, status in cases:
                with self.subTest(request=request[:40], secure=secure):
                    statuses = status if isinstance(status, tuple) else (status,)
                    self.assertIn(self.raw(secure).status(request), statuses)
        self.counted("yomo_frames_bad_total", 18)
        self.all_is_well()

    def test_upgrades_that_are_none_get_their_status(self):
        self.open_house()
        refused = 'yomo_connections_refused_total{reason="path"}'
        before = self.metrics()[refused]
        for secure in [False, True]:
            self.assertEqual(self.raw(secure).upgrade("/v9?yomo=1"), 404)
            raw = self.raw(secure)
            self.assertEqual(raw.upgrade(version=8), 426)
            self.assertIn("Sec-WebSocket-Version: 13", raw.answer)
            request = (b"GET /v1 HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
                       b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n")
            for key in [b"", b"Sec-WebSocket-Key: short\r\n"]:
                self.assertEqual(self.raw(secure).status(request + key + b"\r\n"), 400)
        self.assertEqual(self.counted(refused, before + 2), before + 2)
        self.all_is_well()

    def test_what_is_final_is_said_in_a_way_that_browsers_see(self):
        self.open_house()
        for path, headers, code in [("/v1?id=%00", [], 4403),
                                    ("/v1?id=%ff%fe", [], 4403),
                                    ("/v1?id=" + "x" * 256, [], 4403),
                                    ("/v1", ["Origin: https://elsewhere.example"], 4403)]:
            with self.subTest(path=path[:20], headers=headers):
                raw = self.raw()
                self.assertEqual(raw.upgrade(path, *headers), 101)
                self.assertEqual(raw.close_code(), code)
                self.logged("not let in")
        self.all_is_well()


class Handshakes(House):
    def test_who_stops_halfway_is_cut_off_after_the_handshake_timeout(self):
        self.open_house("--handshake-timeout", "500ms")
        hello = client_hello()
        failed = self.metrics()["yomo_handshakes_failed_total"]
        halves = [b"", hello[:3], hello[:len(hello) // 2], hello[:-1], hello]
        raws = []
        for half in halves:
            raws.append(self.raw())
            raws[-1].socket.close()
            raws[-1] = Raw(self.port)
            self.addCleanup(raws[-1].close)
            raws[-1].send(half)
        plain = self.raw()
        plain.send(b"GET / HTTP/1.1\r\nHo")
        self.all_is_well() # nobody waits for them
        for raw in raws:
            raw.rest()
        self.assertIn(b" 408 ", plain.rest())
        self.counted("yomo_handshakes_failed_total", failed + len(halves) + 1)
        self.all_is_well()

    def test_records_that_are_cut_or_random_end_their_connection_only(self):
        self.open_house()
        failed = self.metrics()["yomo_handshakes_failed_total"]
        hello = client_hello()
        dice = random.Random(1)
        for bad in [b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", # no TLS at all
                    b"\x16\x03\x01\xff\xff" + dice.randbytes(65535),
                    b"\x17\x03\x03\0\x20" + dice.randbytes(32),
                    hello[:9] + dice.randbytes(len(hello) - 9)]:
            raw = Raw(self.port)
            self.addCleanup(raw.close)
            try:
                raw.send(bad)
            except ConnectionError:
                pass # cut off before it had said everything
            raw.rest()
        for cut in [1, 5, len(hello) // 2, len(hello) - 1]:
            raw = Raw(self.port)
            self.addCleanup(raw.close)
            raw.send(hello[:cut])
            raw.socket.shutdown(socket.SHUT_WR)
            raw.rest()
        self.counted("yomo_handshakes_failed_total", failed + 8)
        self.all_is_well()

    def test_a_record_that_is_broken_behind_the_handshake_ends_its_connection_only(self):
        self.open_house()
        guest = self.guest(secure=True)
        inner = socket.socket(fileno=os.dup(guest.socket.fileno()))
        with inner:
            inner.sendall(b"\x17\x03\x03\0\x40" + b"\x5a" * 64)
            guest.rest()
        self.all_is_well()


@unittest.skipUnless("webtransport" in TRANSPORTS, "needs UDP")
class Packets(House):
    def initials(self):
        """What a real client sends first to somebody who never answers."""
        tcp, udp = silent_port()
        with tcp, udp:
            udp.settimeout(DEADLINE)
            url = f"https://127.0.0.1:{udp.getsockname()[1]}"
            client = self.start("pub", url, "r", "e", "1", "--transport", "webtransport",
                                "--timeout", "10s")
            packets = [udp.recv(2048)]
            client.kill()
        return packets

    def throw(self, packets):
        """From a socket of their own. How much may come back for it is bounded."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.connect(("127.0.0.1", self.port))
            for packet in packets:
                udp.send(packet)
            self.all_is_well()
            back = 0
            try:
                while True:
                    back += len(udp.recv(65536, socket.MSG_DONTWAIT))
            except BlockingIOError:
                pass
        return back

    def test_random_packets_are_counted_and_forgotten(self):
        self.open_house()
        dice = random.Random(2)
        bad = self.metrics()["yomo_udp_packets_bad_total"]
        noise = [dice.randbytes(dice.choice([0, 1, 2, 20, 21, 50, 300, 1200, 1500]))
                 for _ in range(BURST)]
        # With the head of a long packet of a version that there is, and that there is not.
        for head in [b"\xc0\0\0\0\x01\x08", b"\xc0\x1a\x2a\x3a\x4a\x08",
                     b"\xe0\0\0\0\x01\x14", b"\xf0\0\0\0\0\x08", b"\x40"]:
            noise += [head + dice.randbytes(size) for size in [0, 8, 30, 1194, 1400]]
        back = self.throw(noise)
        self.assertLessEqual(back, 3 * sum(map(len, noise)))
        self.counted("yomo_udp_packets_bad_total", bad + BURST // 2)
        self.all_is_well()

    def test_initials_cut_bent_and_repeated_start_nothing(self):
        self.open_house("--handshake-timeout", "1s")
        first = self.initials()[0]
        dice = random.Random(3)
        failed = self.metrics()["yomo_handshakes_failed_total"]
        cuts = [first[:size] for size in range(1, len(first), 37)]
        self.throw(cuts)
        bent = []
        for _ in range(BURST):
            packet = bytearray(first)
            packet[dice.randrange(len(packet))] ^= 1 << dice.randrange(8)
            bent.append(bytes(packet))
        self.throw(bent)
        # The same one again and again: one connection, answered no more than three times
        # what has come (RFC 9000 8.1), and given up at last.
        back = self.throw([first] * BURST)
        self.assertLessEqual(back, 3 * len(first) * BURST)
        self.counted("yomo_handshakes_failed_total", failed + 1)
        self.until(lambda now: now["yomo_handshakes"] <= 1, # the one that asks
                   "a handshake does not end")
        self.all_is_well()


class Frames(House):
    def test_frames_that_are_not_allowed_close_with_their_code(self):
        self.open_house()
        protocol = 'yomo_closed_total{reason="protocol"}'
        cases = [
            ("a text frame", 1003, lambda raw: raw.frame(TEXT, b"hello")),
            ("not masked", 1002, lambda raw: raw.frame(BINARY, b"\x80", masked=False)),
            ("reserved bits", 1002, lambda raw: raw.frame(BINARY, b"\x80", bits=0x40)),
            ("an unknown opcode", 1002, lambda raw: raw.frame(3, b"")),
            ("nothing to continue", 1002, lambda raw: raw.frame(CONTINUATION, b"x")),
            ("a long ping", 1002, lambda raw: raw.frame(PING, b"x" * 126)),
            ("a ping in pieces", 1002, lambda raw: raw.frame(PING, b"x", final=False)),
            ("over the limit", 1009, lambda raw: raw.frame(BINARY, b"x", size=65537)),
            ("far over it", 1009, lambda raw: raw.frame(BINARY, b"x", size=2 ** 62)),
            ("over it in pieces", 1009,
             lambda raw: [raw.frame(BINARY, b"x" * 40000, final=False),
                          raw.frame(CONTINUATION, b"x" * 40000)]),
            ("a close of one byte", 1002, lambda raw: raw.frame(8, b"x")),
            ("a close that is none", 1002, lambda raw: raw.frame(8, b"\x03\xed")),
        ]
        for secure in [False, True]:
            for what, code, do in cases:
                with self.subTest(what, secure=secure):
                    before = self.metrics()[protocol]
                    raw = self.guest(secure=secure)
                    do(raw)
                    self.assertEqual(raw.close_code(), code)
                    self.counted(protocol, before + 1)
        self.all_is_well()

    def test_the_log_has_a_line_about_each_kind(self):
        self.open_house() # of its own: there are no more than five of them in a second
        for code, opcode, size in [(1003, TEXT, 1), (1002, CONTINUATION, 1),
                                   (1009, BINARY, 65537)]:
            raw = self.guest()
            raw.frame(opcode, b"x", size=size)
            self.assertEqual(raw.close_code(), code)
            self.assertRegex(self.logged(f"closed ({code})"),
                             rf"closed .* address=127\.0\.0\.1:\d+ .*code={code}\b")
        self.assertEqual(self.raw().status(b"BREW / HTTP/1.1\r\nHost: localhost\r\n\r\n"), 501)
        self.logged("closed (HTTP 501)")
        self.all_is_well()

    def test_pongs_may_be_short_and_unasked_for(self):
        self.open_house("--keep-alive", "200ms")
        raw = self.guest()
        for pong in [b"", b"x", b"x" * 125]:
            raw.frame(PONG, pong)
        for _ in range(3):
            raw.until(PING)
            raw.frame(PONG, b"")
        self.assertTrue(raw.alive())
        self.all_is_well()


class Messages(House):
    MALFORMED = 'yomo_dropped_total{reason="malformed"}'

    def in_room(self, room="bad", path="/v1?yomo=1"):
        raw = self.guest(path)
        raw.say(control("channel_join", c=room))
        self.assertEqual(raw.message("channel_join")["c"], room)
        return raw

    def test_bytes_that_are_no_message_are_counted_and_the_connection_stays(self):
        self.open_house()
        good = data_of("bad")
        bad = [b"", b"\xc0", b"\xc1", good + b"\0", pack({"t": "data", "c": 7}),
               b"\x82" + pack("t") + pack("data") + pack("t") + pack("data"),
               pack({"t": "control", "c": "bad"}), b"\xdf\xff\xff\xff\xff", b"\x91" * 5000,
               pack({"t": "data", "c": "bad", "pl": b"\xc1"}),
               pack({"t": "data", "c": "bad", "pl": pack({"event": "e"}) + b"\0"}),
               pack({"t": "data", "c": "bad", "pl": pack({"data": "1"})}),
               pack({"t": "data", "c": "bad",
                     "pl": pack({"event": "e", "__proto__": "1"})})]
        bad += [good[:size] for size in range(1, len(good))]
        self.assertLess(len(bad), 100) # errors-max
        for path in ["/v1?yomo=1", "/v1?id=page"]:
            with self.subTest(path):
                before = self.metrics()[self.MALFORMED]
                ear = self.in_room()
                raw = self.in_room(path=path)
                for message in bad:
                    raw.say(message)
                raw.say(data_of("bad", text='"after"'))
                self.assertIn(b"after", ear.message("data")["pl"]) # and nothing before it
                self.counted(self.MALFORMED, before + len(bad))
                self.logged("malformed message")
                self.assertTrue(raw.alive())
        self.all_is_well()

    def test_too_many_of_them_close_with_1002(self):
        self.open_house("--errors-max", "10")
        raw = self.guest()
        for _ in range(10):
            raw.say(b"\xc1")
        self.assertEqual(raw.close_code(), 1002)
        self.logged("closed (1002): too many broken messages")
        self.all_is_well()

    def test_unknown_ops_and_kinds_are_dropped_and_the_connection_stays(self):
        self.open_house()
        raw = self.in_room()
        dropped = sum(value for name, value in self.metrics().items()
                      if name.startswith("yomo_dropped_total"))
        for message in [control("launch", c="bad"), control("hello"),
                        control("snapshot", c="bad"), control("goaway"),
                        control("error", c="bad"), pack({"t": "weather"})]:
            raw.say(message)
        self.assertTrue(raw.alive())
        self.until(lambda now: sum(value for name, value in now.items()
                                   if name.startswith("yomo_dropped_total")) >= dropped + 6,
                   "not all of them are counted")
        self.all_is_well()

    def test_who_never_joined_reaches_nobody(self):
        self.open_house()
        counter = 'yomo_dropped_total{reason="not_joined"}'
        before = self.metrics()[counter]
        raw = self.guest()
        raw.say(data_of("good", n=1))
        self.assertEqual(raw.message("error")["code"], -106)
        raw.say(control("peer_state", c="good", pl=pack({"id": "x"})))
        self.counted(counter, before + 2)
        self.logged("not in this room")
        self.all_is_well()

    def test_names_may_not_be_empty_huge_or_anything_but_text(self):
        self.open_house()
        raw = self.guest()
        before = self.metrics()[self.MALFORMED]
        names = ["", "x" * 256, "x" * 60000, "a\0b", "\udcff\udcfe", "\udced\udca0\udc80"]
        for name in names:
            raw.say(control("channel_join", c=name))
            raw.say(data_of(name))
        self.assertTrue(raw.alive())
        self.counted(self.MALFORMED, before + len(names))
        for name in ["x" * 255, "Zoë 🦊", "../../etc/passwd", "%00"]:
            raw.say(control("channel_join", c=name))
            self.assertEqual(raw.message("channel_join")["c"], name)
        raw.say(data_of("%00", event="e" * 256, n=1))
        while (error := raw.message("error")).get("n") != 1:
            self.assertEqual(error["code"], -201) # a join's
        self.assertIn(error["code"], [-104, -201])
        raw.say(data_of("%00", event="\udcff", n=2))
        raw.say(data_of("%00", event="e" * 255, n=3))
        self.assertEqual(raw.message("ack")["n"], 3)
        self.all_is_well()

    def test_what_is_too_big_for_its_place_is_told(self):
        self.open_house()
        raw = self.in_room()
        raw.say(control("peer_state", c="bad", pl=pack({"x": "y" * 17000})))
        self.assertEqual(raw.message("error")["code"], -104)
        self.logged("larger than the limit")
        self.assertTrue(raw.alive())
        self.all_is_well()


class Slow(House):
    def test_who_never_reads_loses_what_may_be_lost_and_is_then_closed(self):
        self.open_house("--message-rate", "0")
        slow = self.guest("/v1?yomo=1&id=slow", buffer_size=4096)
        slow.say(control("channel_join", c="slow"))
        slow.message("snapshot")
        dropped = 'yomo_dropped_total{reason="slow_receiver"}'
        closed = 'yomo_closed_total{reason="slow"}'
        self.flood("unreliable", 500, 16000, (dropped, 1))
        resident = self.resident()
        before = self.metrics()[dropped]
        self.flood("unreliable", 2000, 16000, (dropped, before + 1500)) # 32 MB
        if os.path.exists("/proc"):
            self.assertLess(self.resident() - resident, 24 << 20)
        self.assertEqual(self.metrics()[closed], 0)
        self.all_is_well()
        self.flood("reliable", 200, 16000, (closed, 1))
        self.logged("closed (3001)")
        self.assertEqual(self.metrics()[closed], 1)
        self.all_is_well()
        last = None
        while (frame := slow.hear()) is not None: # what was on its way, then the end
            last = frame
        if last and last[0] == 8:
            self.assertEqual(int.from_bytes(last[1][:2], "big"), 3001)
        self.all_is_well()


    def test_a_program_that_hangs_is_closed_and_comes_back_when_it_runs_again(self):
        self.open_house("--message-rate", "0")
        closed = 'yomo_closed_total{reason="slow"}'
        for count, transport in enumerate(TRANSPORTS, 1):
            with self.subTest(transport):
                sub = self.joined(self.server, "slow", "--transport", transport)
                sub.signal(signal.SIGSTOP)
                try:
                    self.flood("reliable", 200, 16000, (closed, count))
                    self.logged("closed (3001)")
                    self.all_is_well()
                finally:
                    sub.signal(signal.SIGCONT)
                sub.err.until("connection lost")
                self.assertEqual(sub.record("joined")["transport"], transport)
                code, _, err = self.run_client(self.server, "pub", "slow", "after", "1")
                self.assertEqual(code, 0, err)
                while sub.record("message")["event"] != "after":
                    pass
                sub.signal(signal.SIGTERM)
                self.assertEqual(sub.wait(), 0)
        self.all_is_well()


class Doors(House):
    def read_metrics(self, server, authorization=None):
        request = urllib.request.Request(
            f"http://localhost:{server.listening['http_port']}/metrics",
            headers={"Authorization": authorization} if authorization else {})
        try:
            with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
                return answer.status, answer.headers, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers, error.read().decode()

    def test_numbers_are_for_who_has_the_token(self):
        server = self.serve("--keys", "app=key", "--metrics-token", "s3cret")
        for wrong in [None, "Bearer", "Bearer ", "Bearer s3cre", "Bearer s3cretx",
                      "Basic s3cret", "Bearer  s3cret", "s3cret"]:
            status, headers, body = self.read_metrics(server, wrong)
            self.assertEqual(status, 401, wrong)
            self.assertEqual(headers["WWW-Authenticate"], 'Bearer realm="metrics"')
            self.assertNotIn("yomo_", body)
        for right in ["Bearer s3cret", "bearer s3cret"]:
            status, _, body = self.read_metrics(server, right)
            self.assertEqual(status, 200)
            self.assertIn("yomo_connections", body)

    def test_without_a_token_they_are_for_development_only(self):
        self.assertEqual(self.read_metrics(self.serve())[0], 200)
        self.assertEqual(self.read_metrics(self.serve("--keys", "app=key"))[0], 404)
        code, _, err = self.run_program("serve", "--port", "0", "--keys", "app=key",
                                        "--metrics", "--state-dir", self.path("state"))
        self.assertEqual(code, 2)
        self.assertIn("metrics-token", err)

    def test_a_proxy_is_believed_only_if_it_is_trusted(self):
        bad_origin = "Origin: https://elsewhere.example"
        for trusted, address in [("127.0.0.0/8", r"203\.0\.113\.7"),
                                 ("10.0.0.0/8", r"127\.0\.0\.1:\d+")]:
            with self.subTest(trusted=trusted):
                self.open_house("--trusted-proxies", trusted)
                for secure in [False, True]:
                    raw = self.raw(secure)
                    raw.upgrade("/v1", bad_origin, "X-Forwarded-For: 6.6.6.6, 203.0.113.7")
                    self.assertEqual(raw.close_code(), 4403)
                    self.assertRegex(self.logged("not let in"),
                                     f"not let in.* address={address} ")
                # It is the one that later lines name, too.
                raw = self.raw()
                raw.upgrade("/v1?yomo=1", "X-Forwarded-For: " + "x" * 9000,
                            "X-Forwarded-For: 203.0.113.7")
                raw.frame(TEXT, b"")
                self.assertRegex(self.logged("closed (1003)"),
                                 f"closed.* address={address} ")
                self.all_is_well()

    def test_proxies_that_are_none_are_named(self):
        code, _, err = self.run_program("serve", "--port", "0", "--trusted-proxies",
                                        "10.0.0.0/8,10.0.0.0/33", "--state-dir",
                                        self.path("state"))
        self.assertEqual(code, 2)
        self.assertIn("10.0.0.0/33", err)


if __name__ == "__main__":
    main()
