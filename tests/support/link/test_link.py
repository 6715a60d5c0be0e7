# SPDX-License-Identifier: MIT
"""The relay as a program: what it passes on, loses, doubles, blocks and rebinds."""
import json
import os
import socket
import subprocess
import sys
import unittest

LINK = os.environ["YOMO_LINK"]
DEADLINE = 10


class Link:
    def __init__(self, target, *orders, seed=1):
        args = [LINK, "--target", f"127.0.0.1:{target}", "--seed", str(seed)]
        for order in orders:
            args += ["--do", order]
        self.child = subprocess.Popen(args, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      encoding="utf-8")
        hello = json.loads(self.child.stdout.readline())
        self.port, self.seed = hello["port"], hello["seed"]

    def order(self, text):
        self.child.stdin.write(text + "\n")
        self.child.stdin.flush()
        return self.child.stdout.readline().strip()

    def end(self):
        self.child.stdin.close()
        code = self.child.wait(DEADLINE)
        self.child.stdout.close()
        return code


def udp():
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.settimeout(DEADLINE)
    return sock


class Tests(unittest.TestCase):
    def link(self, target, *orders, seed=1):
        link = Link(target, *orders, seed=seed)
        self.addCleanup(lambda: self.assertEqual(link.end(), 0))
        return link

    def udp(self):
        sock = udp()
        self.addCleanup(sock.close)
        return sock

    def test_both_ways_and_the_seed_is_told(self):
        server, client = self.udp(), self.udp()
        link = self.link(server.getsockname()[1], seed=99)
        self.assertEqual(link.seed, 99)
        client.sendto(b"up", ("127.0.0.1", link.port))
        data, peer = server.recvfrom(100)
        self.assertEqual(data, b"up")
        server.sendto(b"down", peer)
        self.assertEqual(client.recv(100), b"down")

    def run_once(self, seed):
        """Which of 500 packets arrive: told by a last one that is let through."""
        server, client = self.udp(), self.udp()
        link = self.link(server.getsockname()[1], seed=seed)
        got = []
        for first in range(0, 500, 50):  # no more at once than a socket's buffer holds
            self.assertEqual(link.order("loss 0.1"), "ok")
            for i in range(first, first + 50):
                client.sendto(b"%d" % i, ("127.0.0.1", link.port))
            while json.loads(link.order("counts"))["up"]["seen"] < first + 50 + first // 50:
                pass
            self.assertEqual(link.order("loss 0"), "ok")
            client.sendto(b"end", ("127.0.0.1", link.port))
            while (data := server.recv(100)) != b"end":
                got.append(int(data))
        return sorted(got)

    def test_a_seed_repeats_itself(self):
        first = self.run_once(5)
        self.assertEqual(first, self.run_once(5))
        self.assertNotEqual(first, self.run_once(6))
        self.assertTrue(420 < len(set(first)) < 480, len(set(first)))

    def test_block_and_unblock(self):
        server, client = self.udp(), self.udp()
        link = self.link(server.getsockname()[1])
        self.assertEqual(link.order("block up"), "ok")
        client.sendto(b"lost", ("127.0.0.1", link.port))
        while json.loads(link.order("counts"))["up"]["blocked"] < 1:
            pass
        self.assertEqual(link.order("unblock"), "ok")
        client.sendto(b"there", ("127.0.0.1", link.port))
        self.assertEqual(server.recv(100), b"there")

    def test_rebind_changes_the_port_that_the_target_sees(self):
        server, client = self.udp(), self.udp()
        link = self.link(server.getsockname()[1])
        client.sendto(b"1", ("127.0.0.1", link.port))
        before = server.recvfrom(100)[1]
        self.assertEqual(link.order("rebind"), "ok")
        client.sendto(b"2", ("127.0.0.1", link.port))
        after = server.recvfrom(100)[1]
        self.assertNotEqual(before, after)
        server.sendto(b"3", after)
        self.assertEqual(client.recv(100), b"3")

    def test_tcp_on_the_same_port_and_its_end(self):
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        listener.settimeout(DEADLINE)
        link = self.link(listener.getsockname()[1], "loss 0.3", "delay 5")
        client = socket.create_connection(("127.0.0.1", link.port), DEADLINE)
        self.addCleanup(client.close)
        server = listener.accept()[0]
        self.addCleanup(server.close)
        server.settimeout(DEADLINE)
        sent = os.urandom(50000)
        client.sendall(sent)
        client.shutdown(socket.SHUT_WR)
        got = b""
        while data := server.recv(65536):
            got += data
        self.assertEqual(got, sent)
        server.sendall(b"bye")
        server.close()
        self.assertEqual(client.recv(100), b"bye")
        self.assertEqual(client.recv(100), b"")

    def test_tcp_cut(self):
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        listener.settimeout(DEADLINE)
        link = self.link(listener.getsockname()[1])
        client = socket.create_connection(("127.0.0.1", link.port), DEADLINE)
        self.addCleanup(client.close)
        server = listener.accept()[0]
        self.addCleanup(server.close)
        self.assertEqual(link.order("cut"), "ok")
        with self.assertRaises(ConnectionResetError):
            client.recv(100)

    def test_orders_that_are_none(self):
        server = self.udp()
        link = self.link(server.getsockname()[1])
        for order in ["nonsense", "loss", "loss 2", "loss x", "delay -1", ""]:
            self.assertTrue(link.order(order).startswith("error"), order)


if __name__ == "__main__":
    sys.exit(unittest.main())
