# SPDX-License-Identifier: Apache-2.0
"""tessera put, tessera blocks, and tessera multiply by name, with the bytes that the
command and two workers exchange: 4n² words for a product of n x n, 2n² by name."""
import json
import os

import numpy as np

import blocks
import harness
from harness import FilesCase, exact, integers, run_tessera
from counting_relay import Relay

N = 1024
WORDS = N * N * 4


def text_of(array):
    return "sha256:" + blocks.name_of(array).hex()


class Command(FilesCase):
    def done(self, *arguments):
        result = run_tessera(*arguments)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result

    def not_done(self, code, word, *arguments):
        result = run_tessera(*arguments)
        self.assertEqual((result.returncode, result.stdout), (code, ""), result.stderr)
        self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
        self.assertIn(word, result.stderr)
        self.assertFalse(os.path.exists(self.c))

    def product(self, a, b, *arguments):
        """Multiplies into C, which must be a times b."""
        result = self.done("multiply", *arguments, "-o", self.c)
        np.testing.assert_array_equal(np.load(self.c), exact(a, b))
        os.remove(self.c)
        return result


class Workers(Command):
    def setUp(self):
        super().setUp()
        self.workers = [harness.worker("--threads", "1") for _ in range(2)]
        self.relays = []
        self.places = []
        for worker in self.workers:
            self.addCleanup(worker.kill)
            self.relays.append(Relay(worker.url))
            self.addCleanup(self.relays[-1].close)
            self.places += ["--worker", self.relays[-1].url]

    def moves(self, to_workers, from_workers, command):
        """A command exchanges so many operands of n x n with the workers, within 1 %. On a busy
        machine tiles are computed twice: it is asked for up to 8 times."""
        for _ in range(8):
            for relay in self.relays:
                relay.zero()
            result = command()
            seen = [sum(getattr(relay, name) for relay in self.relays) / WORDS
                    for name in ("to_worker", "from_worker")]
            if all(abs(actual - wanted) < 0.01 * max(wanted, 1)
                   for actual, wanted in zip(seen, (to_workers, from_workers))):
                return result
        self.fail(f"{seen} n² words to and from workers, not {to_workers} and {from_workers}")

    def test_4_n_squared_and_2_by_name(self):
        a, b = integers(self.rng, N, N), integers(self.rng, N, N)
        a_file, b_file = self.save("A.npy", a), self.save("B.npy", b)
        self.moves(3, 1, lambda: self.product(a, b, a_file, b_file, *self.places))
        for relay in self.relays:
            relay.zero()
        result = self.done("put", b_file, *self.places)
        self.assertEqual(result.stdout, f"{text_of(b)} {N}x{N} float32 {b_file}\n")
        for relay in self.relays:
            self.assertLess(abs(relay.to_worker - WORDS), 0.01 * WORDS)
        # Held: not sent again.
        self.moves(0, 0, lambda: self.done("put", b_file, *self.places))
        name = text_of(b)
        self.moves(1, 1, lambda: self.product(a, b, a_file, name, *self.places))
        self.moves(1, 1, lambda: self.product(b, a, name, a_file, *self.places))
        self.moves(0, 1, lambda: self.product(b, b, name, name, *self.places))
        self.product(a.T, b, a_file, text_of(b), "--transpose-a", *self.places)
        self.product(a, b.T, a_file, text_of(b), "--transpose-b", *self.places)

    def test_workers_that_lack_it_are_left_out(self):
        a, b = integers(self.rng, 600, 500), integers(self.rng, 500, 400)
        a_file = self.save("A.npy", a)
        self.done("put", self.save("B.npy", b), *self.places[:2])
        result = self.product(a, b, a_file, text_of(b), *self.places)
        self.assertIn(f"{self.places[3]} does not hold {text_of(b)}", result.stderr)
        self.not_done(1, f"{self.places[3]} does not hold {text_of(b)}", "multiply", a_file,
                      text_of(b), "-o", self.c, *self.places[2:])
        self.done("blocks", self.places[1], "--drop", text_of(b))
        self.not_done(1, "does not hold", "multiply", a_file, text_of(b), "-o", self.c,
                      *self.places, "-q")

    def test_a_holder_that_is_gone(self):
        """The other holder computes all of it."""
        a, b = integers(self.rng, 1200, 1000), integers(self.rng, 1000, 900)
        a_file = self.save("A.npy", a)
        self.done("put", self.save("B.npy", b), *self.places)
        self.workers[1].kill()
        self.product(a, b, a_file, text_of(b), *self.places)


    def test_a_name_has_one_form(self):
        """What is put with another shape or type than it is held with is refused, and nobody
        multiplies what they did not put."""
        zeros = self.save("Z.npy", np.zeros((6, 4), "float32"))
        turned = self.save("T.npy", np.zeros((4, 6), "float32"))
        wide = self.save("W.npy", np.zeros((4, 3)))
        for place in self.places[:2], ["--server", self.served()]:
            self.done("put", zeros, *place)
            self.done("put", zeros, *place)
            name = text_of(np.zeros(24, "float32"))
            told = f"{place[1]} holds the same bytes as a matrix of 6 x 4 float32"
            self.not_done(1, told, "put", turned, *place)
            self.not_done(1, f"of 4 x 3 float64: a name has one form (tessera blocks {place[1]} "
                             f"--drop {name}", "put", wide, *place)
            self.done("blocks", place[1], "--drop", name)
            self.done("put", turned, *place)
            empty = self.save("E.npy", np.zeros((0, 5), "float32"))
            other = self.save("O.npy", np.zeros((7, 0), "float32"))
            self.done("put", empty, *place)
            self.not_done(1, "as a matrix of 0 x 5 float32", "put", other, *place)

    def served(self):
        server = harness.server("--mode", "serial")
        self.addCleanup(server.kill)
        return server.url

    def test_a_file_name_is_one_line(self):
        path = self.save("B\n\x1b[2J.npy", integers(self.rng, 2, 3))
        result = self.done("put", path, *self.places[:2])
        self.assertEqual(result.stdout.count("\n"), 1)
        self.assertIn("B??[2J.npy", result.stdout)
        out = self.path("C\n.npy")
        result = self.done("multiply", path, path, "--transpose-b", "--local", "-o", out)
        self.assertEqual(result.stdout.count("\n"), 1)


class Server(Command):
    def setUp(self):
        super().setUp()
        self.server = harness.server("--mode", "serial", "--cache-bytes", "1M")
        self.addCleanup(self.server.kill)
        self.place = ["--server", self.server.url]

    def test_put_and_multiply(self):
        for dtype in ("float32", "float64"):
            a, b = integers(self.rng, 70, 80, dtype), integers(self.rng, 80, 90, dtype)
            a_file = self.save("A.npy", a)
            b_file = self.save("B.npy", np.asfortranarray(b))  # the name is of its rows
            line = json.loads(self.done("put", b_file, "--json", *self.place).stdout)
            self.assertEqual(line, {"block": text_of(b), "rows": 80, "cols": 90, "dtype": dtype})
            self.product(a, b, a_file, line["block"], *self.place)
            self.product(a, b, a_file, "sha256:" + line["block"][7:].upper(), *self.place)

    def test_the_file_is_converted_to_what_is_held(self):
        a, b = integers(self.rng, 40, 50, "float64"), integers(self.rng, 50, 60)
        a_file, b_file = self.save("A.npy", a), self.save("B.npy", b)
        name = self.done("put", b_file, *self.place).stdout.split()[0]
        self.done("multiply", a_file, name, "-o", self.c, *self.place)
        self.assertEqual(np.load(self.c).dtype, np.float32)
        os.remove(self.c)
        self.not_done(1, "is held as float32", "multiply", a_file, name, "--dtype", "float64", "-o",
                      self.c, *self.place)
        wide = self.done("put", b_file, "--dtype", "float64", *self.place).stdout.split()[0]
        self.assertEqual(wide, text_of(b.astype("float64")))
        self.product(a, b.astype("float64"), a_file, wide, *self.place)
        self.not_done(1, "is held as", "multiply", name, wide, "--transpose-a", "-o", self.c,
                      *self.place)

    def test_list_and_drop(self):
        matrices = [integers(self.rng, 10 + i, 20) for i in range(3)]
        files = [self.save(f"{i}.npy", matrix) for i, matrix in enumerate(matrices)]
        self.done("put", *files, *self.place)
        lines = self.done("blocks", self.server.url).stdout.splitlines()
        self.assertEqual(lines[:3], [f"{text_of(m)} {m.shape[0]}x20 float32 {m.nbytes}"
                                     for m in reversed(matrices)])
        self.assertTrue(lines[3].startswith("3 blocks, "), lines[3])
        self.done("blocks", self.server.url, "--drop", text_of(matrices[0]), "--drop",
                  text_of(matrices[2]))
        listed = [json.loads(line) for line in
                  self.done("blocks", self.server.url, "--json").stdout.splitlines()]
        self.assertEqual(listed, [{"block": text_of(matrices[1]), "rows": 11, "cols": 20,
                                   "dtype": "float32", "bytes": 880}])
        self.not_done(1, "does not hold", "blocks", self.server.url, "--drop",
                      text_of(matrices[0]))

    def test_what_goes_wrong(self):
        a_file = self.save("A.npy", integers(self.rng, 30, 30))
        name = "sha256:" + "ab" * 32
        self.not_done(1, f"does not hold {name}: put it there first", "multiply", a_file, name, "-o",
                      self.c, *self.place)
        self.not_done(1, "budget of blocks", "put",
                      self.save("large.npy", integers(self.rng, 600, 600)), *self.place)
        self.not_done(1, "No such file", "put", self.path("none.npy"), *self.place)
        other = harness.free_port()
        self.not_done(1, f"127.0.0.1:{other}", "put", a_file, "--server",
                      f"http://127.0.0.1:{other}")
        # One place or file that fails keeps nothing from the others.
        again = run_tessera("put", self.path("none.npy"), a_file, "--server", f"http://127.0.0.1:{other}",
                            *self.place)
        self.assertEqual(again.returncode, 1)
        self.assertRegex(again.stdout, "^sha256:[0-9a-f]{64} 30x30 float32 ")
        self.assertIn("is held at 1 of 2 places", again.stderr)
        for arguments, word in (
                (("multiply", a_file, "sha256:12", "-o", self.c, *self.place), "64 hexadecimal"),
                (("multiply", a_file, name[:-1] + "g", "-o", self.c, *self.place), "hexadecimal"),
                (("multiply", name, a_file, "-o", self.c, "--local"), "is not here"),
                (("put", a_file), "say where"),
                (("put", *self.place), "takes a matrix"),
                (("put", "B.txt", *self.place), "must end in"),
                (("put", a_file, "--dtype", "int8", *self.place), "--dtype"),
                (("put", a_file, "--server"), "needs a value"),
                (("put", a_file, "--lost", *self.place), "unknown option"),
                (("blocks",), "takes one URL"),
                (("blocks", self.server.url, "--drop", "x"), "--drop takes sha256:"),
                (("blocks", self.server.url, "--lost"), "unknown option")):
            self.not_done(2, word, *arguments)

    def test_help(self):
        for command in ("put", "blocks"):
            text = self.done(command, "--help").stdout
            self.assertTrue(text.startswith(f"Usage: tessera {command} "), text)
            self.assertIn(f"  {command} ", self.done("help").stdout)


if __name__ == "__main__":
    harness.main()
