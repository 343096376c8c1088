"""What a newcomer pastes from docs/emulator.md, in an empty folder: a Node device, a Python device and a service.

The block runs as it stands, but for the two lines that install packages, for which there is no registry here: the packages of the lock
files take their place.
"""

import os
import pathlib
import subprocess
import sys
import tempfile

from check import holds, run, same

ROOT = pathlib.Path(__file__).resolve().parents[2]
HEADING = "## A Node device, a Python device and a service"
LINES_MAX = 10


def block():
    """The lines of the first block of shell under the heading."""
    text = (ROOT / "docs" / "emulator.md").read_text()
    _, after = text.split(HEADING, 1)
    lines = after.split("```sh\n", 1)[1].split("```", 1)[0].splitlines()
    holds(0 < len(lines) <= LINES_MAX, f"{len(lines)} lines")
    return lines


def here(line):
    """The line, with packages that are there already."""
    if line.startswith("npm install "):
        modules = ROOT / "target" / "conformance" / "node" / "node_modules"
        names = line.split()[2:]
        holds(all((modules / name).is_dir() for name in names), f"installed: {names}")
        return f"ln -s {modules} node_modules"
    if line.startswith("python3 -m venv venv && venv/bin/pip install azure-iot-device"):
        return f"ln -s {sys.prefix} venv"
    return line


def main():
    lines = block()
    replaced = [here(line) for line in lines]
    same(sum(old != new for old, new in zip(lines, replaced)), 2, "lines that install")
    program = pathlib.Path(os.environ["DRAWSPAN"]).resolve()
    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / "bin").mkdir()
        (pathlib.Path(folder) / "bin" / "drawspan").symlink_to(program)
        done = subprocess.run(
            ["bash", "-c", "\n".join(replaced)],
            cwd=folder,
            env=os.environ | {"PATH": f"{folder}/bin:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            timeout=120,
        )
        log = (pathlib.Path(folder) / "hub.log").read_text()
    for text in ["received hello from the service", "hello from Node", "hello from Python"]:
        holds(text in done.stdout, f"`{text}` in {done.stdout} {done.stderr} {log}")


run(main, 1_000)
