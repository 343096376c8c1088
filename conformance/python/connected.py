"""Ends when the hub says that so many devices are connected; asks over REST, with a token of its own making."""

import base64
import hashlib
import hmac
import http.client
import json
import ssl
import sys
import time
import urllib.parse

from check import env, holds, run

SECONDS = 60
PAUSE = 0.05


def token(host, policy, key):
    resource, expiry = urllib.parse.quote(host, safe=""), int(time.time()) + 3600
    signature = hmac.new(base64.b64decode(key), f"{resource}\n{expiry}".encode(), hashlib.sha256).digest()
    signature = urllib.parse.quote(base64.b64encode(signature), safe="")
    return f"SharedAccessSignature sr={resource}&sig={signature}&se={expiry}&skn={policy}"


def main():
    expected = int(sys.argv[1])
    parts = dict(part.split("=", 1) for part in env("HUB_CONNECTION_STRING").split(";"))
    host = parts["HostName"]
    headers = {"Authorization": token(host, parts["SharedAccessKeyName"], parts["SharedAccessKey"])}
    hub = http.client.HTTPSConnection(host, context=ssl.create_default_context(cafile=env("CA")))
    start, count = time.monotonic(), None
    while count != expected and time.monotonic() - start < SECONDS:
        if count is not None:
            time.sleep(PAUSE)
        hub.request("GET", "/statistics/service?api-version=2021-04-12", headers=headers)
        answer = hub.getresponse()
        body = answer.read()
        holds(answer.status == 200, f"{answer.status} {body.decode()} after {time.monotonic() - start:.2f} s")
        count = json.loads(body)["connectedDeviceCount"]
    holds(count == expected, f"{count} devices are connected, {expected} were to be within {SECONDS} s")


if __name__ == "__main__":
    run(main, SECONDS + 30)
