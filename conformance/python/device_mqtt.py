"""The unmodified azure-iot-device, over MQTT and then over MQTT in WebSockets: a device registers by its group's key, sends, receives a
message, answers a method, reads and changes its twin and hears of changes. `drawspan hub` is the back end.
"""

import asyncio
import base64
import hashlib
import hmac
import http.client
import json
import os
import pathlib
import queue
import ssl
import subprocess
import time
import urllib.parse

from azure.iot.device import IoTHubDeviceClient, Message, MethodResponse, ProvisioningDeviceClient, aio
from azure.iot.device.exceptions import ClientError, CredentialError

from check import env, holds, run, same

DATA = pathlib.Path(__file__).resolve().parent.parent / "data" / "telemetry.json"


def authority():
    with open(env("CA"), encoding="ascii") as file:
        return file.read()


def derived(device):
    group = base64.b64decode(env("GROUP_KEY"))
    return base64.b64encode(hmac.new(group, device.encode(), hashlib.sha256).digest()).decode()


def refused(error, what, do, *arguments):
    """What `do` raises, which must be an `error`."""
    try:
        do(*arguments)
    except error as raised:
        print(f"  {what}: {type(raised).__name__}: {raised}", flush=True)
        return raised
    raise AssertionError(f"{what} was not refused")


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


def generation_id(device):
    """From the registry, asked by the hub's owner."""
    parts = dict(part.split("=", 1) for part in env("HUB_CONNECTION_STRING").split(";"))
    resource, expiry = urllib.parse.quote(parts["HostName"], safe=""), int(time.time()) + 600
    key = base64.b64decode(parts["SharedAccessKey"])
    signature = base64.b64encode(hmac.new(key, f"{resource}\n{expiry}".encode(), hashlib.sha256).digest())
    token = f"SharedAccessSignature sr={resource}&sig={urllib.parse.quote(signature, safe='')}&se={expiry}&skn=iothubowner"
    registry = http.client.HTTPSConnection(parts["HostName"], context=ssl.create_default_context(cafile=env("CA")))
    registry.request("GET", f"/devices/{device}?api-version=2021-04-12", headers={"Authorization": token})
    answer = registry.getresponse()
    same(answer.status, 200, "status of the registry")
    return json.loads(answer.read())["generationId"]


def provisioning(device, key, websockets):
    return ProvisioningDeviceClient.create_from_symmetric_key(
        env("DPS"), device, env("ID_SCOPE"), key, websockets=websockets, server_verification_cert=authority()
    )


def client(device, key, websockets, kind=IoTHubDeviceClient):
    return kind.create_from_symmetric_key(
        key, env("HUB"), device, websockets=websockets, server_verification_cert=authority()
    )


def register(device, websockets):
    refused(CredentialError, "a registration with a wrong key", provisioning(device, derived("other"), websockets).register)
    registering = provisioning(device, derived(device), websockets)
    registering.provisioning_payload = {"modelId": "dtmi:com:example:Thermostat;1"}
    result = registering.register()
    same(result.status, "assigned", "status of the registration")
    state = result.registration_state
    same([state.device_id, state.assigned_hub], [device, env("HUB")], "device and hub")


def body(message):
    if "bodyHex" in message:
        return bytes.fromhex(message["bodyHex"])
    if "bodyBytes" in message:
        return bytes(i * 31 % 251 for i in range(message["bodyBytes"]))
    return message["body"].encode()


def sdk_message(message):
    out = Message(
        body(message), message.get("messageId"), message.get("contentEncoding"), message.get("contentType")
    )
    out.correlation_id = message.get("correlationId")
    out.custom_properties = dict(message.get("properties", {}))
    if "component" in message:
        out.custom_properties["$.sub"] = message["component"]
    return out


def send(device, connected):
    """Sends the messages of the data file. Returns what the readers must find."""
    data = json.loads(DATA.read_text(encoding="utf-8"))
    refused(ValueError, "a message over 256 KB", connected.send_message, sdk_message(data["tooLarge"]))
    generation, entries = generation_id(device), []
    for message in [*data["messages"], data["afterRefusal"]]:
        connected.send_message(sdk_message(message))
        print(f"  sent {message.get('messageId')}", flush=True)
        entries.append(entry(message, device, generation))
    return entries


def entry(message, device, generation):
    names = ("messageId", "correlationId", "contentType", "contentEncoding", "component")
    return {
        "device": device,
        "generationId": generation,
        "authScope": "device",
        "bodyBase64": base64.b64encode(body(message)).decode(),
        "properties": message.get("properties", {}),
        **{name: message.get(name) for name in names},
    }


def receive(device, connected):
    messages = queue.Queue()
    connected.on_message_received = messages.put
    hub("send", device, '{"größe": 1}', "--message-id", "m 1", "--property", "with space & more=a=b")
    message = messages.get(timeout=20)
    same(message.data.decode(), '{"größe": 1}', "body of a message to the device")
    same([message.message_id, message.content_type], ["m 1", "application/json"], "its id and type")
    same(message.custom_properties.get("with space & more"), "a=b", "its property")


def answer(device, connected):
    def on_request(request):
        payload = {"name": request.name, "got": request.payload}
        connected.send_method_response(MethodResponse.create_from_method_request(request, 207, payload))

    connected.on_method_request_received = on_request
    printed = hub("invoke", device, "echo", '{"deep": [1, null]}')
    found = json.loads(printed[printed.index("{") :])
    payload = {"name": "echo", "got": {"deep": [1, None]}}
    holds(payload in (found, found.get("payload")), f"the back end got {printed!r}")


def change(device, connected):
    same(connected.get_twin(), {"desired": {"$version": 1}, "reported": {"$version": 1}}, "twin")
    connected.patch_twin_reported_properties({"a": 1, "gone": 2, "nested": {"list": [1, "two"]}})
    connected.patch_twin_reported_properties({"gone": None})
    for patch in ({"bad.name": 1}, {"a": [None]}):
        raised = refused(ClientError, f"the patch {patch}", connected.patch_twin_reported_properties, patch)
        same(str(raised.__cause__), "twin operation returned status 400", "its cause")
    seen = json.loads(hub("twin", device))["properties"]["reported"]
    same(seen, {"$version": 3, "a": 1, "nested": {"list": [1, "two"]}}, "reported, as the service sees it")
    patches = queue.Queue()
    connected.on_twin_desired_properties_patch_received = patches.put
    hub("twin", device, "--desired", '{"interval": 5, "nested": {"y": [2]}}')
    hub("twin", device, "--desired", '{"interval": null}')
    heard = [patches.get(timeout=20) for _ in range(2)]
    same(heard, [{"interval": 5, "nested": {"y": [2]}, "$version": 2}, {"interval": None, "$version": 3}], "news")
    same(connected.get_twin()["desired"], {"nested": {"y": [2]}, "$version": 3}, "desired, read again")


async def by_coroutines(device, websockets):
    """The SDK's other client, for the session that the first one left."""
    connected = client(device, derived(device), websockets, aio.IoTHubDeviceClient)
    await connected.connect()
    message = {"body": "by a coroutine", "messageId": "aio"}
    await connected.send_message(sdk_message(message))
    await connected.patch_twin_reported_properties({"a": None, "nested": None, "aio": True})
    twin = await connected.get_twin()
    same(twin["reported"], {"$version": 4, "aio": True}, "reported by a coroutine")
    await connected.shutdown()
    return entry(message, device, generation_id(device))


def main():
    start_ms, entries = int(time.time() * 1000), []
    for device, websockets in (("py-mqtt", False), ("py-mqtt-ws", True)):
        print(f"{device}:", flush=True)
        register(device, websockets)
        refused(CredentialError, "a wrong key", client(device, derived("other"), websockets).connect)
        refused(CredentialError, "a device that there is not", client("nobody", derived("nobody"), websockets).connect)
        connected = client(device, derived(device), websockets)
        connected.connect()
        entries += send(device, connected)
        receive(device, connected)
        answer(device, connected)
        change(device, connected)
        connected.shutdown()
        entries.append(asyncio.run(by_coroutines(device, websockets)))
    ledger = {"startMs": start_ms, "endMs": int(time.time() * 1000), "entries": entries}
    pathlib.Path(env("LEDGER")).write_text(json.dumps(ledger), encoding="utf-8")


if __name__ == "__main__":
    run(main)
