"""Holds when the emulator's DPS has taken just as many registrations as an argument says: each device registered once."""

import http.client
import json
import ssl
import sys

from check import env, holds, run


def main():
    expected = int(sys.argv[1])
    emulator = http.client.HTTPSConnection(env("HUB"), context=ssl.create_default_context(cafile=env("CA")))
    emulator.request("GET", "/emulator/observations")
    answer = emulator.getresponse()
    body = answer.read()
    holds(answer.status == 200, f"{answer.status} {body.decode()}")
    count = json.loads(body)["dps"]["registrations"]
    holds(count == expected, f"{count} registrations at DPS, {expected} expected")


if __name__ == "__main__":
    run(main, 30)
