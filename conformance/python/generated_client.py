"""The original's operations by a client that AutoRest makes from /swagger/v1/swagger.json, as its users have one; nothing of it is changed."""

import importlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from azure.core.credentials import AzureKeyCredential
from check import env, holds, run, same

DEVICE = "generated-1"
CALLBACK = "http://127.0.0.1:9/events"
SUBSCRIPTIONS = {
    "desired_properties_subscription": "DesiredProperties",
    "methods_subscription": "Methods",
    "c2_d_message_subscription": "C2DMessages",
    "connection_status_subscription": "ConnectionStatus",
}
OPERATIONS = 18


def generate(document, folder):
    """Runs AutoRest with its local parts: it asks no registry."""
    modules = Path(sys.prefix).parent / "node" / "node_modules"
    generator = modules / "@autorest" / "python"
    # The generator runs in a venv of its own; in this one it finds what ours has.
    venv = generator / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", "--clear", venv], check=True)
    packages = next(venv.glob("lib/python*/site-packages"))
    (packages / "ours.pth").write_text(f"{sysconfig.get_path('purelib')}\n{generator}\n")
    variables = {**os.environ, "HOME": str(folder)}
    # Its parts talk over stdout; unbuffered, a word of greeting would come between.
    variables.pop("PYTHONUNBUFFERED", None)
    command = [
        shutil.which("node"),
        modules / "@autorest" / "core" / "dist" / "app.js",
        f"--input-file={document}",
        "--python",
        f"--use={modules / '@autorest' / 'modelerfour'}",
        f"--use={generator}",
        f"--output-folder={folder / 'client'}",
        "--namespace=device_bridge_client",
    ]
    subprocess.run(command, check=True, env=variables, timeout=240)
    sys.path.insert(0, str(folder / "client"))
    return importlib.import_module("device_bridge_client").DeviceBridge


class Counting:
    """The client; counts the operations that were called."""

    def __init__(self, client):
        self.client = client
        self.called = set()

    def __getattr__(self, name):
        self.called.add(name)
        return getattr(self.client, name)


def subscriptions(client):
    for name, kind in SUBSCRIPTIONS.items():
        get, put, delete = (getattr(client, f"{verb}_{name}") for verb in ("get", "create_or_update", "delete"))
        same(get(DEVICE), None, f"{kind}, before")
        made = put(DEVICE, {"callbackUrl": CALLBACK})
        same((made["deviceId"], made["subscriptionType"], made["callbackUrl"]), (DEVICE, kind, CALLBACK), f"{kind}, made")
        same("status" in made, kind != "ConnectionStatus", f"{kind} has a status")
        found = get(DEVICE)
        same(found["createdAt"], made["createdAt"], f"{kind}, read: createdAt")
        same(delete(DEVICE), None, f"{kind}, deleted")
        same(delete(DEVICE), None, f"{kind}, deleted once more")
        same(get(DEVICE), None, f"{kind}, after")


def main():
    with tempfile.TemporaryDirectory() as folder:
        make = generate(f"{env('BRIDGE_URL')}/swagger/v1/swagger.json", Path(folder))
        client = Counting(make(endpoint=env("BRIDGE_URL"), credential=AzureKeyCredential(env("BRIDGE_API_KEY"))))
        same(client.get_current_connection_status(DEVICE), None, "connection of a device that was never used")
        same(client.register(DEVICE, {"modelId": "dtmi:com:example:Pump;1"}), None, "registration")
        message = {"data": {"t": 21.5}, "properties": {"room": "12"}, "componentName": "pump", "creationTimeUtc": "2026-11-22T10:20:30Z"}
        same(client.send_message(DEVICE, message), None, "message")
        same(client.update_reported_properties(DEVICE, {"patch": {"firmware": "1.4.2"}}), None, "reported patch")
        twin = client.get_twin(DEVICE)["twin"]["properties"]
        same(twin["reported"]["firmware"], "1.4.2", "reported, read")
        holds("$version" in twin["desired"], "desired has a version")
        connection = client.get_current_connection_status(DEVICE)
        same(connection, {"status": "Connected", "reason": "Connection_Ok"}, "connection")
        subscriptions(client)
        same(client.resync(DEVICE), None, "resync")
        same(len(client.called), OPERATIONS, "operations called")


run(main, 420)
