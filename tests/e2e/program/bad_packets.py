#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Packets of nobody, from outside, against a backend with guests: floods of first packets
from many addresses, and what somebody who sees the packets of others can send them:
version negotiation, Retry, stateless resets (RFC 9000 6.2, 10.3, 17.2.5.2, 21)."""
import os
import random
import socket
import subprocess
import time
import unittest

from h3 import QUIC_PEER
from house import House
from quic import Relay
from support import DEADLINE, TRANSPORTS, main
from wild import Quic

HALF_OPEN = 50 # --handshakes-max
FLOOD = 600


def kind_of(packet):
    """What a packet with a long header is (RFC 9000 17.2)."""
    if packet[0] & 0x80 == 0:
        return "short"
    if packet[1:5] == bytes(4):
        return "version negotiation"
    return ["initial", "0-rtt", "handshake", "retry"][packet[0] >> 4 & 3]


def source_id(packet):
    """The ID under which who sent this long header gets packets."""
    at = 6 + packet[5]
    return packet[at + 1:at + 1 + packet[at]]


def firsts(count):
    """First packets of so many clients, each with a ClientHello of its own."""
    done = subprocess.run([QUIC_PEER, "first", str(count)], stdout=subprocess.PIPE,
                          encoding="ascii", check=True, timeout=60)
    return [bytes.fromhex(line) for line in done.stdout.split()]


def udp_from(address, port):
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind((address, 0))
    udp.connect(("127.0.0.1", port))
    return udp


@unittest.skipUnless("webtransport" in TRANSPORTS and QUIC_PEER, "needs UDP")
class Floods(House):
    def throw(self, packets, net):
        """Each from an address of its own. What came back: counted by kind, and never
        more than three times what was sent (RFC 9000 8.1)."""
        kinds, sockets = {}, []
        came = "yomo_udp_packets_in_total"
        before = self.metrics()[came]
        for index, packet in enumerate(packets):
            if index % 50 == 0: # as fast as it reads: what the kernel drops is no flood
                self.counted(came, before + index)
            udp = udp_from(f"127.{net}.{index >> 8}.{index & 255}", self.port)
            udp.send(packet)
            sockets.append((udp, len(packet)))
        self.all_is_well() # it comes behind them
        for udp, sent in sockets:
            back = 0
            with udp:
                try:
                    while True:
                        answer = udp.recv(65536, socket.MSG_DONTWAIT)
                        back += len(answer)
                        kinds[kind_of(answer)] = kinds.get(kind_of(answer), 0) + 1
                except BlockingIOError:
                    pass
            self.assertLessEqual(back, 3 * sent)
        return kinds

    def test_first_packets_from_everywhere_leave_room_for_who_is_somebody(self):
        """Three floods, and between them the backend is as full as it can get."""
        self.open_house("--handshakes-max", str(HALF_OPEN))
        half_open = int(os.environ.get("YOMO_WORKERS", "1")) * HALF_OPEN
        proven = 'yomo_quic_addresses_proven_total{by="retry"}'
        grew = []
        for turn in range(3):
            kinds = self.throw(firsts(FLOOD), 10 + turn)
            # Each worker has its half-open handshakes, which end some time, and no more; all
            # others have to prove who they are, which costs no memory and less than they
            # sent. (Beside them there may be the one who asks for the numbers.)
            self.assertLessEqual(self.metrics()["yomo_handshakes"], half_open + 1)
            self.assertGreater(kinds["retry"], FLOOD // 4)
            code, _, err = self.run_client(self.server, "pub", "good", "in", str(turn),
                                           "--transport", "webtransport", "--timeout", "15s")
            self.assertEqual(code, 0, err)
            for ear in self.ears:
                self.assertEqual(ear.record()["event"], "in")
            self.all_is_well()
            grew.append(self.resident())
        self.counted(proven, 1) # later it has a token, which is a proof as well
        self.assertLess(grew[2] - grew[0], 8 << 20, grew)

    def test_versions_that_there_are_not_are_answered_with_less_than_came(self):
        self.open_house()
        packets = [packet[:1] + b"\x1a\x2a\x3a\x4a" + packet[5:]
                   for packet in firsts(200)]
        kinds = self.throw(packets, 30)
        self.assertEqual(set(kinds), {"version negotiation"})
        self.assertEqual(self.metrics()["yomo_handshakes"], 0)
        # Too small to be anybody's first: it could be made to answer somebody else.
        self.assertEqual(self.throw([packet[:400] for packet in packets], 31), {})
        self.all_is_well()


class Meddler(Relay):
    """A relay that sees what passes and says something of its own."""

    def __init__(self, port):
        self.server_id = b""
        self.seen = {} # the last packet of each kind from the server
        self.down = lambda packet: [packet]
        super().__init__(port)

    def _send(self, one, data, control, address):
        packets = [data]
        if one is self.inside:
            kind = kind_of(data)
            self.seen[kind] = data
            if kind in ("initial", "handshake", "retry"):
                self.server_id = source_id(data)
            packets = self.down(data)
        for packet in packets:
            super()._send(one, packet, control, address)

    def to_client(self, packet):
        self.inside.sendto(packet, self.client)

    def to_server(self, packet):
        self.outside.sendto(packet, self.target)

    def negotiation(self, *versions):
        """For the client, whose ID has no length, from the server (RFC 9000 17.2.1)."""
        return (b"\xca" + bytes(4) + b"\0" + bytes([len(self.server_id)]) + self.server_id +
                b"".join(versions))


V1, V2, NONE = b"\0\0\0\1", b"\x6b\x33\x43\xcf", b"\x1a\x2a\x3a\x4a"


@unittest.skipUnless("webtransport" in TRANSPORTS, "needs UDP")
class Meddling(Quic):
    def through(self):
        """Somebody who meddles, between a client and the backend."""
        meddler = Meddler(self.port)
        self.addCleanup(meddler.close)
        return meddler

    def listen(self, meddler):
        return self.start("sub", f"https://127.0.0.1:{meddler.port}", "good", "--transport",
                          "webtransport", "--state-dir", self.path("state"), "--timeout",
                          "15s")

    def undisturbed(self, sub):
        """The same connection as ever, and it works."""
        self.ears.append(sub)
        self.all_is_well()
        self.assertEqual(sub.err.seen, [])
        self.ears.remove(sub)

    def connections(self):
        return self.metrics()["yomo_tls_handshakes_total{transport=\"quic\",kind=\"full\"}"]

    def test_a_client_that_is_connected_believes_none_of_it(self):
        self.open_house()
        meddler = self.through()
        sub = self.listen(meddler)
        sub.record("joined")
        self.undisturbed(sub)
        before = self.connections()
        dice = random.Random(5)
        lies = [meddler.negotiation(*versions) for versions in
                [(), (NONE,), (V1,), (V2,), (V1, V2), (NONE, V2) * 50]]
        lies += [b"\xf0" + V1 + b"\0" + bytes([len(meddler.server_id)]) + meddler.server_id +
                 dice.randbytes(size) for size in [0, 15, 16, 17, 40, 200]] # Retry
        lies += [b"\x40" + dice.randbytes(size) for size in [20, 40, 42, 100, 1199]] # resets
        for lie in lies:
            for _ in range(5):
                meddler.to_client(lie)
        self.undisturbed(sub)
        for lie in lies: # nor does the server, from the client's address
            at = lie[5:6] + lie[6:] # the IDs the other way round
            meddler.to_server(lie[:5] + bytes([len(meddler.server_id)]) + meddler.server_id +
                              b"\0" + at[2 + len(meddler.server_id):])
            meddler.to_server(b"\x40" + meddler.server_id + lie[1:40])
        self.undisturbed(sub)
        self.assertEqual(self.connections(), before)

    def test_a_reset_of_another_connection_is_none_of_this_one(self):
        self.open_house()
        other = self.wild()
        theirs = bytes.fromhex(other.event("ready")["server"]["hex"])
        other.say("close", 0x100)
        other.event("end")
        with udp_from("127.0.0.1", self.port) as udp:
            udp.settimeout(0.1)
            end, reset = time.monotonic() + DEADLINE, None
            while reset is None: # the server swallows packets for a while, then forgets
                self.assertLess(time.monotonic(), end)
                udp.send(b"\x40" + theirs + bytes(60))
                try:
                    reset = udp.recv(2048)
                except TimeoutError:
                    pass
        self.assertEqual(kind_of(reset), "short")
        meddler = self.through()
        sub = self.listen(meddler)
        sub.record("joined")
        for _ in range(20):
            meddler.to_client(reset)
            meddler.to_client(bytes([reset[0] ^ 0x20]) + os.urandom(30) + reset[-16:])
        self.undisturbed(sub)

    def fill(self):
        """Every worker has a handshake under way: whoever comes now must prove it."""
        for index, packet in enumerate(firsts(40)):
            with udp_from(f"127.50.0.{index + 1}", self.port) as udp:
                udp.send(packet)
        self.counted("yomo_quic_retries_total", 30)

    def test_a_handshake_believes_a_retry_once_and_only_a_true_one(self):
        self.open_house("--handshakes-max", "1", "--handshake-timeout", "60s")
        self.fill()
        meddler = self.through()
        lies = []

        def down(packet):
            if kind_of(packet) != "retry":
                return [packet]
            wrong = packet[:-1] + bytes([packet[-1] ^ 1])
            bent = packet[:30] + bytes([packet[30] ^ 1]) + packet[31:]
            lies[:] = [wrong, bent, packet, packet]
            return [meddler.negotiation(V1), wrong, bent, packet, packet, wrong]

        meddler.down = down
        sub = self.listen(meddler)
        sub.record("joined")
        self.assertEqual(len(lies), 4)
        self.counted('yomo_quic_addresses_proven_total{by="retry"}', 1)
        self.undisturbed(sub)
        for lie in lies: # nor later
            meddler.to_client(lie)
        self.undisturbed(sub)

    def test_a_negotiation_that_names_our_version_is_not_believed(self):
        """RFC 9000 6.2: it cannot be an answer to what was sent."""
        self.open_house()
        meddler = self.through()
        first = []

        def down(packet):
            if first:
                return [packet]
            first.append(packet)
            return [meddler.negotiation(V2, V1), meddler.negotiation(V1)[:-1], packet]

        meddler.down = down
        sub = self.listen(meddler)
        sub.record("joined")
        self.undisturbed(sub)

    def test_a_token_of_a_retry_is_good_for_its_address_and_its_time_only(self):
        self.open_house("--handshakes-max", "1", "--handshake-timeout", "60s")
        self.fill()
        lone = firsts(1)[0]
        with udp_from("127.40.0.1", self.port) as udp:
            udp.settimeout(DEADLINE)
            udp.send(lone)
            retry = udp.recv(2048)
        self.assertEqual(kind_of(retry), "retry")
        mine = source_id(retry)
        token = retry[7 + retry[5] + len(mine):-16]
        before = self.metrics()
        for net in range(20): # from anywhere else, and bent
            with udp_from(f"127.41.0.{net + 1}", self.port) as udp:
                bent = bytearray(token)
                bent[net * len(bent) // 20] ^= 1 if net else 0
                packet = (b"\xc3" + V1 + bytes([len(mine)]) + mine + b"\x08" + bytes(8) +
                          bytes([0x40 | len(token) >> 8, len(token) & 255]) + bytes(bent) +
                          b"\x44\x00" + bytes(1024))
                udp.send(packet)
        self.all_is_well()
        now = self.metrics()
        proven = 'yomo_quic_addresses_proven_total{by="retry"}'
        self.assertEqual(now[proven], before[proven])
        self.assertLessEqual(now["yomo_handshakes"], before["yomo_handshakes"])


if __name__ == "__main__":
    main()
