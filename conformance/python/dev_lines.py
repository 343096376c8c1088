"""What a newcomer does: starts `dev`, pastes the lines it prints, and looks for the messages at the hub.

Both forms: everything in one process, and the emulator and the bridge as two. The lines are run by a shell as they stand.
"""

import os
import pathlib
import queue
import shlex
import shutil
import signal
import subprocess
import threading
import time

from check import holds, run, same

ROOT = pathlib.Path(__file__).resolve().parents[2]
START = shlex.join([os.environ["DRAWSPAN"], "dev"])
RECEIVED = ["received message", "received method blink", "received desired properties"]
BODIES = ['{"temperature": 21.5}', '{"pressure": 1.013}']


class Program:
    """A line of shell that keeps running; its output line by line."""

    def __init__(self, line):
        self.line = line
        self.process = subprocess.Popen(
            line, shell=True, cwd=ROOT, stdout=subprocess.PIPE, stderr=None, text=True, start_new_session=True
        )
        self.lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))
        self.lines.put(None)

    def until(self, wanted, seconds=60):
        """Lines up to the first that is wanted, that one included."""
        seen, end = [], time.monotonic() + seconds
        while True:
            try:
                line = self.lines.get(timeout=max(0.01, end - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"`{self.line}` did not print what was wanted; it printed {seen}") from None
            if line is None:
                raise AssertionError(f"`{self.line}` ended; it printed {seen}")
            seen.append(line)
            if wanted(line):
                return seen

    def end(self):
        os.killpg(self.process.pid, signal.SIGINT)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            raise AssertionError(f"`{self.line}` does not end on Ctrl-C") from None


def paste(line):
    """Runs a curl line; the status it shows."""
    done = subprocess.run(line, shell=True, cwd=ROOT, capture_output=True, text=True, timeout=60)
    holds(done.returncode == 0, f"`{line}` runs")
    return done.stdout.splitlines()[0]


def kind(line):
    """What a line runs: curl, or one of this program's commands, whose path comes first."""
    words = line.split()
    return words[0] if words[0] == "curl" else words[1]


def pasted_and_seen(curls, hub):
    for line, body in zip(curls, BODIES):
        same(paste(line), "HTTP/1.1 200 OK", "status")
        shown = hub.until(lambda text: body in text)[-1]
        holds("sensor-" in shown, f"at the hub: {shown}")


def main():
    dev = Program(START)
    printed = dev.until(lambda line: line == "ready")
    lines = [line[2:] for line in printed if line.startswith("  ")]
    kinds = [kind(line) for line in lines]
    same(kinds, ["curl", "curl", "hub", "hub", "hub", "emulator", "serve", "curl"], "kinds of lines")
    pasted_and_seen(lines[:2], dev)
    for line, received in zip(lines[2:5], RECEIVED):
        done = subprocess.run(line, shell=True, cwd="/", capture_output=True, text=True, timeout=60)
        holds(done.returncode == 0, f"`{line}` runs: {done.stderr}")
        dev.until(lambda text: received in text)
    dev.end()
    two_processes(lines[5], lines[6], lines[7:])


def two_processes(emulator_line, serve_line, curls):
    state = ROOT / "drawspan-state"
    existed = state.exists()
    emulator = Program(emulator_line)
    try:
        emulator.until(lambda line: line == "ready")
        bridge = Program(serve_line)
        bridge.until(lambda line: line == "ready")
        pasted_and_seen(curls, emulator)
        bridge.end()
        emulator.end()
    finally:
        if not existed:
            shutil.rmtree(state, ignore_errors=True)


run(main, 1_000)
