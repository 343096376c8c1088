"""Writes a file of device connection strings, as `drawspan serve --devices-file` takes it, with keys derived from the enrollment group's.

Arguments: the file, then any number of ranges `PREFIX:FIRST:LAST[:wrong]`; devices of a range with `wrong` get keys of another group.
"""

import base64
import hashlib
import hmac
import sys

from check import env, holds, run


def key(group, device):
    digest = hmac.new(base64.b64decode(group), device.encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


def lines(hub, group, other):
    for argument in sys.argv[2:]:
        prefix, first, last, *wrong = argument.split(":")
        for number in range(int(first), int(last) + 1):
            device = f"{prefix}{number}"
            yield f"HostName={hub};DeviceId={device};SharedAccessKey={key(other if wrong else group, device)}\n"


def main():
    other = base64.b64encode(b"key of no enrollment group, 32 B").decode()
    devices = list(lines(env("HUB"), env("GROUP_KEY"), other))
    holds(devices, f"{len(devices)} devices")
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        file.writelines(devices)


if __name__ == "__main__":
    run(main, 60)
