"""The unmodified azure-iot-device uploads files: it asks for a place and says how that ended, over HTTPS beside its MQTT connection.
The file itself is put by plain HTTP requests, as Azure Storage's REST interface has them.
"""

import base64
import hashlib

import requests
from azure.iot.device import aio
from azure.iot.device.exceptions import ClientError

from check import env, holds, run, same
from device_mqtt import Column, Sync, derived, refused


def url(place):
    return f"https://{place['hostName']}/{place['containerName']}/{place['blobName']}{place['sasToken']}"


def put(place, body, query="", **headers):
    return requests.put(url(place) + query, data=body, headers=headers, timeout=60, verify=env("CA"))


def get(place):
    return requests.get(url(place), timeout=60, verify=env("CA"))


def md5(body):
    return base64.b64encode(hashlib.md5(body).digest()).decode()


def at_once(device, name):
    body = bytes(range(256)) * 5000
    place = device.get_storage_info_for_blob("at once.bin")
    same(sorted(place), ["blobName", "containerName", "correlationId", "hostName", "sasToken"], "fields of a place")
    same(place["blobName"], f"{name}/at once.bin", "name of the blob")
    answer = put(place, body, **{"x-ms-blob-type": "BlockBlob", "Content-MD5": md5(body), "x-ms-client-request-id": "mine"})
    same([answer.status_code, answer.headers["Content-MD5"]], [201, md5(body)], "put at once")
    same(answer.headers["x-ms-client-request-id"], "mine", "the client's own id")
    holds(get(place).content == body, "the contents are exact")
    device.notify_blob_upload_status(place["correlationId"], True, 201, "Created")
    refused(
        ClientError,
        "the same again",
        device.notify_blob_upload_status,
        place["correlationId"],
        True,
        201,
        "Created",
    )


def in_blocks(device):
    place = device.get_storage_info_for_blob("in/blocks.bin")
    blocks = {base64.b64encode(f"{number:06}".encode()).decode(): bytes([number]) * 100_000 for number in range(20)}
    for name, body in blocks.items():
        answer = put(place, body, f"&comp=block&blockid={requests.utils.quote(name, safe='')}")
        if answer.status_code != 201:
            raise AssertionError(f"block {name}: {answer.status_code} {answer.text}")
    same(get(place).status_code, 404, "before the list")
    listed = "".join(f"<Latest>{name}</Latest>" for name in blocks)
    answer = put(place, f'<?xml version="1.0" encoding="utf-8"?><BlockList>{listed}</BlockList>', "&comp=blocklist")
    same(answer.status_code, 201, "the list")
    holds(get(place).content == b"".join(blocks.values()), "the contents are exact")
    device.notify_blob_upload_status(place["correlationId"], True, 201, "Created")


def refusals(device):
    place = device.get_storage_info_for_blob("refused.bin")
    cases = [
        ("another MD5", 400, "Md5Mismatch", put(place, b"x", **{"x-ms-blob-type": "BlockBlob", "Content-MD5": md5(b"y")})),
        ("a page blob", 501, "NotImplemented", put(place, b"", **{"x-ms-blob-type": "PageBlob"})),
        ("a lease", 501, "NotImplemented", put(place, b"", "&comp=lease", **{"x-ms-lease-action": "acquire"})),
        ("no type", 400, "MissingRequiredHeader", put(place, b"x")),
        ("no list", 400, "InvalidXmlDocument", put(place, b"{}", "&comp=blocklist")),
        ("no block id", 400, "InvalidQueryParameterValue", put(place, b"x", "&comp=block&blockid=%21")),
    ]
    for what, status, code, answer in cases:
        same([answer.status_code, answer.headers["x-ms-error-code"]], [status, code], what)
    same(get(place).status_code, 404, "nothing came of them")
    device.notify_blob_upload_status(place["correlationId"], False, 400, "refused")


def drive(column):
    print(f"{column.name}:", flush=True)
    name = f"{column.device}-upload"
    same(column.provisioning(name, derived(name)).register().status, "assigned", "status of the registration")
    device = column.client(name, derived(name))
    device.connect()
    at_once(device, name)
    in_blocks(device)
    refusals(device)
    column.shows("file upload")
    device.shutdown()


def main():
    for name, kind in (("mqtt", Sync), ("aio-mqtt", aio)):
        drive(Column(name, kind, False))
        drive(Column(f"{name}-ws", kind, True))


if __name__ == "__main__":
    run(main)
