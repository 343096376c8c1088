"""Eclipse paho as a foreign MQTT client, over TCP and in WebSockets: a device that knows the hub's topics from its articles only. `drawspan hub` is
the back end.
"""

import json
import queue
import time
import urllib.parse

from paho.mqtt import client as mqtt

from backend import create, derived, disable, entry, hub, invoked, record, sas, write_ledger
from check import capability, env, holds, line, run, same

CREATED = "2021-03-04T05:06:07.0890000Z"
MODEL = "dtmi:com:example:Thermostat;1"
QUERY = f"api-version=2021-04-12&model-id={urllib.parse.quote(MODEL, safe='')}"


class Peer:
    """A connection. What comes is put into queues."""

    def __init__(self, column, client_id, user_name, password, host=None, clean=False, will=None):
        websockets = column.endswith("-ws")
        self.messages, self.connected, self.closed = queue.Queue(), queue.Queue(), queue.Queue()
        self.client = mqtt.Client(
            client_id, clean, protocol=mqtt.MQTTv311, transport="websockets" if websockets else "tcp", reconnect_on_failure=False
        )
        self.client.username_pw_set(user_name, password)
        self.client.tls_set(env("CA"))
        if websockets:
            self.client.ws_set_options(path="/$iothub/websocket")
        if will:
            self.client.will_set(will, b"gone", 1)
        self.client.on_connect = lambda _client, _data, flags, code: self.connected.put((code, flags["session present"]))
        self.client.on_disconnect = lambda _client, _data, code: self.closed.put(code)
        self.client.on_message = lambda _client, _data, message: self.messages.put(message)
        self.client.connect(host or env("HUB"), 443 if websockets else 8883, keepalive=60)
        self.client.loop_start()
        self.code, self.session_present = self.connected.get(timeout=20)

    def subscribe(self, topic, qos=1):
        granted = queue.Queue()
        self.client.on_subscribe = lambda _client, _data, _id, codes: granted.put(codes)
        self.client.subscribe(topic, qos)
        return granted.get(timeout=20)[0]

    def publish(self, topic, payload, qos=1):
        sent = self.client.publish(topic, payload, qos)
        sent.wait_for_publish(20)
        holds(sent.is_published(), f"published to {topic}")

    def next(self):
        message = self.messages.get(timeout=20)
        return message.topic, message.payload.decode()

    def end(self):
        self.client.disconnect()
        self.client.loop_stop()

    def vanish(self):
        """Ends without a goodbye."""
        self.client.loop_stop()
        self.client.socket().close()


def device(column, name, key, life_s=600, **more):
    token = sas(f"{env('HUB')}/devices/{name}", key, life_s)
    return Peer(column, name, f"{env('HUB')}/{name}/?{QUERY}", token, **more)


def refusals(column, name, key):
    off = create(f"{name}-off")["authentication"]["symmetricKey"]["primaryKey"]
    disable(f"{name}-off")
    for what, peer in (
        ("a wrong key", device(column, name, derived("another"))),
        ("an unknown device", device(column, "nobody", key)),
        ("a disabled device", device(column, f"{name}-off", off)),
        ("an expired token", device(column, name, key, life_s=-3600)),
    ):
        same(peer.code, 5, f"return code of the CONNACK for {what}")
        capability(column, what, f"CONNACK {peer.code}")
        peer.end()
    large = device(column, name, key, clean=True)
    large.client.publish(f"devices/{name}/messages/events/", bytes(256 * 1024 + 1), 1)
    code = large.closed.get(timeout=20)
    holds(code != 0, f"a message over 256 KB ends the connection ({mqtt.error_string(code)})")
    capability(column, "a message over 256 KB", "connection closed")
    large.client.loop_stop()


def registration(column, name):
    key = derived(name)
    resource = f"{env('ID_SCOPE')}/registrations/{name}"
    user_name = f"{resource}/api-version=2019-03-31"
    wrong = Peer(column, name, user_name, sas(resource, derived("another"), policy="registration"), env("DPS"), True)
    same(wrong.code, 5, "return code of the CONNACK for a registration with a wrong key")
    capability(column, "a registration with a wrong key", f"CONNACK {wrong.code}")
    wrong.end()
    peer = Peer(column, name, user_name, sas(resource, key, policy="registration"), env("DPS"), True)
    same((peer.code, peer.session_present, peer.subscribe("$dps/registrations/res/#")), (0, 0, 1), "connected")
    peer.publish("$dps/registrations/PUT/iotdps-register/?$rid=1", json.dumps({"registrationId": name}))
    topic, payload = peer.next()
    same(topic, "$dps/registrations/res/202/?$rid=1&retry-after=1", "topic of the first answer")
    operation = json.loads(payload)["operationId"]
    time.sleep(1)
    peer.publish(f"$dps/registrations/GET/iotdps-get-operationstatus/?$rid=2&operationId={operation}", " ")
    topic, payload = peer.next()
    state = json.loads(payload)["registrationState"]
    same((topic, state["assignedHub"], state["deviceId"]), ("$dps/registrations/res/200/?$rid=2", env("HUB"), name), "assigned")
    peer.end()
    capability(column, "registration by a group key")
    return key


def telemetry(name, generation, peer):
    topic = f"devices/{name}/messages/events/"
    bag = urllib.parse.urlencode(
        {"$.mid": "m 1", "$.ct": "application/json", "$.ctime": CREATED, "$.sub": "thermostat1", "level": "very high"},
        quote_via=urllib.parse.quote,
    )
    peer.publish(topic + bag, '{"größe":1}')
    peer.publish(topic, "at most once", qos=0)
    about = {
        "messageId": "m 1",
        "contentType": "application/json",
        "component": "thermostat1",
        "creationTime": CREATED,
        "properties": {"level": "very high"},
    }
    return [
        entry(name, generation, '{"größe":1}'.encode(), model=MODEL, **about),
        entry(name, generation, b"at most once", model=MODEL),
    ]


def receives(column, name, peer):
    same(peer.subscribe(f"devices/{name}/messages/devicebound/#"), 1, "QoS of the subscription")
    hub("send", name, "to you", "--message-id", "m 1", "--property", "with space=a=b")
    topic, payload = peer.next()
    head, _, bag = topic.rpartition("/")
    same((head, payload), (f"devices/{name}/messages/devicebound", "to you"), "topic and body")
    found = dict(urllib.parse.parse_qsl(bag))
    same((found["$.mid"], found["with space"]), ("m 1", "a=b"), "properties")
    same(found["$.to"], f"/devices/{name}/messages/deviceBound", "to")
    capability(column, "messages to the device")
    for _ in range(100):
        left = record(name)["cloudToDeviceMessageCount"]
        if left == 0:
            break
        time.sleep(0.05)
    same(left, 0, "messages that are left at the hub")
    capability(column, "a message is completed")


def answers(column, name, peer):
    same(peer.subscribe("$iothub/methods/POST/#", qos=0), 0, "QoS of the subscription")

    def on_call(_client, _data, message):
        method, _, request = message.topic.removeprefix("$iothub/methods/POST/").partition("/?$rid=")
        body = json.dumps({"method": method, "got": json.loads(message.payload)})
        peer.client.publish(f"$iothub/methods/res/207/?$rid={request}", body, 0)

    peer.client.message_callback_add("$iothub/methods/POST/#", on_call)
    same(invoked(name, "echo", '{"n": 1}'), {"method": "echo", "got": {"n": 1}}, "what the back end got")
    capability(column, "methods")


def twin(column, name, peer):
    same(peer.subscribe("$iothub/twin/res/#", qos=0), 0, "QoS of the subscription")
    peer.publish("$iothub/twin/GET/?$rid=a", "", qos=0)
    topic, payload = peer.next()
    same(topic, "$iothub/twin/res/200/?$rid=a", "topic of the twin")
    same(json.loads(payload), {"desired": {"$version": 1}, "reported": {"$version": 1}}, "twin")
    capability(column, "twin")
    peer.publish("$iothub/twin/PATCH/properties/reported/?$rid=b", '{"a":1}', qos=0)
    same(peer.next(), ("$iothub/twin/res/204/?$rid=b&$version=2", ""), "answer to a report")
    capability(column, "reported properties")
    peer.publish("$iothub/twin/PATCH/properties/reported/?$rid=c", '{"a.b":1}', qos=0)
    topic, payload = peer.next()
    same(topic, "$iothub/twin/res/400/?$rid=c", "topic of a refusal")
    same(json.loads(payload)["errorCode"], 400004, "its code")
    capability(column, "a twin property with a dot in its name", "status 400")
    same(peer.subscribe("$iothub/twin/PATCH/properties/desired/#", qos=0), 0, "QoS of the subscription")
    hub("twin", name, "--desired", '{"interval": 5}')
    topic, payload = peer.next()
    same(topic, "$iothub/twin/PATCH/properties/desired/?$version=2", "topic of a change")
    same(json.loads(payload), {"interval": 5, "$version": 2}, "change")
    capability(column, "desired properties")


def sessions(column, name, key):
    """What a device that was away finds, what it leaves when it vanishes, and who has a device that two connect as."""
    hub("send", name, "while away")
    peer = device(column, name, key)
    same((peer.code, peer.session_present), (0, 1), "a session goes on")
    same(peer.next()[1], "while away", "with its subscriptions")
    capability(column, "a session goes on")
    second = device(column, name, key, will=f"devices/{name}/messages/events/kind=last")
    holds(peer.closed.get(timeout=20) != 0, "the first connection is closed")
    peer.client.loop_stop()
    capability(column, "a second connection takes over")
    second.vanish()


def main():
    start_ms, entries = int(time.time() * 1000), []
    for column in ("paho-mqtt", "paho-mqtt-ws"):
        key = registration(column, column)
        generation = record(column)["generationId"]
        refusals(column, column, key)
        peer = device(column, column, key)
        same((peer.code, peer.session_present), (0, 0), "connected")
        entries += telemetry(column, generation, peer)
        receives(column, column, peer)
        answers(column, column, peer)
        twin(column, column, peer)
        peer.end()
        sessions(column, column, key)
        entries.append(entry(column, generation, b"gone", model=MODEL, properties={"kind": "last", "iothub-MessageType": "Will"}))
    read = [line(column, what) for column in ("paho-mqtt", "paho-mqtt-ws") for what in ("telemetry", "a model id", "a will")]
    write_ledger(start_ms, entries, read)


if __name__ == "__main__":
    run(main)
