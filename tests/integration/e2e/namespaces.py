# SPDX-License-Identifier: Apache-2.0
"""For test files that run in Linux namespaces of their own; no root needed."""
import os
import shutil
import subprocess
import sys

INSIDE = "TESSERA_TEST_NAMESPACES_INSIDE"
os.environ["PATH"] = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"  # where ip and tc are


def enter(flags, probe, tools=()):
    """Runs this program again in them, unless it is there already: flags are unshare's. Skips (77) where there
    may be none, where a tool is missing or the command `probe` fails inside."""
    if INSIDE in os.environ:
        return
    command = ["unshare", "--map-root-user", *flags, "--"]
    if not all(shutil.which(name) for name in ("unshare", *tools)) or \
            subprocess.run([*command, *probe], stdin=subprocess.DEVNULL, timeout=20).returncode != 0:
        print("no namespaces here: skipped")
        sys.exit(77)
    os.environ[INSIDE] = "1"
    os.execvp(command[0], [*command, sys.executable, *sys.argv])
