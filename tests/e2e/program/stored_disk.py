#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Histories in SQLite on a disk that is full, or read only: a small one of our own, in a
mount namespace of our own."""
import ctypes
import json
import os
import subprocess
import time

from stored import Stored
from support import DEADLINE, main


def own_namespace():
    """Mounts of ours are nobody else's. False: not permitted."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x00020000) != 0:  # CLONE_NEWNS
        return False
    return subprocess.run(["mount", "--make-rprivate", "/"], check=False,
                          capture_output=True).returncode == 0


NAMESPACE = own_namespace()


class Disk(Stored):

    def setUp(self):
        super().setUp()
        self.disk = self.path("disk")
        os.mkdir(self.disk)
        self.file = self.disk + "/history.db"
        if not NAMESPACE:
            self.skipTest("no mount namespace is permitted here")
        mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", self.disk]
        if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
            self.skipTest("no tmpfs may be mounted here")
        self.addCleanup(subprocess.run, ["umount", "-l", self.disk], check=False)

    def test_a_full_disk(self):
        self.open("--history-memory", "16m")
        stay = self.joined(self.server, "room")
        self.pub("room", 1)
        self.assertEqual(stay.record()["data"], 1)
        self.stored(1)
        with open(self.disk + "/filler", "wb", buffering=0) as filler:
            try:
                while True:
                    filler.write(b"x" * 4096)
            except OSError:
                pass
        big = json.dumps("x" * 4000)
        for _ in range(40):
            self.pub("room", big)
            self.assertEqual(len(stay.record()["data"]), 4000)  # the room goes on
        self.fails()
        self.server.err.until("the store does not work")
        os.unlink(self.disk + "/filler")
        self.stored(41)
        self.works()
        self.close()
        self.open()
        self.assertEqual(len(self.told("room")), 41)

    def test_a_disk_that_becomes_read_only(self):
        self.open()
        self.pub("room", 1)
        self.stored(1)
        self.close()
        subprocess.run(["mount", "-o", "remount,ro", self.disk], check=True)
        self.open()
        self.joined(self.server, "room")
        self.pub("room", 2)
        self.fails()
        self.assertIn(2, self.told("room"))
        subprocess.run(["mount", "-o", "remount,rw", self.disk], check=True)
        end = time.monotonic() + DEADLINE
        while True:
            self.pub("later", 3)
            if self.metrics()["yomo_history_store_failing"] == 0:
                break
            self.assertLess(time.monotonic(), end)
            time.sleep(0.3)


if __name__ == "__main__":
    main()
