# SPDX-License-Identifier: Apache-2.0
"""The module's float32 kernel against tfjs-backend-wasm, in Node, Chromium and Firefox, one thread."""
import http.server
import json
import pathlib
import shutil
import subprocess
import tempfile
import threading

from harness import BIN, ROOT, Report, environment, median, output

HERE = pathlib.Path(__file__).resolve().parent
WORK = ROOT / "build/bench/kernel"
N = 1024
PACKAGES = WORK / "node_modules/@tensorflow"
TYPES = {".html": "text/html", ".mjs": "text/javascript", ".js": "text/javascript", ".wasm": "application/wasm"}
CHROMIUM = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync"]


def prepare():
    """The contest's files and its peer from npm, in one folder."""
    WORK.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "contest.mjs", "node.mjs", "page.html"):
        shutil.copy(HERE / name, WORK / name)
    shutil.rmtree(WORK / "js", ignore_errors=True)
    shutil.copytree(ROOT / "wasm/js", WORK / "js")
    shutil.copy(BIN / "tessera-module.wasm", WORK / "module.wasm")
    if not PACKAGES.exists():
        subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=WORK, check=True,
                       stdout=subprocess.DEVNULL)


class Site:
    """Serves the contest on a free port and waits for the page's result."""

    def __init__(self):
        self.result, self.arrived = None, threading.Event()
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                name = self.path.partition("?")[0].lstrip("/")
                places = [WORK / name, PACKAGES / "tfjs-core/dist" / name, PACKAGES / "tfjs-backend-wasm/dist" / name]
                found = [place for place in places if place.is_file() and ".." not in name]
                self.send_response(200 if found else 404)
                body = found[0].read_bytes() if found else b""
                self.send_header("content-type", TYPES.get(pathlib.Path(name).suffix, "text/plain"))
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self):
                site.result = json.loads(self.rfile.read(int(self.headers["content-length"])))
                self.send_response(204)
                self.end_headers()
                site.arrived.set()

            def log_message(self, *unused):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"


def in_browser(command, rounds):
    site = Site()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        url = f"{site.url}/page.html?n={N}&rounds={rounds}"
        process = subprocess.Popen([*command(profile), url], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                   env=environment())
        arrived = site.arrived.wait(180)
        process.terminate()
        process.wait(20)
    site.server.shutdown()
    if not arrived or "error" in site.result:
        raise SystemExit(f"{command(profile)[0]}: {site.result or 'no result'}")
    return site.result


def kernel(rounds=25):
    prepare()
    report = Report("kernel", f"the module's float32 kernel, {N} x {N} x {N}, one thread, against tfjs-backend-wasm 4.22")
    engines = {"Node": lambda: json.loads(output("node", WORK / "node.mjs", WORK / "module.wasm", N, rounds, timeout=300))}
    if shutil.which("chromium"):
        engines["Chromium"] = lambda: in_browser(lambda p: ["chromium", *CHROMIUM, f"--user-data-dir={p}"], rounds)
    if shutil.which("firefox-esr"):
        engines["Firefox"] = lambda: in_browser(
            lambda p: ["firefox-esr", "--headless", "--no-remote", "--profile", p], rounds)
    gigaflop = 2 * N**3 / 1e6
    for name, run in engines.items():
        result = run()
        ours, whole, theirs = (median(result[key]) for key in ("kernel", "whole", "tfjs"))
        report.row(f"{name}: tfjs matMul", gigaflop / theirs, "GFLOP/s", [gigaflop / v for v in result["tfjs"]])
        report.row(f"{name}: module's kernel", gigaflop / ours, "GFLOP/s", [gigaflop / v for v in result["kernel"]])
        report.row(f"{name}: whole Multiply call", gigaflop / whole, "GFLOP/s", [gigaflop / v for v in result["whole"]])
        report.claim(f"kernel against tfjs in {name}", theirs / ours, 1.2)
    report.save()


BENCHMARKS = {"kernel": kernel}
