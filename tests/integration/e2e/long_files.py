# SPDX-License-Identifier: Apache-2.0
"""tessera multiply with files that may be long: started, watched, ended."""
import os
import re
import subprocess
import time

import harness
from harness import FilesCase

MIB = 1 << 20


class LongFiles(FilesCase):
    def setUp(self):
        super().setUp()
        self.a, self.b = self.path("A.npy"), self.path("B.npy")
        self.part, self.journal = self.c + ".part", self.c + ".journal"

    def start(self, *arguments, **keywords):
        environment = dict(os.environ)
        environment.pop("OPENBLAS_CORETYPE", None)
        process = subprocess.Popen(
            [harness.TESSERA, "multiply", self.a, self.b, "-o", self.c, *map(str, arguments)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, env=environment,
            **{"stderr": subprocess.PIPE, **keywords})
        self.addCleanup(self.end, process)
        return process

    @staticmethod
    def end(process):
        if process.poll() is None:
            process.kill()
            process.communicate()

    def finish(self, process, expected=0, seconds=120):
        stdout, stderr = process.communicate(timeout=seconds)
        self.assertEqual(process.returncode, expected, stderr)
        return stdout, stderr

    def run_to(self, expected, *arguments, **keywords):
        return self.finish(self.start(*arguments, **keywords), expected)

    def peak(self, process):
        """VmHWM, in bytes, looked at until the process ends."""
        most = 0
        while process.poll() is None:
            try:
                with open(f"/proc/{process.pid}/status", encoding="ascii") as status:
                    for line in status:
                        if line.startswith("VmHWM:"):
                            most = max(most, int(line.split()[1]) * 1024)
            except (FileNotFoundError, ProcessLookupError):
                break
            time.sleep(0.005)
        self.assertGreater(most, 0)
        return most

    def nothing_left(self):
        self.assertFalse(os.path.exists(self.part))
        self.assertFalse(os.path.exists(self.journal))

    def least(self, *arguments):
        """What the command itself says is enough."""
        _, stderr = self.run_to(1, "--memory-limit", "1M", *arguments)
        self.assertFalse(os.path.exists(self.c))
        self.nothing_left()
        self.assertIn("the limit is 1048576", stderr)
        return re.search(r"--memory-limit (\d+)M is enough", stderr).group(1) + "M"
