# SPDX-License-Identifier: Apache-2.0
"""The tessera command in its tests: run to its end, and what it leaves behind. Files are
written and read by NumPy and by hand, never by the command."""
import os

import harness
from harness import FilesCase, run_tessera


class Files(FilesCase):
    def write(self, name, data):
        with open(self.path(name), "wb") as file:
            file.write(data if isinstance(data, bytes) else data.encode())
        return self.path(name)

    def done(self, *arguments, **keywords):
        result = run_tessera("multiply", *arguments, **keywords)
        self.assertEqual((result.returncode, self.leftovers()), (0, []), result.stderr)
        return result

    def leftovers(self):
        return [name for name in os.listdir(self.folder) if name.startswith(".")]

    def not_done(self, code, word, *arguments, **keywords):
        """Fails in one line that holds the word, and leaves nothing behind."""
        result = run_tessera(*arguments, **keywords)
        self.assertEqual(result.returncode, code, result.stderr)
        self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
        self.assertTrue(result.stderr.startswith("tessera: "), result.stderr)
        self.assertIn(word, result.stderr)
        self.assertEqual(result.stdout, "")
        self.assertEqual(self.leftovers(), [])
        return result


class Workers(Files):
    """Two workers with a thread each."""

    @classmethod
    def setUpClass(cls):
        cls.workers = [harness.worker("--threads", "1"), harness.worker("--threads", "1")]
        for program in cls.workers:
            cls.addClassCleanup(program.kill)

    def everywhere(self):
        yield ["--server", self.workers[0].url]  # a worker is a server of one
        yield ["--worker", self.workers[0].url]
        yield ["--worker", self.workers[0].url, "--worker", self.workers[1].url]
