"""What the unmodified azure-iot-device makes of a hub's rates and its daily quota over MQTT, where a hub can only close the connection: what waits is
taken later, what is refused has a class. The limits are the hub's, so that one column is tried after the other.
"""

import concurrent.futures
import http.client
import json
import ssl

from azure.iot.device import Message, aio

from backend import create
from check import capability, env, run, same, say
from device_mqtt import Column, Sync, wait_for

# What the client raises, which never connects again by itself here. The cause of a `ClientError` names the status.
EXPECTED = {
    "telemetry above the rate": "OperationCancelled",
    "telemetry beyond the quota": "OperationCancelled",
    "a twin above the rate": "ClientError",
    "a twin beyond the quota": "ClientError",
    "a connection above the rate": "ConnectionDroppedError",
}


def control(method, *words):
    """The control API's answer."""
    api = http.client.HTTPSConnection(env("HUB"), context=ssl.create_default_context(cafile=env("CA")))
    body = json.dumps({"words": words}) if words else None
    api.request(method, "/emulator/limits", body, {"Content-Type": "application/json"})
    answer = api.getresponse()
    same(answer.status, 200, f"status of {method} {' '.join(words)}")
    return json.loads(answer.read())


def limits(*words):
    """Nothing is limited but this. Beginning with off, so that no earlier operation counts."""
    control("PUT", "off")
    if words:
        control("PUT", *words)


def once(name):
    """One operation of the class passes, and the next is refused."""
    return [f"{name}=1/min", f"burst.{name}=0", f"queue.{name}=0"]


class Limited:
    """A device of a column."""

    def __init__(self, column):
        self.column = column
        self.key = create(column.device)["authentication"]["symmetricKey"]["primaryKey"]

    def connect(self):
        client = self.column.client(self.column.device, self.key, connection_retry=False, auto_connect=False)
        client.connect()
        return client

    def second(self, what, words, operation):
        """Has the second of two equal operations refused, and reports the class."""
        limits()
        client = self.connect()
        operation(client)
        limits(*words)
        operation(client)
        self.shows(what, lambda: operation(client))
        limits()
        client.shutdown()

    def shows(self, what, operation):
        try:
            operation()
        except Exception as raised:
            name, cause = type(raised).__name__, raised.__cause__
            say(f"  {what}: {name}: {raised}; cause {type(cause).__name__}: {cause}")
            same(name, EXPECTED[what], f"class of {what}")
            capability(self.column.name, what, name)
            return
        raise AssertionError(f"{what} was not refused")

    def delayed(self):
        limits()
        client = self.connect()
        limits("d2c=4/s", "burst.d2c=0")
        with concurrent.futures.ThreadPoolExecutor(5) as pool:
            sent = [pool.submit(client.send_message, Message("hello")) for _ in range(5)]
            wait_for(lambda: control("GET")["hubs"][0]["classes"][0]["waiting"] > 0, "messages wait")
            for one in sent:
                one.result()
        say("  all were taken")
        limits()
        client.shutdown()


def drive(column):
    device = Limited(column)
    device.delayed()
    send = lambda client: client.send_message(Message("hello"))  # noqa: E731
    read = lambda client: client.get_twin()  # noqa: E731
    device.second("telemetry above the rate", once("d2c"), send)
    device.second("telemetry beyond the quota", ["quota=1"], send)
    device.second("a twin above the rate", once("twin-reads"), read)
    device.second("a twin beyond the quota", ["quota=1"], read)
    limits(*once("connects"))
    device.connect().shutdown()
    device.shows("a connection above the rate", device.connect)
    limits()


def main():
    for column in (
        Column("mqtt", Sync, False),
        Column("mqtt-ws", Sync, True),
        Column("aio-mqtt", aio, False),
        Column("aio-mqtt-ws", aio, True),
    ):
        column.device = f"limited-{column.device}"
        drive(column)
    same(control("GET")["hubs"][0]["limits"], "off", "limits in the end")


if __name__ == "__main__":
    run(main, 180)
