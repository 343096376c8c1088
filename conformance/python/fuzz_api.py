"""schemathesis over /openapi.json: no 500, no status, header, content type or body that is not described, and wrong requests refused."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from check import env, run

# Examples per operation: what fits into a run of everything, and what is worth a wait.
USUAL, LONG = "12", "400"
SECONDS = {USUAL: 90, LONG: 3600}


def main(examples):
    here = Path(__file__).parent
    command = [
        Path(sys.prefix) / "bin" / "schemathesis",
        "--config-file",
        here / "schemathesis.toml",
        "run",
        f"{env('BRIDGE_URL')}/openapi.json",
        "--header",
        f"x-api-key: {env('BRIDGE_API_KEY')}",
        "--max-examples",
        examples,
        "--max-time",
        str(SECONDS[examples]),
        "--seed",
        "20261122",
        "--generation-database",
        "none",
        "--no-color",
    ]
    variables = {**os.environ, "SCHEMATHESIS_HOOKS": str(here / "schemathesis_hooks.py")}
    # It remembers failures where it runs, and would begin with them the next time.
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(command, check=True, env=variables, cwd=folder)


EXAMPLES = LONG if "long" in sys.argv[1:] else USUAL
run(lambda: main(EXAMPLES), SECONDS[EXAMPLES] + 240)
