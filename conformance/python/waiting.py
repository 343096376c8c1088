"""Prints how many messages wait at the hub for the devices that the arguments name."""

import http.client
import json
import ssl
import sys

from check import env, holds, run
from connected import token


def main():
    parts = dict(part.split("=", 1) for part in env("HUB_CONNECTION_STRING").split(";"))
    host = parts["HostName"]
    headers = {"Authorization": token(host, parts["SharedAccessKeyName"], parts["SharedAccessKey"])}
    hub = http.client.HTTPSConnection(host, context=ssl.create_default_context(cafile=env("CA")))
    waiting = 0
    for device in sys.argv[1:]:
        hub.request("GET", f"/devices/{device}?api-version=2021-04-12", headers=headers)
        answer = hub.getresponse()
        body = answer.read()
        holds(answer.status == 200, f"{device}: {answer.status}")
        waiting += json.loads(body)["cloudToDeviceMessageCount"]
    print(f"  {waiting} messages wait", flush=True)


if __name__ == "__main__":
    run(main, 60)
