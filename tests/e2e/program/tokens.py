#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Tokens: made by another implementation (npm jose), taken or refused by yomo serve."""
import json
import os
import shutil
import signal
import subprocess
import unittest

from support import TRANSPORTS, TestCase, main

MINT = os.path.join(os.path.dirname(__file__), "..", "tokens", "mint.mjs")
RULES = ("--token-audience", "canvas", "--token-issuer", "https://login.example")
REFUSED = 4


@unittest.skipUnless(shutil.which("node"), "there is no node to make tokens with")
class Tokens(TestCase):
    def setUp(self):
        super().setUp()
        made = subprocess.run(["node", MINT, self.folder], check=True, encoding="utf-8",
                              stdout=subprocess.PIPE, timeout=60)
        self.tokens = json.loads(made.stdout)

    def serve_with(self, keys):
        return self.serve("--token-keys", self.path(keys), *RULES)

    def pub(self, server, room, *flags):
        return self.run_client(server, "pub", room, "e", "1", *flags)

    def good(self, kind="ES256"):
        return ["--token", self.tokens["good-" + kind]]

    def test_every_algorithm_is_taken(self):
        server = self.serve_with("jwks.json")
        for kind in ("RS256", "ES256", "EdDSA", "HS256"):
            for transport in TRANSPORTS:
                with self.subTest(kind=kind, transport=transport):
                    over = self.good(kind) + ["--transport", transport]
                    self.assertEqual(self.pub(server, "doc-1", *over)[0], 0)

    def test_pem_and_a_plain_secret_are_keys_too(self):
        for keys, kind in (("rs256.pem", "RS256"), ("secret", "HS256")):
            with self.subTest(keys=keys):
                server = self.serve_with(keys)
                self.assertEqual(self.pub(server, "doc-1", *self.good(kind))[0], 0)
                self.assertEqual(self.pub(server, "doc-1", *self.good())[0], REFUSED)

    def test_bad_tokens_are_refused_for_good(self):
        server = self.serve_with("jwks.json")
        bad = [name for name in self.tokens if name.startswith("bad-")]
        self.assertEqual(len(bad), 8)
        for name in bad:
            for transport in TRANSPORTS:
                with self.subTest(name=name, transport=transport):
                    code, _, err = self.pub(server, "doc-1", "--token", self.tokens[name],
                                            "--transport", transport)
                    self.assertEqual(code, REFUSED, err)
        self.assertEqual(self.pub(server, "doc-1")[0], REFUSED) # none at all
        self.assertFalse([line for line in server.err.seen if "eyJ" in line])

    def test_a_token_says_who_and_where(self):
        server = self.serve_with("jwks.json")
        sub = self.joined(server, "doc-1", *self.good(), "--id", "mallory")
        self.assertEqual(self.pub(server, "doc-1", *self.good("RS256"), "--id", "eve")[0], 0)
        self.assertEqual(sub.record("message")["from"], "alice")
        # A room that the token does not name; and one where it may only listen.
        self.assertEqual(self.pub(server, "other", *self.good())[0], REFUSED)
        self.assertEqual(self.pub(server, "look", *self.good())[0], REFUSED)
        self.joined(server, "look", *self.good())

    def test_other_keys_count_after_a_reload(self):
        shutil.copy(self.path("jwks.json"), self.path("keys"))
        server = self.serve_with("keys")
        sub = self.joined(server, "doc-1", *self.good())
        shutil.copy(self.path("rs256.pem"), self.path("keys"))
        server.signal(signal.SIGHUP)
        server.err.until("were read again")
        self.assertEqual(self.pub(server, "doc-1", *self.good())[0], REFUSED)
        self.assertEqual(self.pub(server, "doc-1", *self.good("RS256"))[0], 0)
        sub.record("message") # who was in stays in
        self.path("keys", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
        server.signal(signal.SIGHUP)
        self.assertIn("private key", server.err.until("stays in use"))
        self.assertEqual(self.pub(server, "doc-1", *self.good("RS256"))[0], 0)

    def test_a_wider_address_needs_no_more_than_keys_for_tokens(self):
        self.serve("--bind", "0.0.0.0", "--token-keys", self.path("secret"))


if __name__ == "__main__":
    main()
