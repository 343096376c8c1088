"""The unmodified IoTHubModuleClient, by sockets and by coroutines, over MQTT and over MQTT in WebSockets: telemetry, twin, methods. The
registry and the back end's calls are plain REST.
"""

import asyncio
import base64
import hashlib
import hmac
import http.client
import json
import queue
import ssl
import threading
import time
import urllib.parse

from azure.iot.device import IoTHubModuleClient, Message, MethodResponse, aio
from azure.iot.device.exceptions import ClientError, CredentialError

from check import capability, env, holds, run, same

DEVICE = "py-modules"


def ask(method, path, body=None):
    """What the hub answers to its owner: status and JSON."""
    parts = dict(part.split("=", 1) for part in env("HUB_CONNECTION_STRING").split(";"))
    resource, expiry = urllib.parse.quote(parts["HostName"], safe=""), int(time.time()) + 600
    key = base64.b64decode(parts["SharedAccessKey"])
    signature = base64.b64encode(hmac.new(key, f"{resource}\n{expiry}".encode(), hashlib.sha256).digest())
    token = f"SharedAccessSignature sr={resource}&sig={urllib.parse.quote(signature, safe='')}&se={expiry}&skn=iothubowner"
    hub = http.client.HTTPSConnection(parts["HostName"], context=ssl.create_default_context(cafile=env("CA")))
    headers = {"Authorization": token, "Content-Type": "application/json"}
    hub.request(method, f"{path}?api-version=2021-04-12", body and json.dumps(body), headers)
    answer = hub.getresponse()
    return answer.status, json.loads(answer.read() or b"null")


def create(module):
    status, created = ask("PUT", f"/devices/{DEVICE}/modules/{module}", {"deviceId": DEVICE, "moduleId": module})
    same(status, 200, f"status of the registry for {module}")
    return created["authentication"]["symmetricKey"]["primaryKey"]


def client(kind, module, key, websockets, **options):
    with open(env("CA"), encoding="ascii") as file:
        authority = file.read()
    text = f"HostName={env('HUB')};DeviceId={DEVICE};ModuleId={module};SharedAccessKey={key}"
    return kind.create_from_connection_string(text, websockets=websockets, server_verification_cert=authority, **options)


def refused(error, what, do, *arguments):
    try:
        do(*arguments)
    except error as raised:
        print(f"  {what}: {type(raised).__name__}: {raised}", flush=True)
        return
    raise AssertionError(f"{what} was not refused")


def check_twin(module, connected):
    same(connected.get_twin(), {"desired": {"$version": 1}, "reported": {"$version": 1}}, "twin")
    connected.patch_twin_reported_properties({"on": True, "gone": 1})
    connected.patch_twin_reported_properties({"gone": None})
    refused(ClientError, "a name with a dot", connected.patch_twin_reported_properties, {"bad.name": 1})
    patches = queue.Queue()
    connected.on_twin_desired_properties_patch_received = patches.put
    path = f"/twins/{DEVICE}/modules/{module}"
    status, twin = ask("PATCH", path, {"properties": {"desired": {"level": 3}}})
    same(status, 200, "status of a change of the twin")
    same(twin["properties"]["reported"]["on"], True, "reported, as the service sees it")
    same(patches.get(timeout=20), {"level": 3, "$version": 2}, "news")
    _, device = ask("GET", f"/twins/{DEVICE}")
    same(device["version"], 2, "the device's twin is another")


def check_methods(module, connected):
    def on_request(request):
        connected.send_method_response(echo(request))

    connected.on_method_request_received = on_request
    call(module)


def echo(request):
    payload = {"name": request.name, "got": request.payload}
    return MethodResponse.create_from_method_request(request, 207, payload)


def call(module):
    """Calls the module's method as a service does."""
    asked = {"methodName": "echo", "payload": {"deep": [1, None]}, "responseTimeoutInSeconds": 20, "connectTimeoutInSeconds": 10}
    status, answer = ask("POST", f"/twins/{DEVICE}/modules/{module}/methods", asked)
    payload = {"name": "echo", "got": {"deep": [1, None]}}
    same([status, answer], [200, {"status": 207, "payload": payload}], "answer")


async def by_coroutines(module, key, websockets):
    """The SDK's other client, which takes the module over from the first one."""
    connected = client(aio.IoTHubModuleClient, module, key, websockets)
    await connected.connect()
    await connected.send_message(Message("by a coroutine"))
    await connected.patch_twin_reported_properties({"aio": True})
    twin = await connected.get_twin()
    same([twin["reported"]["aio"], twin["desired"]["level"]], [True, 3], "twin by a coroutine")

    async def on_request(request):
        await connected.send_method_response(echo(request))

    connected.on_method_request_received = on_request
    await asyncio.get_running_loop().run_in_executor(None, call, module)
    await connected.shutdown()


def main():
    status, _ = ask("PUT", f"/devices/{DEVICE}", {"deviceId": DEVICE})
    same(status, 200, "status of the registry for the device")
    for module, websockets in (("sockets", False), ("websockets", True)):
        print(f"{module}:", flush=True)
        key, other = create(module), base64.b64encode(b"no key of anybody").decode()
        refused(CredentialError, "a wrong key", client(IoTHubModuleClient, module, other, websockets).connect)
        refused(CredentialError, "a module that there is not", client(IoTHubModuleClient, "nobody", key, websockets).connect)
        # It must not come back, else it would take the module over again.
        connected = client(IoTHubModuleClient, module, key, websockets, connection_retry=False)
        connected.connect()
        connected.send_message(Message("by a thread"))
        check_twin(module, connected)
        check_methods(module, connected)
        gone = threading.Event()
        connected.on_connection_state_change = lambda: connected.connected or gone.set()
        asyncio.run(by_coroutines(module, key, websockets))
        holds(gone.wait(20), "the first client was disconnected by the second")
        connected.shutdown()
        status, _ = ask("DELETE", f"/devices/{DEVICE}/modules/{module}")
        same(status, 204, "status of a deletion")
        transport = "mqtt-ws" if websockets else "mqtt"
        capability(f"python-{transport}", "a module")
        capability(f"python-aio-{transport}", "a module")


if __name__ == "__main__":
    run(main)
