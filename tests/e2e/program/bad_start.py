#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What stands in the way when a backend starts. Some of it needs another user, or a disk
that can be filled: where the machine gives none, this is skipped, and says so."""
import os
import shutil
import signal
import stat
import subprocess

from support import DEADLINE, PROGRAM, TestCase, main, silent_port

NOBODY = 65534


class Start(TestCase):
    """What stands in the way at the start is named, and the exit code is 1."""

    def fails(self, *flags, names, user=None):
        args = [PROGRAM, "serve", "--port", "0", "--http-port", "none", "--workers", "1",
                *flags]
        done = subprocess.run(args, stdin=subprocess.DEVNULL, capture_output=True,
                              encoding="utf-8", timeout=DEADLINE, check=False, user=user)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertNotIn("listening {", done.stderr)
        for name in names:
            self.assertIn(name, done.stderr)
        self.assertLessEqual(len(done.stderr.splitlines()), 2, done.stderr)

    def pair(self):
        """A certificate and its key, made by a backend."""
        server = self.serve()
        server.signal(signal.SIGTERM)
        self.assertEqual(server.wait(), 0)
        return [os.path.join(self.path("state"), name)
                for name in ["dev-cert.pem", "dev-key.pem"]]

    def somebody(self):
        """A user whom file modes bind; None: we are one."""
        if os.getuid() != 0:
            return None
        try:
            subprocess.run([PROGRAM, "--version"], user=NOBODY, check=True,
                           capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            self.skipTest("another user cannot run the program here")
        os.chmod(self.folder, 0o755)
        return NOBODY

    def test_certificates_and_keys_that_are_none(self):
        cert, key = self.pair()
        text = self.path("text.pem", "no PEM at all\n")
        empty = self.path("empty.pem", "")
        with open(key, encoding="ascii") as file:
            half = self.path("half.pem", file.read()[:100])
        common = ["--state-dir", self.path("state")]
        for bad_cert, bad_key, name in [(text, key, text), (empty, key, empty),
                                        (self.folder, key, self.folder),
                                        (cert, text, text), (cert, empty, empty),
                                        (cert, half, half), (cert, cert, cert),
                                        (cert, self.path("none.pem"), "none.pem")]:
            with self.subTest(cert=bad_cert, key=bad_key):
                self.fails("--tls-cert", bad_cert, "--tls-key", bad_key, *common,
                           names=[name])

    def test_a_key_of_another_certificate(self):
        _, key = self.pair()
        other = self.path("other.pem")
        shutil.copy(key, other)
        shutil.rmtree(self.path("state"))
        cert, _ = self.pair()
        self.fails("--tls-cert", cert, "--tls-key", other, "--state-dir",
                   self.path("state"), names=["other.pem"])

    def test_a_key_that_may_not_be_read(self):
        user = self.somebody()
        cert, key = self.pair()
        copies = [self.path("cert.pem"), self.path("key.pem")]
        shutil.copy(cert, copies[0])
        shutil.copy(key, copies[1])
        os.chmod(copies[0], 0o644)
        os.chmod(copies[1], 0)
        state = self.path("mine")
        os.mkdir(state, 0o700)
        if user is not None:
            os.chown(state, user, -1)
        self.fails("--tls-cert", copies[0], "--tls-key", copies[1], "--state-dir", state,
                   names=["key.pem"], user=user)

    def test_a_state_folder_that_may_not_be_written(self):
        user = self.somebody()
        state = self.path("theirs")
        os.mkdir(state)
        os.chmod(state, 0o555)
        self.fails("--state-dir", state, names=[state], user=user)
        self.fails("--state-dir", os.path.join(state, "below"), names=[state], user=user)

    def test_a_port_in_use_by_somebody_else(self):
        tcp, udp = silent_port()
        port = str(tcp.getsockname()[1])
        udp.close()
        with tcp:
            self.fails("--port", port, "--state-dir", self.path("state"), names=[port])
        tcp, udp = silent_port()
        port = str(tcp.getsockname()[1])
        tcp.close()
        with udp:
            self.fails("--port", port, "--state-dir", self.path("state"), names=[port])

    def test_a_full_disk_is_named_and_leaves_no_halves_behind(self):
        disk = self.path("disk")
        os.mkdir(disk)
        mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk],
                               capture_output=True, check=False)
        if mount.returncode != 0:
            self.skipTest("no file system can be mounted here")
        self.addCleanup(subprocess.run, ["umount", disk], check=True)
        state = os.path.join(disk, "state")
        filler = os.path.join(disk, "filler")
        os.mkdir(state, 0o700)
        with open(filler, "wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"x" * 4096)
            except OSError:
                pass
        self.fails("--state-dir", state, names=[state])
        for name in os.listdir(state):
            self.assertGreater(os.stat(os.path.join(state, name)).st_size, 0, name)
        os.remove(filler)
        server = self.start("serve", "--port", "0", "--http-port", "none", "--workers", "1",
                            "--state-dir", state)
        server.err.until("listening {")
        self.assertEqual(stat.S_IMODE(os.stat(state).st_mode), 0o700)
        server.signal(signal.SIGTERM)
        self.assertEqual(server.wait(), 0)


if __name__ == "__main__":
    main()
