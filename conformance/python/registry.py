"""The hub's registry, asked by its owner over REST."""

import base64
import hashlib
import hmac
import http.client
import json
import ssl
import time
import urllib.parse

from check import env, same


def ask(method, path, body=None, headers=()):
    """The registry's answer, which must be a good one."""
    parts = dict(part.split("=", 1) for part in env("HUB_CONNECTION_STRING").split(";"))
    resource, expiry = urllib.parse.quote(parts["HostName"], safe=""), int(time.time()) + 600
    key = base64.b64decode(parts["SharedAccessKey"])
    signature = base64.b64encode(hmac.new(key, f"{resource}\n{expiry}".encode(), hashlib.sha256).digest())
    token = f"SharedAccessSignature sr={resource}&sig={urllib.parse.quote(signature, safe='')}&se={expiry}&skn=iothubowner"
    registry = http.client.HTTPSConnection(parts["HostName"], context=ssl.create_default_context(cafile=env("CA")))
    headers = {"Authorization": token, "Content-Type": "application/json", **dict(headers)}
    registry.request(method, f"{path}?api-version=2021-04-12", None if body is None else json.dumps(body), headers)
    answer = registry.getresponse()
    same(answer.status, 200, f"status of {method} {path}")
    return json.loads(answer.read())


def create(device):
    """A new device with keys that the hub makes."""
    return ask("PUT", f"/devices/{device}", {"deviceId": device})


def disable(device):
    """A device that may not connect any more."""
    record = ask("GET", f"/devices/{device}")
    ask("PUT", f"/devices/{device}", {**record, "status": "disabled"}, {"If-Match": '"*"'})


def generation_id(device):
    """Which of the devices of that name it is."""
    return ask("GET", f"/devices/{device}")["generationId"]
