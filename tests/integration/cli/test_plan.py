# SPDX-License-Identifier: Apache-2.0
"""tessera plan: what it tells is held against the arithmetic and against what is done."""
import json
import subprocess

import numpy as np

import fake_worker
import harness
from command import Workers
from harness import integers, run_tessera


class Plan(Workers):
    def plan(self, *arguments):
        result = run_tessera("plan", *arguments, "--json", "--link", "1000")
        self.assertEqual(result.returncode, 0, result.stderr)
        return json.loads(result.stdout), result.stderr

    def test_a_plan_covers_the_product_and_counts_its_bytes(self):
        urls = [worker.url for worker in self.workers]
        where = [word for url in urls for word in ("--worker", url)]
        for m, n, k, options in [(4096, 4096, 4096, []), (5000, 300, 700, ["--watched"]),
                                 (300, 300, 200000, []), (1, 1, 1, []),
                                 (900, 800, 700, ["--dtype", "float64", "--add", "--watched"])]:
            plan, _ = self.plan(str(m), str(n), str(k), *where, *options)
            size = 8 if "float64" in options else 4
            cells = np.zeros((m, n), dtype=np.int64)
            out = back = 0
            for tile in plan["tiles"]:
                rows = slice(tile["row"], tile["row"] + tile["rows"])
                cols = slice(tile["col"], tile["col"] + tile["cols"])
                cells[rows, cols] += tile["depth"]
                out += (tile["rows"] + tile["cols"]) * tile["depth"] * size
                back += tile["rows"] * tile["cols"] * size
                if "--add" in options and tile["depth"] == k:  # parts carry no C0
                    out += tile["rows"] * tile["cols"] * size
                self.assertIn(tile["worker"], urls)
            self.assertTrue((cells == k).all())
            self.assertEqual((plan["bytesOutUnkept"], plan["bytesIn"]), (out, back))
            self.assertLessEqual(plan["bytesOut"], out)
            matrices = (m * k + k * n + m * n * (2 if "--add" in options else 1)) * size
            self.assertEqual(plan["matricesBytes"], matrices)
            self.assertGreater(plan["peakBytes"], matrices)
            self.assertGreater(plan["ms"], 0)
            self.assertEqual(sum(w["flops"] for w in plan["workers"]), 2 * m * n * k)

    def test_the_plan_is_what_is_done(self):
        a, b = integers(self.rng, 1200, 900), integers(self.rng, 900, 1100)
        where = ["--worker", self.workers[0].url, "--worker", self.workers[1].url]
        plan, _ = self.plan("1200", "1100", "900", *where)
        result = self.done(self.save("A.npy", a), self.save("B.npy", b), "-o", self.c, *where,
                           "--stats", self.path("stats.json"))
        with open(self.path("stats.json"), encoding="utf-8") as file:
            stats = json.load(file)
        self.assertIn(f"{len(plan['tiles'])} tiles", result.stdout)
        self.assertEqual(stats["tiles"], len(plan["tiles"]))
        if stats.get("retries", 0) == stats.get("backups", 0) == 0:  # nothing was moved twice
            self.assertEqual(int(stats["bytesSent"]), plan["bytesOut"])
            self.assertEqual(int(stats["bytesReceived"]), plan["bytesIn"])

    def test_a_plan_without_some_workers_or_any(self):
        gone = f"http://127.0.0.1:{harness.free_port()}"
        plan, errors = self.plan("500", "500", "500", "--worker", gone, "--worker",
                                 self.workers[0].url)
        self.assertIn(f"note: {gone} does not answer", errors)
        self.assertEqual({tile["worker"] for tile in plan["tiles"]}, {self.workers[0].url})
        result = run_tessera("plan", "5", "5", "5", "--worker", gone)
        self.assertEqual((result.returncode, result.stdout), (1, ""))
        self.assertIn("no worker answers", result.stderr)

    def test_a_plan_with_an_odd_url(self):
        odd = "/it's,{a}&[b]<c>|`$^;*"  # as odd as URLs of workers may be
        with fake_worker.FakeWorker(fake_worker.honest, odd) as fake:
            plan, _ = self.plan("50", "60", "70", "--worker", fake.url)
        self.assertEqual([worker["url"] for worker in plan["workers"]], [fake.url])
        self.assertEqual({tile["worker"] for tile in plan["tiles"]}, {fake.url})

    def test_a_plan_that_nobody_reads(self):
        with open("/dev/full", "w", encoding="utf-8") as full:
            result = subprocess.run([harness.TESSERA, "plan", "5", "5", "5", "--json", "--link", "1000",
                                     "--worker", self.workers[0].url], stdout=full,
                                    stderr=subprocess.PIPE, text=True, timeout=60)
        self.assertEqual((result.returncode, result.stderr),
                         (1, "tessera: the output could not be written\n"))

    def test_a_plan_of_a_file_and_its_links(self):
        listed = self.write("workers", f"# two\n{self.workers[0].url}\n{self.workers[1].url}\n")
        result = run_tessera("plan", "2000", "2000", "2000", "--workers-file", listed)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertRegex(result.stdout, r"\A2000 x 2000 x 2000 float32, 16 Gflop: 2 tiles on 2 workers\n")
        self.assertRegex(result.stdout, r"(?m)^bytes out +\d+ MB, \d\.\d\d times the least")
        self.assertRegex(result.stdout, r"(?m)^time .*by the links as measured just now$")

    def test_wrong_plans(self):
        worker = ["--worker", self.workers[0].url]
        for arguments in (["0", "1", "1", *worker], ["1", "1", *worker], ["1", "1", "x", *worker],
                          ["2147483648", "1", "1", *worker], ["1", "1", "1"],
                          [*["2147483647"] * 3, *worker], ["1", "1", "1", "--worker", "ftp://a"],
                          ["1", "1", "1", "--worker", 'http://a/"'],
                          ["1", "1", "1", "--worker", "http://a/\x01"],
                          ["1", "1", "1", "--worker", "http://a/\u00e9"],
                          ["1", "1", "1", *worker, "--dtype", "int8"]):
            self.not_done(2, "", "plan", *arguments)
        self.not_done(1, "none", "plan", "1", "1", "1", "--workers-file", self.path("none"))


if __name__ == "__main__":
    harness.main()
