"""The back end of a script's devices: the hub's registry, asked by its owner over REST, `drawspan hub`, and what it takes to be a device."""

import base64
import hashlib
import hmac
import http.client
import json
import os
import pathlib
import ssl
import subprocess
import time
import urllib.parse

from check import env, same


def ask(method, path, body=None, headers=()):
    """The registry's answer, which must be a good one."""
    parts = dict(part.split("=", 1) for part in env("HUB_CONNECTION_STRING").split(";"))
    token = sas(parts["HostName"], parts["SharedAccessKey"], policy="iothubowner")
    registry = http.client.HTTPSConnection(parts["HostName"], context=ssl.create_default_context(cafile=env("CA")))
    headers = {"Authorization": token, "Content-Type": "application/json", **dict(headers)}
    registry.request(method, f"{path}?api-version=2021-04-12", None if body is None else json.dumps(body), headers)
    answer = registry.getresponse()
    same(answer.status, 200, f"status of {method} {path}")
    return json.loads(answer.read())


def create(device):
    """A new device, with keys that the hub makes."""
    return ask("PUT", f"/devices/{device}", {"deviceId": device})


def disable(device):
    """A device that may not connect any more."""
    record = ask("GET", f"/devices/{device}")
    ask("PUT", f"/devices/{device}", {**record, "status": "disabled"}, {"If-Match": '"*"'})


def record(device):
    """What the registry knows of a device."""
    return ask("GET", f"/devices/{device}")


def hub(*arguments):
    """What `drawspan hub` prints."""
    environment = {
        **os.environ,
        "DRAWSPAN_SERVICE_CONNECTION_STRING": env("HUB_CONNECTION_STRING"),
        "DRAWSPAN_CA": env("CA"),
    }
    command = [env("DRAWSPAN"), "hub", *arguments]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=60)
    return done.stdout


def invoked(device, method, payload):
    """What a device answered to a call of `drawspan hub`."""
    printed = hub("invoke", device, method, payload)
    found = json.loads(printed[printed.index("{") :])
    return found.get("payload", found)


def sas(resource, key, life_s=600, policy=None):
    """A token for a resource."""
    resource, expiry = urllib.parse.quote(resource, safe=""), int(time.time()) + life_s
    signature = hmac.new(base64.b64decode(key), f"{resource}\n{expiry}".encode(), hashlib.sha256).digest()
    token = f"SharedAccessSignature sr={resource}&sig={urllib.parse.quote(base64.b64encode(signature), safe='')}&se={expiry}"
    return token if policy is None else f"{token}&skn={policy}"


def derived(device):
    """The key that a device of the enrollment group has."""
    group = base64.b64decode(env("GROUP_KEY"))
    return base64.b64encode(hmac.new(group, device.encode(), hashlib.sha256).digest()).decode()


def entry(device, generation, body, **more):
    """What the readers of telemetry must find of a message."""
    names = ("messageId", "correlationId", "contentType", "contentEncoding", "component")
    return {
        "device": device,
        "generationId": generation,
        "authScope": "device",
        "bodyBase64": base64.b64encode(body).decode(),
        "properties": {},
        **dict.fromkeys(names),
        **more,
    }


def write_ledger(start_ms, entries, capabilities):
    """For the readers: what they must find, and which lines of capabilities hold once they have."""
    ledger = {"startMs": start_ms, "endMs": int(time.time() * 1000), "entries": entries, "capabilities": capabilities}
    pathlib.Path(env("LEDGER")).write_text(json.dumps(ledger), encoding="utf-8")
