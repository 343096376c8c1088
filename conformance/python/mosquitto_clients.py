"""The programs mosquitto_pub and mosquitto_sub as foreign MQTT clients, of whatever version this machine has. Each connects for one purpose and
ends, so that they cannot answer a call of a method or hear what a twin request gives. `drawspan hub` is the back end.
"""

import subprocess
import time
import urllib.parse

from backend import create, derived, disable, entry, hub, record, sas, write_ledger
from check import capability, env, holds, line, run, same

COLUMN = "mosquitto-mqtt"
API = "api-version=2021-04-12"


def arguments(program, device, key, life_s=600):
    resource = f"{env('HUB')}/devices/{device}"
    user_name, password = f"{env('HUB')}/{device}/?{API}", sas(resource, key, life_s)
    where = ["-h", env("HUB"), "-p", "8883", "--cafile", env("CA"), "-V", "mqttv311"]
    return [program, *where, "-i", device, "-u", user_name, "-P", password, "-q", "1"]


def output(command, status=0):
    """What a program prints; it must end with this status."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    same((done.returncode, command[0]), (status, command[0]), f"exit status {done.stderr.strip()!r}")
    return done.stdout


def publish(device, key, topic, body, status=0, life_s=600):
    return output([*arguments("mosquitto_pub", device, key, life_s), "-t", topic, "-m", body], status)


def refusals(device, key, events):
    off = create("mosquitto-off")["authentication"]["symmetricKey"]["primaryKey"]
    disable("mosquitto-off")
    for what, name, its_key, life_s in (
        ("a wrong key", device, derived("another"), 600),
        ("an unknown device", "nobody", key, 600),
        ("a disabled device", "mosquitto-off", off, 600),
        ("an expired token", device, key, -3600),
    ):
        # The programs end with the CONNACK's return code.
        publish(name, its_key, f"devices/{name}/messages/events/", "x", 5, life_s)
        capability(COLUMN, what, "CONNACK 5")
    publish(device, key, f"{events}a=%zz", "x", 7)


def receives(device, key, events):
    """By two programs in one session: the second goes on where the first ended, and leaves a will when it is killed."""
    topic = f"devices/{device}/messages/devicebound/#"
    listening = [*arguments("mosquitto_sub", device, key), "-c", "-v", "-t", topic]
    output([*listening, "-E"])
    hub("send", device, "to you", "--message-id", "m 1", "--property", "with space=a=b")
    printed = output([*listening, "-C", "1", "-W", "20"])
    topic, _, body = printed.strip().partition(" ")
    head, _, bag = topic.rpartition("/")
    same((head, body), (f"devices/{device}/messages/devicebound", "to you"), "topic and body")
    found = dict(urllib.parse.parse_qsl(bag))
    same((found["$.mid"], found["with space"]), ("m 1", "a=b"), "properties")
    same(record(device)["cloudToDeviceMessageCount"], 0, "messages that are left at the hub")
    for what in ("messages to the device", "a message is completed", "a session goes on"):
        capability(COLUMN, what)
    will = ["--will-topic", f"{events}kind=last", "--will-payload", "gone", "--will-qos", "1"]
    with subprocess.Popen([*listening, *will], stdout=subprocess.PIPE, text=True) as vanishing:
        hub("send", device, "still here?")
        holds("still here?" in vanishing.stdout.readline(), "connected")
        vanishing.kill()


def main():
    start_ms, device = int(time.time() * 1000), "mosquitto"
    created = create(device)
    key, events = created["authentication"]["symmetricKey"]["primaryKey"], f"devices/{device}/messages/events/"
    publish(device, key, f"{events}%24.mid=m%201&level=high", "one")
    refusals(device, key, events)
    receives(device, key, events)
    generation = created["generationId"]
    entries = [
        entry(device, generation, b"one", messageId="m 1", properties={"level": "high"}),
        entry(device, generation, b"gone", properties={"kind": "last", "iothub-MessageType": "Will"}),
    ]
    write_ledger(start_ms, entries, [line(COLUMN, "telemetry"), line(COLUMN, "a will")])


if __name__ == "__main__":
    run(main)
