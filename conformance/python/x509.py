"""The unmodified azure-iot-device with certificates, its client that blocks and its client of coroutines, over MQTT and
over MQTT in WebSockets: a device that the hub's authority signed, one that is known by its thumbprint, modules likewise,
one that registers by an enrollment group with certificates, and those that are refused.
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

from azure.iot.device import X509, IoTHubModuleClient, aio
from azure.iot.device.exceptions import CredentialError

from check import env, run, same
from device_mqtt import Column, Sync, authority

FOLDER = pathlib.Path(tempfile.mkdtemp(prefix="x509-"))
STATE = str(pathlib.Path(env("CA")).parent)


def made(device, *flags):
    """A certificate with its key, and its SHA-256 thumbprint."""
    out = pathlib.Path(tempfile.mkdtemp(dir=FOLDER))
    command = [env("DRAWSPAN"), "emulator", "cert", "device", device, "--out", str(out), *flags]
    printed = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    thumbprint = re.search(r"^SHA-256 +([0-9A-F]+)$", printed, re.MULTILINE).group(1)
    # A module's is `device/module`, of which no file can be named.
    name = device.replace("/", "-")
    return X509(str(out / f"{name}.pem"), str(out / f"{name}-key.pem")), thumbprint


def create(device, authentication):
    """Asks the registry, as the hub's owner."""
    parts = dict(part.split("=", 1) for part in env("HUB_CONNECTION_STRING").split(";"))
    resource, expiry = urllib.parse.quote(parts["HostName"], safe=""), int(time.time()) + 600
    key = base64.b64decode(parts["SharedAccessKey"])
    signature = base64.b64encode(hmac.new(key, f"{resource}\n{expiry}".encode(), hashlib.sha256).digest())
    token = f"SharedAccessSignature sr={resource}&sig={urllib.parse.quote(signature, safe='')}&se={expiry}&skn=iothubowner"
    registry = http.client.HTTPSConnection(parts["HostName"], context=ssl.create_default_context(cafile=env("CA")))
    body = json.dumps({"authentication": authentication})
    headers = {"Authorization": token, "Content-Type": "application/json"}
    registry.request("PUT", f"/devices/{device}?api-version=2021-04-12", body, headers)
    same(registry.getresponse().status, 200, f"{device} is registered")


class X509Column(Column):
    """A client over one transport, with certificates."""

    def __init__(self, name, kind, websockets):
        super().__init__(name, kind, websockets)
        self.module = kind.IoTHubModuleClient

    def client(self, device, x509):  # pylint: disable=arguments-differ
        # Whether the first connection fails is what the scripts want to know.
        return self._of(
            self.hub.create_from_x509_certificate(
                x509,
                env("HUB"),
                device,
                websockets=self.websockets,
                server_verification_cert=authority(),
                connection_retry=False,
            )
        )

    def of_module(self, device, module, x509):
        return self._of(
            self.module.create_from_x509_certificate(
                x509,
                env("HUB"),
                device,
                module,
                websockets=self.websockets,
                server_verification_cert=authority(),
                connection_retry=False,
            )
        )

    def registering(self, device, x509):
        return self._of(
            self.dps.create_from_x509_certificate(
                env("DPS"),
                device,
                env("ID_SCOPE"),
                x509,
                websockets=self.websockets,
                server_verification_cert=authority(),
            )
        )


class Blocks(Sync):
    """The clients that block."""

    IoTHubModuleClient = IoTHubModuleClient


def send(client, what):
    client.connect()
    client.send_message('{"by": "certificate"}')
    same(client.get_twin()["reported"], {"$version": 1}, f"twin of {what}")
    client.shutdown()


def refused(what, do):
    try:
        do()
    except CredentialError as raised:
        print(f"  {what}: {type(raised).__name__}: {raised}", flush=True)
        return
    raise AssertionError(f"{what} was not refused")


def at_hub(column, name):
    issued, _ = made(f"ca-{name}", "--state", STATE)
    own, thumbprint = made("any-name", "--self-signed")
    old, old_thumbprint = made(f"old-{name}", "--self-signed", "--days", "-1")
    create(f"ca-{name}", {"type": "certificateAuthority"})
    create(f"print-{name}", {"type": "selfSigned", "x509Thumbprint": {"primaryThumbprint": thumbprint}})
    create(f"old-{name}", {"type": "selfSigned", "x509Thumbprint": {"primaryThumbprint": old_thumbprint}})
    for device, x509 in ((f"ca-{name}", issued), (f"print-{name}", own)):
        send(column.client(device, x509), device)
    refused("a certificate that nobody signed", column.client(f"ca-{name}", own).connect)
    refused("another thumbprint", column.client(f"print-{name}", issued).connect)
    refused("a certificate that has expired", column.client(f"old-{name}", old).connect)
    column.shows("a device with a certificate")


def of_modules(column, name):
    device = f"ca-{name}"
    issued, _ = made(f"{device}/ca", "--state", STATE)
    own, thumbprint = made("any-name", "--self-signed")
    create(f"{device}/modules/ca", {"type": "certificateAuthority"})
    create(f"{device}/modules/print", {"type": "selfSigned", "x509Thumbprint": {"primaryThumbprint": thumbprint}})
    for module, x509 in (("ca", issued), ("print", own)):
        send(column.of_module(device, module, x509), module)
    refused("another module's certificate", column.of_module(device, "ca", own).connect)


def at_dps(column, name):
    device = f"car-{name}"
    x509, _ = made(device, "--state", STATE)
    result = column.registering(device, x509).register()
    same(result.status, "assigned", "status of the registration")
    state = result.registration_state
    same([state.device_id, state.assigned_hub], [device, env("HUB")], "device and hub")
    send(column.client(device, x509), device)
    stranger, _ = made(device, "--self-signed")
    refused("a certificate of no enrollment", column.registering(device, stranger).register)
    refused("a certificate of another registration", column.registering(f"bus-{name}", x509).register)
    column.shows("registration by a certificate")


def main():
    columns = [
        X509Column("mqtt", Blocks, False),
        X509Column("mqtt-ws", Blocks, True),
        X509Column("aio-mqtt", aio, False),
        X509Column("aio-mqtt-ws", aio, True),
    ]
    for column in columns:
        name = column.name
        print(f"{name}:", flush=True)
        at_hub(column, name)
        of_modules(column, name)
        at_dps(column, name)


if __name__ == "__main__":
    run(main)
