# SPDX-License-Identifier: MIT
"""A backend with guests, and QUIC clients that know no rules."""
import unittest

from h3 import QUIC_PEER, Wild, framed
from house import House
from raw import control
from support import TRANSPORTS


@unittest.skipUnless("webtransport" in TRANSPORTS and QUIC_PEER, "needs UDP")
class Quic(House):
    def wild(self, *flags):
        wild = Wild(self.port, *flags)
        self.addCleanup(wild.kill)
        return wild

    def ends(self, wild, code):
        self.assertEqual(wild.end(), ("application", code))

    def alive(self, wild):
        """It has worked off what was said before, and answers."""
        if "lane" not in wild.ids:
            wild.stream("lane", bidi=True)
        self.pings = getattr(self, "pings", 0) + 1
        wild.write("lane", framed(control("ping", ts=self.pings)))
        while wild.message("lane", "pong")["ts"] != self.pings:
            pass
