# SPDX-License-Identifier: Apache-2.0
"""4096 x 4096 through the native paths, exactly: one worker, the controller in the
command, tessera-server with the native engine and with JavaScriptCore."""
import os
import tempfile

import numpy as np

import harness
from harness import Case, exact, integers

N = 4096


class Large(Case):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="tessera-large-")
        cls.addClassCleanup(folder.cleanup)
        cls.paths = [os.path.join(folder.name, name) for name in ("A.npy", "B.npy", "C.npy")]
        rng = np.random.default_rng(4096)
        a, b = integers(rng, N, N), integers(rng, N, N)
        np.save(cls.paths[0], a)
        np.save(cls.paths[1], b)
        cls.expected = exact(a, b)
        cls.workers = [harness.worker("--threads", "1") for _ in range(2)]
        for program in cls.workers:
            cls.addClassCleanup(program.kill)

    def multiply(self, *where):
        result = harness.run_tessera("multiply", *self.paths[:2], "-o", self.paths[2], *where,
                                     timeout=300)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        np.testing.assert_array_equal(np.load(self.paths[2]), self.expected)
        os.unlink(self.paths[2])

    def test_local(self):
        self.multiply("--local")

    def test_one_worker(self):
        self.multiply("--server", self.workers[0].url)

    def test_two_workers(self):
        self.multiply("--worker", self.workers[0].url, "--worker", self.workers[1].url)

    def through(self, engine):
        arguments = [part for program in self.workers for part in ("--worker", program.url)]
        with harness.server("--engine", engine, "--mode", "proxy", *arguments) as program:
            self.multiply("--server", program.url)

    def test_server_native(self):
        self.through("native")

    def test_server_jsc(self):
        self.through("jsc")


if __name__ == "__main__":
    harness.main()
