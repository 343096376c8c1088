"""The unmodified azure-iot-device: its client that blocks and its client of coroutines, over MQTT and over MQTT in WebSockets. A device registers by
its group's key, sends, receives a message, answers a method, reads and changes its twin and hears of changes. `drawspan hub` is the back end.

The four columns run at the same time, each with devices of its own.
"""

import asyncio
import concurrent.futures
import inspect
import json
import pathlib
import queue
import threading
import time

from azure.iot.device import IoTHubDeviceClient, Message, MethodResponse, ProvisioningDeviceClient, aio
from azure.iot.device.exceptions import ClientError, CredentialError

from backend import derived, disable, entry, hub, invoked, record, sas, write_ledger
from check import capability, env, holds, line, run, same, say

MODEL = "dtmi:com:example:Thermostat;1"
DATA = pathlib.Path(__file__).resolve().parent.parent / "data" / "telemetry.json"


class Blocking:
    """A client of coroutines, whose methods are awaited on a loop of its own. Handlers run there too."""

    def __init__(self, client, loop):
        self.__dict__.update(client=client, loop=loop)

    def __getattr__(self, name):
        found = getattr(self.client, name)
        if not inspect.iscoroutinefunction(found):
            return found
        return lambda *arguments: asyncio.run_coroutine_threadsafe(found(*arguments), self.loop).result(60)

    def __setattr__(self, name, value):
        async def give_over():
            setattr(self.client, name, value)

        # A handler is there once the hub has taken the subscription.
        asyncio.run_coroutine_threadsafe(give_over(), self.loop).result(60)


class Column:
    """One client over one transport."""

    def __init__(self, name, kind, websockets):
        self.name, self.device, self.websockets = f"python-{name}", f"py-{name}", websockets
        self.coroutines = kind is aio
        self.hub, self.dps = kind.IoTHubDeviceClient, kind.ProvisioningDeviceClient
        if self.coroutines:
            self.loop = asyncio.new_event_loop()
            threading.Thread(target=self.loop.run_forever, daemon=True).start()

    def shows(self, what, error=None):
        capability(self.name, what, error)

    def provisioning(self, device, key, scope=None):
        return self._of(
            self.dps.create_from_symmetric_key(
                env("DPS"),
                device,
                scope or env("ID_SCOPE"),
                key,
                websockets=self.websockets,
                server_verification_cert=authority(),
            )
        )

    def client(self, device, key, **more):
        return self._of(
            self.hub.create_from_symmetric_key(
                key, env("HUB"), device, websockets=self.websockets, server_verification_cert=authority(), **more
            )
        )

    def by_token(self, token):
        return self._of(
            self.hub.create_from_sastoken(token, websockets=self.websockets, server_verification_cert=authority())
        )

    def _of(self, client):
        return Blocking(client, self.loop) if self.coroutines else client


class Sync:
    """The clients that block, under the names that `aio` has for its own."""

    IoTHubDeviceClient = IoTHubDeviceClient
    ProvisioningDeviceClient = ProvisioningDeviceClient


def authority():
    with open(env("CA"), encoding="ascii") as file:
        return file.read()


def refused(error, what, do, *arguments):
    """What `do` raises, which must be of just that class."""
    try:
        do(*arguments)
    except error as raised:
        same(type(raised).__name__, error.__name__, f"class of {what} ({raised})")
        return raised
    raise AssertionError(f"{what} was not refused")


def register(column):
    for device in (column.device, f"{column.device}-disabled"):
        registering = column.provisioning(device, derived(device))
        registering.provisioning_payload = {"modelId": "dtmi:com:example:Thermostat;1"}
        result = registering.register()
        same(result.status, "assigned", "status of the registration")
        state = result.registration_state
        same([state.device_id, state.assigned_hub], [device, env("HUB")], "device and hub")
    column.shows("registration by a group key")
    what, key = "a registration with a wrong key", derived("other")
    error = refused(CredentialError, what, column.provisioning(column.device, key).register)
    column.shows(what, type(error).__name__)
    what, key = "a registration at an unknown id scope", derived(column.device)
    error = refused(CredentialError, what, column.provisioning(column.device, key, "0neNOTTHERE").register)
    column.shows(what, type(error).__name__)


def register_single(column):
    """The one device that has an enrollment of its own, so that one column after the other registers it."""
    result = column.provisioning("single", env("INDIVIDUAL_KEY")).register()
    same(result.registration_state.device_id, "single-device", "device of an enrollment of its own")
    what, key = "a group's key for a device of its own enrollment", derived("single")
    refused(CredentialError, what, column.provisioning("single", key).register)
    column.shows("registration by an individual key")


def refusals(column):
    token = sas(f"{env('HUB')}/devices/{column.device}", derived(column.device), life_s=-3600)
    # The SDK looks at the expiry itself, so that nothing reaches the hub.
    error = refused(ValueError, "an expired token", column.by_token, token)
    column.shows("an expired token", type(error).__name__)
    off = f"{column.device}-disabled"
    disable(off)
    for what, device, key in (
        ("a wrong key", column.device, derived("other")),
        ("an unknown device", "nobody", derived("nobody")),
        ("a disabled device", off, derived(off)),
    ):
        error = refused(CredentialError, what, column.client(device, key).connect)
        column.shows(what, type(error).__name__)


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


def send(column, connected):
    """Sends the messages of the data file. Returns what the readers must find."""
    data = json.loads(DATA.read_text(encoding="utf-8"))
    what = "a message over 256 KB"
    error = refused(ValueError, what, connected.send_message, sdk_message(data["tooLarge"]))
    column.shows(what, type(error).__name__)
    generation, entries = record(column.device)["generationId"], []
    for message in [*data["messages"], data["afterRefusal"]]:
        connected.send_message(sdk_message(message))
        say(f"  sent {message.get('messageId')}")
        entries.append(expected(message, column.device, generation))
    return entries


def expected(message, device, generation):
    names = ("messageId", "correlationId", "contentType", "contentEncoding", "component", "properties")
    return entry(device, generation, body(message), **{name: message[name] for name in names if name in message})


def wait_for(look, what):
    for _ in range(200):
        if look():
            break
        time.sleep(0.05)
    holds(look(), what)


def receive(column, connected):
    messages = queue.Queue()
    connected.on_message_received = messages.put
    hub("send", column.device, '{"größe": 1}', "--message-id", "m 1", "--property", "with space & more=a=b")
    message = messages.get(timeout=20)
    same(message.data.decode(), '{"größe": 1}', "body of a message to the device")
    same([message.message_id, message.content_type], ["m 1", "application/json"], "its id and type")
    same(message.custom_properties.get("with space & more"), "a=b", "its property")
    column.shows("messages to the device")
    # The SDK acknowledges by itself.
    wait_for(lambda: record(column.device)["cloudToDeviceMessageCount"] == 0, "no message is left at the hub")
    column.shows("a message is completed")


def answer(column, connected):
    """A handler may be a function of either client; that of the coroutines may be a coroutine."""

    def response(request):
        payload = {"name": request.name, "got": request.payload}
        return MethodResponse.create_from_method_request(request, 207, payload)

    def on_request(request):
        connected.send_method_response(response(request))

    async def on_request_by_coroutine(request):
        await connected.client.send_method_response(response(request))

    connected.on_method_request_received = on_request_by_coroutine if column.coroutines else on_request
    answered = invoked(column.device, "echo", '{"deep": [1, null]}')
    same(answered, {"name": "echo", "got": {"deep": [1, None]}}, "what the back end got")
    column.shows("methods")


def change(column, connected):
    same(connected.get_twin(), {"desired": {"$version": 1}, "reported": {"$version": 1}}, "twin")
    column.shows("twin")
    connected.patch_twin_reported_properties({"a": 1, "gone": 2, "nested": {"list": [1, "two"]}})
    connected.patch_twin_reported_properties({"gone": None})
    for patch in ({"a": [None]}, {"bad.name": 1}):
        raised = refused(ClientError, f"the patch {patch}", connected.patch_twin_reported_properties, patch)
        same(str(raised.__cause__), "twin operation returned status 400", "its cause")
    column.shows("a twin property with a dot in its name", type(raised).__name__)
    seen = json.loads(hub("twin", column.device))["properties"]["reported"]
    same(seen, {"$version": 3, "a": 1, "nested": {"list": [1, "two"]}}, "reported, as the service sees it")
    column.shows("reported properties")
    patches = queue.Queue()
    connected.on_twin_desired_properties_patch_received = patches.put
    hub("twin", column.device, "--desired", '{"interval": 5, "nested": {"y": [2]}}')
    hub("twin", column.device, "--desired", '{"interval": null}')
    heard = [patches.get(timeout=20) for _ in range(2)]
    same(heard, [{"interval": 5, "nested": {"y": [2]}, "$version": 2}, {"interval": None, "$version": 3}], "news")
    same(connected.get_twin()["desired"], {"nested": {"y": [2]}, "$version": 3}, "desired, read again")
    column.shows("desired properties")


def drive(column):
    """Everything over one column. Returns what the readers of telemetry must find."""
    register(column)
    refusals(column)
    connected = column.client(column.device, derived(column.device))
    connected.connect()
    entries = send(column, connected)
    receive(column, connected)
    answer(column, connected)
    change(column, connected)
    connected.shutdown()
    # A client goes on with the session that an earlier one left.
    # It renews its token two minutes before the end, so after four seconds, by another connection.
    again = column.client(
        column.device, derived(column.device), connection_retry=False, product_info=MODEL, sastoken_ttl=124
    )
    again.connect()
    changes, messages = [], queue.Queue()
    again.on_message_received = messages.put
    again.on_connection_state_change = lambda: changes.append(again.connected)
    wait_for(lambda: changes[-2:] == [False, True], "a token was renewed")
    hub("send", column.device, "after")
    same(messages.get(timeout=20).data.decode(), "after", "a message to the connection, which has not subscribed")
    column.shows("a token is renewed")
    column.shows("a session goes on")
    message = {"body": "by another client", "messageId": "again"}
    again.send_message(sdk_message(message))
    same(again.get_twin()["reported"], {"$version": 3, "a": 1, "nested": {"list": [1, "two"]}}, "reported, still")
    # Which would come back at once, and so on.
    second = column.client(
        column.device, derived(column.device), connection_retry=False, auto_connect=False, product_info=MODEL
    )
    second.connect()
    wait_for(lambda: not again.connected, "the first connection is gone")
    holds(second.connected, "the second one is there")
    column.shows("a second connection takes over")
    second.shutdown()
    again.shutdown()
    return [*entries, {**expected(message, column.device, entries[0]["generationId"]), "model": MODEL}]


def main():
    start_ms = int(time.time() * 1000)
    columns = [
        Column("mqtt", Sync, False),
        Column("mqtt-ws", Sync, True),
        Column("aio-mqtt", aio, False),
        Column("aio-mqtt-ws", aio, True),
    ]
    for column in columns:
        register_single(column)
    with concurrent.futures.ThreadPoolExecutor(len(columns)) as pool:
        entries = [one for all_of_one in pool.map(drive, columns) for one in all_of_one]
    read = [line(column.name, what) for column in columns for what in ("telemetry", "a model id")]
    write_ledger(start_ms, entries, read)


if __name__ == "__main__":
    run(main)
