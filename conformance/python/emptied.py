"""The hub's own word: nothing waits for any device, and there are as many of them as were told."""

import http.client
import json
import ssl
import sys
import time

from check import env, holds, run
from connected import token

SECONDS = 60
PAUSE = 0.2


def main():
    expected = int(sys.argv[1])
    parts = dict(part.split("=", 1) for part in env("HUB_CONNECTION_STRING").split(";"))
    host = parts["HostName"]
    headers = {"Authorization": token(host, parts["SharedAccessKeyName"], parts["SharedAccessKey"])}
    hub = http.client.HTTPSConnection(host, context=ssl.create_default_context(cafile=env("CA")))
    start, waiting = time.monotonic(), None
    while waiting != 0 and time.monotonic() - start < SECONDS:
        if waiting is not None:
            time.sleep(PAUSE)
        hub.request("GET", f"/devices?top={expected + 1}&api-version=2021-04-12", headers=headers)
        answer = hub.getresponse()
        body = answer.read()
        holds(answer.status == 200, f"{answer.status} {body.decode()}")
        devices = json.loads(body)
        holds(len(devices) == expected, f"{len(devices)} devices, {expected} expected")
        waiting = sum(device["cloudToDeviceMessageCount"] for device in devices)
    holds(waiting == 0, f"{waiting} messages still wait at the hub after {SECONDS} s")


if __name__ == "__main__":
    run(main, SECONDS + 30)
