"""The unmodified azure-iot-device with certificates, over MQTT and then over MQTT in WebSockets: a device that the hub's authority
signed, one that is known by its thumbprint, one that registers by an enrollment group with certificates, and those that are refused.
`drawspan emulator cert` makes the certificates.
"""

import base64
import hashlib
import hmac
import http.client
import json
import pathlib
import re
import ssl
import subprocess
import tempfile
import time
import urllib.parse

from azure.iot.device import X509, IoTHubDeviceClient, ProvisioningDeviceClient
from azure.iot.device.exceptions import CredentialError

from check import env, run, same

FOLDER = pathlib.Path(tempfile.mkdtemp(prefix="x509-"))
STATE = str(pathlib.Path(env("CA")).parent)


def authority():
    return pathlib.Path(env("CA")).read_text(encoding="ascii")


def made(device, *flags):
    """A certificate with its key, and its SHA-256 thumbprint."""
    out = pathlib.Path(tempfile.mkdtemp(dir=FOLDER))
    command = [env("DRAWSPAN"), "emulator", "cert", "device", device, "--out", str(out), *flags]
    printed = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    thumbprint = re.search(r"^SHA-256 +([0-9A-F]+)$", printed, re.MULTILINE).group(1)
    return X509(str(out / f"{device}.pem"), str(out / f"{device}-key.pem")), thumbprint


def create(device, authentication):
    """Asks the registry, as the hub's owner."""
    parts = dict(part.split("=", 1) for part in env("HUB_CONNECTION_STRING").split(";"))
    resource, expiry = urllib.parse.quote(parts["HostName"], safe=""), int(time.time()) + 600
    key = base64.b64decode(parts["SharedAccessKey"])
    signature = base64.b64encode(hmac.new(key, f"{resource}\n{expiry}".encode(), hashlib.sha256).digest())
    token = f"SharedAccessSignature sr={resource}&sig={urllib.parse.quote(signature, safe='')}&se={expiry}&skn=iothubowner"
    registry = http.client.HTTPSConnection(parts["HostName"], context=ssl.create_default_context(cafile=env("CA")))
    body = json.dumps({"deviceId": device, "authentication": authentication})
    headers = {"Authorization": token, "Content-Type": "application/json"}
    registry.request("PUT", f"/devices/{device}?api-version=2021-04-12", body, headers)
    same(registry.getresponse().status, 200, f"{device} is registered")


def client(device, x509, websockets):
    return IoTHubDeviceClient.create_from_x509_certificate(
        x509, env("HUB"), device, websockets=websockets, server_verification_cert=authority()
    )


def send(device, x509, websockets):
    connected = client(device, x509, websockets)
    connected.connect()
    connected.send_message('{"by": "certificate"}')
    same(connected.get_twin()["reported"], {"$version": 1}, f"twin of {device}")
    connected.shutdown()


def refused(what, do):
    try:
        do()
    except CredentialError as raised:
        print(f"  {what}: {type(raised).__name__}: {raised}", flush=True)
        return
    raise AssertionError(f"{what} was not refused")


def at_hub(websockets, name):
    issued, _ = made(f"ca-{name}", "--state", STATE)
    own, thumbprint = made("any-name", "--self-signed")
    old, old_thumbprint = made(f"old-{name}", "--self-signed", "--days", "-1")
    create(f"ca-{name}", {"type": "certificateAuthority"})
    create(f"print-{name}", {"type": "selfSigned", "x509Thumbprint": {"primaryThumbprint": thumbprint}})
    create(f"old-{name}", {"type": "selfSigned", "x509Thumbprint": {"primaryThumbprint": old_thumbprint}})
    send(f"ca-{name}", issued, websockets)
    send(f"print-{name}", own, websockets)
    refused("a certificate that nobody signed", client(f"ca-{name}", own, websockets).connect)
    refused("another thumbprint", client(f"print-{name}", issued, websockets).connect)
    refused("a certificate that has expired", client(f"old-{name}", old, websockets).connect)


def registering(device, x509, websockets):
    return ProvisioningDeviceClient.create_from_x509_certificate(
        env("DPS"), device, env("ID_SCOPE"), x509, websockets=websockets, server_verification_cert=authority()
    )


def at_dps(websockets, name):
    device = f"car-{name}"
    x509, _ = made(device, "--state", STATE)
    result = registering(device, x509, websockets).register()
    same(result.status, "assigned", "status of the registration")
    state = result.registration_state
    same([state.device_id, state.assigned_hub], [device, env("HUB")], "device and hub")
    send(device, x509, websockets)
    stranger, _ = made(device, "--self-signed")
    refused("a certificate of no enrollment", registering(device, stranger, websockets).register)
    refused("a certificate of another registration", registering(f"bus-{name}", x509, websockets).register)


def main():
    for websockets, name in ((False, "py"), (True, "py-ws")):
        print(f"{name}:", flush=True)
        at_hub(websockets, name)
        at_dps(websockets, name)


if __name__ == "__main__":
    run(main)
