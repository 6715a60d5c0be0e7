#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Install into an empty folder, then build and run programs that know only that.

Everything a program outside the tree needs comes from `pkg-config yomo`: shared, static,
as C and as C++, alone and in a host that links the distribution's own OpenSSL."""
import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

parser = argparse.ArgumentParser()
parser.add_argument("--meson", nargs="+", required=True)
parser.add_argument("--build", required=True)
parser.add_argument("--prefix", required=True)
parser.add_argument("--libdir", required=True, help="below the prefix")
parser.add_argument("--datadir", required=True, help="below the prefix")
parser.add_argument("--version", required=True)
parser.add_argument("--soversion", required=True)
parser.add_argument("--cc", nargs="+", required=True)
parser.add_argument("--cpp", nargs="*", default=[])
parser.add_argument("--headers", nargs="+", required=True)
parser.add_argument("--openssl", required=True, help="the version that libyomo carries")
parser.add_argument("--private", action="store_true",
                    help="it carries its own QUIC and TLS libraries")
parser.add_argument("--static", action="store_true", help="there is a static library")
parser.add_argument("--program", action="store_true", help="there is a program")
parser.add_argument("--web", default="", help="the folder with the demo's pages")
args = parser.parse_args()

HOST_SOURCE = pathlib.Path(__file__).with_name("host.c")
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]


def fail(text):
    print(f"FAILED: {text}")
    sys.exit(1)


def run(command, env=None, **more):
    print("$", " ".join(map(str, command)), flush=True)
    result = subprocess.run(list(map(str, command)), env=env, check=False, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **more)
    print(result.stdout, flush=True)
    if result.returncode != 0:
        fail(f"it ended with {result.returncode}")
    return result.stdout


def symbols(library, *options):
    output = subprocess.run(["nm", "--defined-only", "--extern-only", *options, library],
                            capture_output=True, text=True, check=True).stdout
    found = [line.split() for line in output.splitlines()]
    # "A" is the name of the version itself.
    return {parts[2].split("@")[0] for parts in found if len(parts) == 3 and parts[1] != "A"}


class Installation:
    """A copy in `destdir`, seen through pkg-config as a program's makefile would."""

    def __init__(self, destdir):
        self.destdir = destdir
        self.top = pathlib.Path(str(destdir) + args.prefix)
        self.lib = self.top / args.libdir
        self.env = dict(os.environ, PKG_CONFIG_PATH=str(self.lib / "pkgconfig"),
                        PKG_CONFIG_SYSROOT_DIR=str(destdir))

    def flags(self, *options):
        return run(["pkg-config", *options, "--cflags", "--libs", "yomo"], self.env).split()

    def try_program(self, name, flags, language="c", defines=()):
        """Compile the host, run it, and give what it printed, as a dictionary."""
        where = pathlib.Path(tempfile.mkdtemp(prefix=name + "-", dir=self.destdir))
        program = where / name
        compiler = args.cc + ["-std=c11"] if language == "c" else args.cpp + ["-std=c++11"]
        run([*compiler, "-D_GNU_SOURCE", *WARNINGS, *(f"-D{d}" for d in defines),
             "-x", language, HOST_SOURCE, "-x", "none", "-o", program, *flags])
        state = where / "state"
        state.mkdir(mode=0o700)
        env = dict(os.environ, LD_LIBRARY_PATH=str(self.lib))
        needed = run(["readelf", "-dW", program])
        output = run([program, state], env, timeout=120)
        said = dict(line.split(": ", 1) for line in output.splitlines() if ": " in line)
        said["needed"] = [line.split("[")[1].rstrip("]") for line in needed.splitlines()
                          if "(NEEDED)" in line]
        if not said.get("yomo", "").startswith(args.version):
            fail(f"{name}: the library's version is not {args.version}")
        if f"OpenSSL {args.openssl}" not in said["yomo"]:
            fail(f"{name}: the library does not use OpenSSL {args.openssl}")
        if "connected" not in said:
            fail(f"{name}: did not connect")
        return said


def check_files(installation):
    missing = [str(path) for path in
               [installation.top / "include/yomo" / name for name in args.headers] +
               [installation.lib / "libyomo.so",
                installation.lib / f"libyomo.so.{args.soversion}",
                installation.lib / "pkgconfig/yomo.pc"] +
               ([installation.lib / "libyomo.a"] if args.static else []) +
               ([installation.top / "bin/yomo"] if args.program else [])
               if not path.exists()]
    if args.web:
        source = pathlib.Path(args.web)
        missing += [str(path) for path in source.rglob("*") if not
                    (installation.top / args.datadir / "yomo/web" /
                     path.relative_to(source)).exists()]
    if missing:
        fail("not installed: " + ", ".join(missing))


def check_shared(installation):
    dynamic = run(["readelf", "-dW", installation.lib / "libyomo.so"])
    if f"soname: [libyomo.so.{args.soversion}]" not in dynamic:
        fail(f"the soname is not libyomo.so.{args.soversion}")
    if "NODELETE" not in dynamic:
        fail("the shared library could be unloaded (-z nodelete is missing)")
    if "TEXTREL" in dynamic:
        fail("the shared library has text relocations")
    if args.private and ("libssl" in dynamic or "libcrypto" in dynamic):
        fail("the shared library links another OpenSSL")


def host_flags(*options):
    """What the host's own makefile would ask about the distribution's OpenSSL."""
    result = subprocess.run(["pkg-config", *options, "openssl"], check=False, text=True,
                            capture_output=True)
    if result.returncode != 0:
        fail("the distribution's OpenSSL headers are missing (libssl-dev)")
    return result.stdout.split()


def check_hosts_openssl(installation, flags, static):
    """Both OpenSSLs in one process, each seen by its own side only."""
    version = host_flags("--modversion")[0]
    dynamic = host_flags("--cflags", "--libs")
    archives = [{"-lssl": "-l:libssl.a", "-lcrypto": "-l:libcrypto.a"}.get(flag, flag)
                for flag in host_flags("--static", "--cflags", "--libs")]
    # The order of the libraries decides nothing.
    cases = [("host-shared", dynamic, flags), ("host-shared-last", flags, dynamic)]
    if args.static:
        cases += [("host-static", dynamic, static), ("host-static-last", static, dynamic)]
    if args.static and args.private:
        cases += [("host-archives", archives, static),
                  ("host-archives-last", static, archives)]
    for name, first, second in cases:
        said = installation.try_program(name, first + second, "c", ["HOST_OPENSSL"])
        if version not in said["host"] or said["host"] != said["host's headers"]:
            fail(f"{name}: the host's OpenSSL is not its own {version}")


def main():
    work = pathlib.Path(tempfile.mkdtemp(prefix="yomo-install-"))
    try:
        installation = Installation(work)
        run([*args.meson, "install", "-C", args.build, "--no-rebuild", "--quiet"],
            dict(os.environ, DESTDIR=str(work)))
        check_files(installation)
        check_shared(installation)
        if args.program:
            said = run([installation.top / "bin/yomo", "--version"])
            if args.version not in said or f"OpenSSL {args.openssl}" not in said:
                fail("the installed program does not know its version")
        exported = symbols(installation.lib / "libyomo.so", "-D")
        languages = ["c"] + (["c++"] if args.cpp else [])

        flags = installation.flags()
        for language in languages:
            said = installation.try_program("shared", flags, language)
            foreign = [name for name in said["needed"]
                       if not name.startswith(("libyomo.so.", "libc.so."))]
            if foreign and language == "c":
                fail(f"a program needs {', '.join(foreign)} beside the shared library")

        # As docs/embedding.md says for a machine that has both libraries.
        static = ["-l:libyomo.a" if flag == "-lyomo" else flag
                  for flag in installation.flags("--static")]
        check_hosts_openssl(installation, flags, static)

        if args.static:
            if symbols(installation.lib / "libyomo.a") != exported:
                fail("the static library shows other symbols than the shared one")
            for library in installation.lib.glob("libyomo.so*"):
                library.unlink()
            for language in languages:
                said = installation.try_program("static", installation.flags("--static"),
                                                language)
                if any(name.startswith("libyomo") for name in said["needed"]):
                    fail("the static program needs the shared library")
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print("all of it holds")


main()
