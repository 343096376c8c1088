"""Tokens that end, at the machine's speed and by a step of the emulator's clock: the unmodified azure-iot-device that renews them stays, over MQTT and
over MQTT in WebSockets, and one that cannot is cut. The hub's log says 401003, then 404104, before the device connects again.
"""

import concurrent.futures
import json
import os
import pathlib
import socket
import subprocess
import threading
import time

from azure.iot.device import IoTHubDeviceClient, Message

from backend import create, sas
from check import env, holds, run, same

LIFE_S = 6
CUT = ["tokenExpired code=401003", "deviceDisconnected code=404104"]
TRANSPORTS = {"mqtt": False, "mqtt-ws": True}


class Emulator:
    """Tokens have no time beyond their expiry at it."""

    def __init__(self):
        self.log = pathlib.Path(env("FOLDER")) / "emulator-lifetimes.log"
        flags = ["--sas-grace-connect", "0", "--sas-grace-live", "0"]
        command = [env("DRAWSPAN"), *env("EMULATOR_ARGUMENTS").split("\n"), *flags]
        variables = {"DRAWSPAN_LOG": "info,drawspan_emulator::events=debug", "DRAWSPAN_LOG_FORMAT": "json"}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *command],
                env={**os.environ, **variables},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        eventually(self.is_there, "the emulator is there", 30)

    def is_there(self):
        if self.process.poll() is not None:
            raise AssertionError("the emulator ended")
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", 8883)) == 0

    def sessions(self, device):
        """The life of a device's sessions: the events' names, with the code where there is one."""
        seen = []
        for line in self.log.read_text(encoding="utf-8").splitlines():
            if "drawspan_emulator::events" not in line or not line.endswith("}"):
                continue
            fields = json.loads(line)["fields"]
            if fields.get("device") == device and fields["event"] in ("deviceConnected", "tokenExpired", "deviceDisconnected"):
                code = [word for word in fields["message"].split(" ") if word.startswith("code=")]
                seen.append(" ".join([fields["event"], *code]))
        return seen

    def lived(self, device, expected):
        eventually(lambda: len(self.sessions(device)) >= len(expected), f"the events of {device}", 20)
        same(self.sessions(device), expected, f"events of {device}")

    def ctl(self, *words):
        state = str(pathlib.Path(env("FOLDER")) / "state")
        command = [env("DRAWSPAN"), "emulator", "ctl", "--state", state, *words]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout.strip()

    def end(self):
        holds("panicked at" not in self.log.read_text(encoding="utf-8"), "the emulator never panicked")
        self.process.terminate()
        same(self.process.wait(20), 0, "status of the emulator")


def eventually(look, what, seconds=10):
    until = time.monotonic() + seconds
    while not look():
        if time.monotonic() > until:
            raise AssertionError(f"{what}: it did not come")
        time.sleep(0.02)


def authority():
    return pathlib.Path(env("CA")).read_text(encoding="ascii")


def connected(make, *arguments, **more):
    client = make(*arguments, server_verification_cert=authority(), connection_retry=False, **more)
    client.connect()
    client.send_message(Message("here"))
    return client


def is_cut(emulator, transport, device, life_s, cut):
    """Connects with a token that ends; `cut` makes it end, or waits. Then with another one."""
    name = device["deviceId"]
    key = device["authentication"]["symmetricKey"]["primaryKey"]

    def by_token():
        token = sas(f"{env('HUB')}/devices/{name}", key, life_s)
        return connected(IoTHubDeviceClient.create_from_sastoken, token, websockets=TRANSPORTS[transport])

    client, began = by_token(), time.monotonic()
    cut()
    emulator.lived(name, ["deviceConnected", *CUT])
    lived = time.monotonic() - began
    eventually(lambda: not client.connected, "the SDK notices")
    client.shutdown()
    again = by_token()
    emulator.lived(name, ["deviceConnected", *CUT, "deviceConnected"])
    again.shutdown()
    return lived


def renews(emulator, transport, device, steps):
    """Connects with a key, and renews a token of 124 seconds every four; meanwhile the clock takes steps that are longer than that."""
    name = device["deviceId"]
    key = device["authentication"]["symmetricKey"]["primaryKey"]
    more = {"websockets": TRANSPORTS[transport], "sastoken_ttl": 124}
    client = connected(IoTHubDeviceClient.create_from_symmetric_key, key, env("HUB"), name, **more)
    for _ in range(2):
        seen = len(emulator.sessions(name))
        # It renews by another connection.
        eventually(lambda: len(emulator.sessions(name)) >= seen + 2, f"a renewal of {name}", 20)
        steps.wait(30)
    client.send_message(Message("still here"))
    seen = emulator.sessions(name)
    holds(not any(event.startswith("tokenExpired") for event in seen), f"no token of {name} expired")
    client.shutdown()


def is_silent(emulator, transport, device, scale):
    """Pings every minute of the machine's time, which is an hour of the emulator's, and connects again once that has passed."""
    name = device["deviceId"]
    key = device["authentication"]["symmetricKey"]["primaryKey"]
    by_key = IoTHubDeviceClient.create_from_symmetric_key, key, env("HUB"), name
    client = connected(*by_key, websockets=TRANSPORTS[transport])
    scale.wait(30)
    cut = ["deviceConnected", "deviceDisconnected code=404104"]
    emulator.lived(name, cut)
    client.shutdown()
    scale.wait(30)
    connected(*by_key, websockets=TRANSPORTS[transport]).shutdown()
    emulator.lived(name, [*cut, "deviceConnected", "deviceDisconnected"])


def main():
    emulator = Emulator()
    devices = {(what, name): create(f"py-{what}-{name}") for what in ("cut", "skips", "steps", "scales") for name in TRANSPORTS}
    count = len(TRANSPORTS)
    with concurrent.futures.ThreadPoolExecutor(count) as pool:

        def each(what, then, *arguments):
            started = [pool.submit(then, emulator, name, devices[what, name], *arguments) for name in TRANSPORTS]
            return [one.result() for one in started]

        for lived in each("cut", is_cut, LIFE_S, lambda: None):
            holds(LIFE_S - 2.5 < lived < LIFE_S + 2, f"a token of {LIFE_S} s ended after {lived:.1f} s")

        hour = threading.Barrier(count, lambda: emulator.ctl("clock", "advance", "61m"))
        each("skips", is_cut, 3600, lambda: hour.wait(30))

        steps = threading.Barrier(count, lambda: emulator.ctl("clock", "advance", "100s"))
        each("steps", renews, steps)

        scales = iter([("clock", "scale", "60"), ("clock", "reset")])
        scale = threading.Barrier(count, lambda: emulator.ctl(*next(scales)))
        each("scales", is_silent, scale)
    emulator.end()


run(main)
