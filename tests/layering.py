#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Who may include what: the floor plan of lib/ as a table, checked.

Every quoted include is written from lib/ and points down, into a folder of its own row.
Every outside library's header is included only in the folder that the library belongs
to. The program and the examples see the public headers only; an example is a host program
and may use libraries of its own."""
import os
import re
import sys

ENGINE = ["base", "transport"]  # "transport" as a row below means its transport.h alone
MAY_INCLUDE = {
    "base": [],
    "wire": ["base"],
    "presence": ["base"],
    "session": ["base", "wire"],
    "options": ["base"],
    "loop": ["base"],
    "transport/memory": ENGINE + ["loop"],
    "transport/tls": ENGINE,
    "transport/http": ENGINE,
    "transport/websocket": ENGINE + ["transport/tls", "transport/http"],
    "transport/crowd": ["base"],
    "transport/webtransport": ENGINE + ["transport/tls", "transport/crowd"],
    "transport/messages": ENGINE + ["transport/webtransport"],
    "transport": ["base", "loop", "transport/memory", "transport/tls", "transport/http",
                  "transport/crowd", "transport/websocket", "transport/webtransport",
                  "transport/messages"],
    "sessions": ["base", "options", "loop", "transport", "transport/tls",
                 "transport/webtransport"],
    "client": ["base", "wire", "presence", "session", "options", "loop", "transport",
               "sessions"],
    "server/auth": ["base", "wire"],
    "server/history": ["base", "loop"],
    "server/webhooks": ["base", "wire", "loop", "transport", "transport/tls", "transport/http"],
    "server": ["server/auth", "server/history", "server/webhooks", "base", "wire", "presence", "session", "options", "loop", "transport",
               "sessions", "transport/memory", "transport/tls", "transport/http",
               "transport/websocket", "transport/webtransport"],
}
ENGINES_SEE_OF_TRANSPORT = ["transport/transport.h"]
# The engine of WebTransport has one face, its session API, for all who use sessions: the
# presence transport (transport/messages) and the public handles (sessions) alike. Only
# transport/ sees more, where the engine is put on a loop.
SESSION_API = ["session.h", "subprotocol.h"]
SEES_THE_ENGINE = ["transport/webtransport", "transport"]
OUTSIDE = [
    (r"uv\.h|uv/.*", ["loop", "cli"]),  # yomo bench is a host with loops of its own
    (r"openssl/.*", ["transport/tls", "transport/webtransport", "server", "server/auth",
                       "server/webhooks"]),
    (r"ngtcp2/.*", ["transport/webtransport"]),
    (r"nghttp3/.*", ["transport/webtransport"]),
    (r"wslay/.*", ["transport/websocket"]),
    (r"llhttp\.h", ["transport/http"]),
    (r"sqlite3\.h", ["server/history"]),
]
# Folders that know no socket, clock or file.
PURE = ["base", "wire", "presence", "session", "options"]
WORLDLY = (r"sys/(socket|epoll|select|poll|un|ioctl|mman|wait)\.h|netinet/.*|arpa/.*|"
           r"netdb\.h|poll\.h|pthread\.h|signal\.h")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^">]+)[">]')

problems = []


def includes(path):
    with open(path, encoding="utf-8") as source:
        for number, line in enumerate(source, 1):
            match = INCLUDE.match(line)
            if match:
                yield number, match.group(1) == '"', match.group(2)


def sources(top):
    for folder, _, names in os.walk(top):
        for name in sorted(names):
            if name.endswith((".c", ".h")):
                yield os.path.join(folder, name)


def check_quoted(where, folder, name, root):
    if not os.path.exists(os.path.join(root, "lib", name)):
        problems.append(f"{where}: \"{name}\" is not a file of lib/. Write it from lib/.")
        return
    target = os.path.dirname(name)
    if target == folder:
        return
    if target not in MAY_INCLUDE[folder]:
        problems.append(f"{where}: {folder}/ may not include \"{name}\". It may include: "
                        + (", ".join(MAY_INCLUDE[folder]) or "nothing") + ".")
    elif (target == "transport" and folder.startswith("transport/")
          and name not in ENGINES_SEE_OF_TRANSPORT):
        problems.append(f"{where}: of transport/ itself, {folder}/ may include only "
                        + ", ".join(ENGINES_SEE_OF_TRANSPORT) + ".")
    elif (target == "transport/webtransport" and folder not in SEES_THE_ENGINE
          and os.path.basename(name) not in SESSION_API):
        problems.append(f"{where}: of {target}/, {folder}/ may include only the session API: "
                        + ", ".join(SESSION_API) + ".")


def check_outside(where, folder, name):
    for pattern, allowed in OUTSIDE:
        if re.fullmatch(pattern, name) and folder not in allowed:
            problems.append(f"{where}: <{name}> belongs in {', '.join(allowed)} only.")
    if folder in PURE and re.fullmatch(WORLDLY, name):
        problems.append(f"{where}: {folder}/ is pure and may not include <{name}>.")


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else "."
    for path in sources(os.path.join(root, "lib")):
        relative = os.path.relpath(path, os.path.join(root, "lib"))
        if relative == "version.c":  # asks every library for its version
            continue
        folder = os.path.dirname(relative)
        if folder not in MAY_INCLUDE:
            problems.append(f"lib/{relative}: folder '{folder}' is not in the table of "
                            "tests/layering.py. Add its row.")
            continue
        for number, quoted, name in includes(path):
            where = f"lib/{relative}:{number}"
            if quoted:
                check_quoted(where, folder, name, root)
            else:
                check_outside(where, folder, name)
    for top in ("include", "cli", "examples"):
        for path in sources(os.path.join(root, top)):
            for number, quoted, name in includes(path):
                where = f"{os.path.relpath(path, root)}:{number}"
                beside = os.path.join(os.path.dirname(path), name)
                if quoted and not os.path.exists(beside):
                    problems.append(f"{where}: \"{name}\" is not in this folder; {top}/ "
                                    "sees the public headers only.")
                if top != "examples" and not quoted:
                    check_outside(where, top, name)
    for problem in problems:
        print(problem)
    return 1 if problems else 0


sys.exit(main())
