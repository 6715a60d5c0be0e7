#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What operators see and may change: log lines, numbers, options while it runs."""
import http.client
import json
import re
import signal
import time

from raw import TEXT, Raw
from support import DEADLINE, TRANSPORTS, WORKERS, TestCase, main

SAMPLE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"')


def parse_exposition(text):
    """The text format of Prometheus, strictly: each family once, with HELP and TYPE before
    its samples; returns {family: (type, {(sample, labels): value})}."""
    families, current = {}, None
    assert text.endswith("\n"), "the last line has no end"
    for line in text.splitlines():
        if line.startswith("# HELP "):
            _, _, name, _ = line.split(" ", 3)
            assert name not in families, f"{name} twice"
            families[name] = [None, {}]
            current = name
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name == current and not families[name][1], line
            assert kind in ("counter", "gauge", "histogram"), line
            families[name][0] = kind
        else:
            match = SAMPLE.match(line)
            assert match, f"no sample: {line}"
            name, labels, value = match.groups()
            pairs = LABEL.findall(labels or "")
            assert ",".join(f'{k}="{v}"' for k, v in pairs) == (labels or ""), line
            assert len({k for k, _ in pairs}) == len(pairs), line
            kind, samples = families[current]
            suffixes = ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)
            assert name in [current + suffix for suffix in suffixes], line
            key = (name, tuple(sorted(pairs)))
            assert key not in samples, f"twice: {line}"
            samples[key] = float(value)
    for name, (kind, samples) in families.items():
        assert kind and samples, f"{name} is empty"
        if kind == "histogram":
            check_histogram(name, samples)
    return families


def check_histogram(name, samples):
    """Buckets grow with their bounds and end with +Inf, which is the count."""
    series = {}
    for (sample, labels), value in samples.items():
        rest = tuple(pair for pair in labels if pair[0] != "le")
        one = series.setdefault(rest, {"buckets": []})
        if sample == name + "_bucket":
            one["buckets"].append((float(dict(labels)["le"]), value))
        else:
            one[sample] = value
    for one in series.values():
        buckets = one["buckets"]
        assert buckets == sorted(buckets) and len(set(b for b, _ in buckets)) == len(buckets)
        assert [v for _, v in buckets] == sorted(v for _, v in buckets), buckets
        assert buckets[-1] == (float("inf"), one[name + "_count"]), buckets
        assert one[name + "_sum"] >= 0


class Case(TestCase):
    def get(self, server, path):
        connection = http.client.HTTPConnection("localhost", server.listening["http_port"],
                                                timeout=DEADLINE)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def metrics(self, server):
        status, text = self.get(server, "/metrics")
        self.assertEqual(status, 200)
        return parse_exposition(text)

    def value(self, server, family, sample=None, **labels):
        samples = self.metrics(server)[family][1]
        return samples[(sample or family, tuple(sorted(labels.items())))]

    def wait_for(self, holds, what):
        end = time.monotonic() + DEADLINE
        while not holds():
            self.assertLess(time.monotonic(), end, what)
            time.sleep(0.02)


class Logs(Case):
    def serve_json(self, *flags):
        server = self.start("serve", "--port", "0", "--http-port", "0", "--workers", WORKERS,
                            "--state-dir", self.path("state"), "--log-format", "json", *flags)
        line = server.err.until(lambda line: json.loads(line)["message"] == "listening")
        server.listening = json.loads(line)["listening"]
        server.url = f"https://localhost:{server.listening['port']}"
        return server

    def test_each_line_is_an_object(self):
        server = self.serve_json()
        # A name that would fake lines and move a terminal's cursor.
        self.run_client(server, "pub", "a", "b", "{}", "--origin",
                        "https://x\x1b[2J\"\\ \x7f{\"level\":\"error\"}")
        server.signal(signal.SIGHUP)
        server.err.until("read again")
        server.signal(signal.SIGTERM)
        self.assertEqual(server.wait(), 0)
        server.err.rest()
        for line in server.err.seen:
            record = json.loads(line)
            self.assertLessEqual({"time", "level", "module", "message"}, set(record))
            self.assertIn(record["level"], ("error", "warn", "info", "debug", "trace"))
            self.assertRegex(record["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
            self.assertTrue(all(c >= " " and c != "\x7f" for c in line), line)

    def test_who_and_where_are_members_of_the_object(self):
        server = self.serve_json("--log-level", "debug")
        hostile = 'a\n{"level":"error"} \\ x="'
        url = ["--id", hostile, "--transport", "websocket"]
        self.assertEqual(self.run_client(server, "pub", "a room", "e", "1", *url)[0], 0)
        raw = Raw(server.listening["http_port"])
        self.addCleanup(raw.close)
        self.assertEqual(raw.upgrade("/v1?id=page"), 101)
        raw.frame(TEXT, b"x")
        self.assertEqual(raw.close_code(), 1003)
        records = {}
        while "closed (1003)" not in " ".join(records):
            record = json.loads(server.err.next())
            records[record["message"].partition(":")[0]] = record
        joined, ended = records["joined"], records["closed (1003)"]
        self.assertEqual(joined["id"], 'a\\n{"level":"error"} \\\\ x="')
        self.assertEqual((joined["level"], joined["room"], joined["app"], joined["transport"],
                          joined["client"]), ("debug", "a room", "default", "websocket", "yomo"))
        self.assertEqual({joined["connection"], ended["connection"]} & {0}, set())
        self.assertNotEqual(joined["connection"], ended["connection"])
        self.assertEqual((ended["id"], ended["code"], ended["client"]),
                         ("page", 1003, "presencejs"))
        self.assertRegex(ended["address"], r"^127\.0\.0\.1:\d+$")
        self.assertEqual(records["left"]["connection"], joined["connection"])

    def test_level_and_format_of_a_file(self):
        config = self.path("config", "log-level = error\nlog-format = json\n")
        server = self.serve_json("--config", config)
        server.signal(signal.SIGTERM)
        self.assertEqual(server.wait(), 0)
        server.err.rest()
        levels = [json.loads(line)["level"] for line in server.err.seen
                  if json.loads(line)["module"] != "serve"]
        self.assertEqual(set(levels) - {"error"}, set())


class Numbers(Case):
    def test_times_of_delivery(self):
        for transport in TRANSPORTS:
            server = self.serve()
            sub = self.joined(server, "room", "--transport", transport, "--count", "5")
            names = {"reliable": 2, "unreliable": 1, "latest": 2}
            for delivery, count in names.items():
                for number in range(count):
                    code, _, err = self.run_client(
                        server, "pub", "room", "e", str(number), "--transport", transport,
                        "--class", delivery,
                        *(["--latest-key", str(number)] if delivery == "latest" else []))
                    self.assertEqual(code, 0, err)
            self.assertEqual(sub.wait(), 0)
            for family in ("yomo_delivery_seconds", "yomo_delivery_queue_seconds"):
                for delivery, count in names.items():
                    self.assertEqual(self.value(server, family, family + "_count",
                                                delivery=delivery), count, family)
                    total = self.value(server, family, family + "_sum", delivery=delivery)
                    self.assertLess(total, DEADLINE)


class Reload(Case):
    def write(self, *lines):
        return self.path("config", "".join(line + "\n" for line in lines))

    def reload(self, server, text):
        server.signal(signal.SIGHUP)
        return server.err.until(text)

    def test_options_change_and_nobody_is_closed(self):
        for transport in TRANSPORTS:
            config = self.write("rooms-max = 5", "keys = a=one", "message-size-max = 64k")
            server = self.serve("--config", config, "--metrics-token", "t")
            subs = [self.joined(server, "room", "--public-key", "one", "--count", "2",
                                "--transport", transport, "--id", f"s{i}") for i in range(4)]
            pub = ("pub", "room", "e", "1", "--transport", transport, "--public-key")
            self.assertEqual(self.run_client(server, *pub, "one")[0], 0)
            self.assertEqual(self.run_client(server, *pub, "two")[0], 4)
            self.write("keys = a=one,a=two", "message-size-max = 32k", "members-max = 7")
            self.reload(server, "read again")
            told = "\n".join(server.err.seen)
            self.assertIn("options changed: keys, members-max, rooms-max", told)
            self.assertIn("need a restart: message-size-max", told)
            self.assertEqual(self.run_client(server, *pub, "two")[0], 0)
            for sub in subs: # over the connection that it had
                self.assertEqual(sub.wait(), 0)
                self.assertNotIn("reconnect", "".join(sub.err.rest()))

    def test_what_is_wrong_changes_nothing(self):
        good = ("rooms-max = 5", "origins = https://a.example", "keys = a=one")
        config = self.write(*good)
        server = self.serve("--config", config)
        wrong = {
            "rooms-max = many": "line 1: 'rooms-max' does not take 'many'",
            "romos-max = 1": "did you mean 'rooms-max'",
            "rooms-max": "line 1: expected name = value",
            "keys = one": "keys",
            "drain-url = x\nkeys = a=one": "drain-url",
            "rooms-max = 9": "adding the first or removing the last needs a restart",
            "keys = a=one\nmetrics-token = ü": "metrics-token",
            "x" * 10000: "longer than",
            "keys = a=one\nid = \0": "NUL",
        }
        for text, why in wrong.items():
            self.write(text)
            line = self.reload(server, "what was in use stays in use")
            self.assertIn(why, line)
        for _ in range(3): # as it was: nothing differs
            self.write(*good)
            self.reload(server, "read again")
        self.assertNotIn("options changed", "\n".join(server.err.seen))
        self.assertEqual(
            self.run_client(server, "pub", "room", "e", "1", "--public-key", "one")[0], 0)

    def test_level_and_format(self):
        config = self.write("log-level = error")
        server = self.serve("--config", config)
        self.write("log-level = info", "log-format = json")
        line = self.reload(server, "read again")
        self.assertEqual(json.loads(line)["level"], "info")
        server.signal(signal.SIGTERM)
        self.assertEqual(server.wait(), 0)
        self.assertEqual(json.loads(server.err.until('"closed"'))["module"], "server")


if __name__ == "__main__":
    main()
