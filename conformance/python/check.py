"""Assertions that print what they saw, and the frame of every script: exit 0 when all held, 1 otherwise."""

import os
import sys
import threading
import traceback


PRINTING = threading.Lock()


def env(name):
    """A required environment variable."""
    value = os.environ.get(name)
    if not value:
        raise SystemExit(f"environment variable {name} is not set; start this through cargo xtask conformance")
    return value


def same(actual, expected, what):
    """Strict equality, types included, printed when it holds."""
    if type(actual) is not type(expected) or actual != expected:
        raise AssertionError(f"{what}: saw {show(actual)}, expected {show(expected)}")
    say(f"  {what} = {show(actual)}")


def holds(condition, what):
    """A condition, printed when it holds."""
    if not condition:
        raise AssertionError(what)
    say(f"  {what}")


def capability(column, name, error=None):
    """Says what was asserted, for the table of docs/compatibility.md, or which class of error the client raised."""
    # On a line of its own, even where the SDK prints in a thread without an end of line.
    say("\n" + line(column, name, error))


def line(column, name, error=None):
    return f"capability: {column}: {name}" + ("" if error is None else f": {error}")


def say(text):
    """Prints a line by one write, so that it stays whole where several threads print."""
    with PRINTING:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()


def show(value):
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}… ({len(text)} characters)"


def run(main, seconds=120):
    """Runs `main`, bounds it in time, and turns its outcome into the exit status."""

    def give_up():
        print(f"FAILED: no end after {seconds} s", file=sys.stderr, flush=True)
        os._exit(1)

    timer = threading.Timer(seconds, give_up)
    timer.daemon = True
    timer.start()
    status = 1
    try:
        main()
        print("ok", flush=True)
        status = 0
    except BaseException:
        traceback.print_exc()
        print("FAILED", file=sys.stderr, flush=True)
    sys.stdout.flush()
    sys.stderr.flush()
    # Client libraries leave threads behind; what had to hold has held, or not.
    os._exit(status)
