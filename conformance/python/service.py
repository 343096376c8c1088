"""The unmodified azure-iot-hub: its registry, twins, queries, bulk calls, methods and messages, whose other side is azure-iot-device over MQTT."""

import base64
import os
import queue

from check import env, holds, run, same

# Neither has an option for an authority: requests takes this one, and uAMQP what certifi says.
os.environ["REQUESTS_CA_BUNDLE"] = env("CA")
import certifi  # noqa: E402  pylint: disable=wrong-import-position

certifi.where = lambda: env("CA")

from azure.iot.device import IoTHubDeviceClient, MethodResponse  # noqa: E402  pylint: disable=wrong-import-position
from azure.iot.hub import IoTHubRegistryManager  # noqa: E402  pylint: disable=wrong-import-position
from azure.iot.hub.models import (  # noqa: E402  pylint: disable=wrong-import-position
    CloudToDeviceMethod,
    ExportImportDevice,
    QuerySpecification,
    Twin,
    TwinProperties,
)
from msrest.exceptions import HttpOperationError  # noqa: E402  pylint: disable=wrong-import-position

KEY = base64.b64encode(b"a key of a device, for tests only").decode()
OTHER = base64.b64encode(b"another key of it, for tests only").decode()


def refused(status, what, do, *arguments):
    """`do` must be refused with this status; its body, as the SDK has it."""
    try:
        do(*arguments)
    except HttpOperationError as raised:
        same(raised.response.status_code, status, f"status of {what} ({raised})")
        return raised
    raise AssertionError(f"{what} was not refused")


def devices(manager):
    created = manager.create_device_with_sas("service-1", KEY, OTHER, "enabled")
    same([created.device_id, created.status, created.connection_state], ["service-1", "enabled", "Disconnected"], "created")
    found = manager.get_device("service-1")
    same(found.authentication.symmetric_key.primary_key, KEY, "its key")
    same(found.generation_id, created.generation_id, "its generation")
    updated = manager.update_device_with_sas("service-1", created.etag, OTHER, KEY, "disabled")
    same([updated.status, updated.authentication.symmetric_key.primary_key], ["disabled", OTHER], "updated")
    refused(412, "an update of what has changed", manager.update_device_with_sas, "service-1", created.etag, KEY, OTHER, "enabled")
    refused(409, "a device that there is", manager.create_device_with_sas, "service-1", KEY, OTHER, "enabled")
    refused(404, "a device that there is not", manager.get_device, "nobody")
    manager.update_device_with_sas("service-1", updated.etag, KEY, OTHER, "enabled")
    many = [ExportImportDevice(id=f"bulk-{n}", import_mode="create", status="enabled") for n in range(3)]
    holds(manager.bulk_create_or_update_devices(many).is_successful, "three devices at once")
    same(len(manager.get_devices(10)), 4, "devices")
    statistics = manager.get_device_registry_statistics()
    same([statistics.total_device_count, statistics.enabled_device_count], [4, 4], "statistics")
    manager.delete_device("bulk-2")
    refused(404, "a device that is deleted", manager.get_device, "bulk-2")


def twins(manager):
    twin = manager.get_twin("service-1")
    same([twin.device_id, twin.properties.desired["$version"]], ["service-1", 1], "twin")
    patch = Twin(tags={"site": "a"}, properties=TwinProperties(desired={"interval": 5}))
    changed = manager.update_twin("service-1", patch, twin.etag)
    same([changed.tags, changed.properties.desired["interval"]], [{"site": "a"}, 5], "changed")
    refused(412, "a change of what has changed", manager.update_twin, "service-1", patch, twin.etag)
    refused(400, "a property with a dot", manager.update_twin, "service-1", Twin(tags={"a.b": 1}), changed.etag)
    replaced = manager.replace_twin("service-1", Twin(tags={"site": "b"}), changed.etag)
    same([replaced.tags, replaced.properties.desired.get("interval")], [{"site": "b"}, None], "replaced")
    everything, continuation, pages = [], None, 0
    while pages == 0 or continuation:
        page = manager.query_iot_hub(QuerySpecification(query="SELECT * FROM devices"), continuation, 2)
        everything += [item.device_id for item in page.items]
        continuation, pages = page.continuation_token, pages + 1
    same([sorted(everything), pages], [["bulk-0", "bulk-1", "service-1"], 2], "devices, page by page")


def device():
    with open(env("CA"), encoding="ascii") as file:
        authority = file.read()
    return IoTHubDeviceClient.create_from_symmetric_key(KEY, env("HUB"), "service-1", server_verification_cert=authority)


def messages_and_methods(manager):
    offline = refused(404, "a method of who is not there", manager.invoke_device_method, "service-1", CloudToDeviceMethod(method_name="x"))
    same(offline.response.headers["iothub-errorcode"], "DeviceNotOnline", "its code")
    connected, arrived = device(), queue.Queue()
    connected.connect()
    connected.on_message_received = arrived.put
    connected.on_method_request_received = lambda request: connected.send_method_response(
        MethodResponse.create_from_method_request(request, 207, {"got": request.payload})
    )
    answer = manager.invoke_device_method("service-1", CloudToDeviceMethod(method_name="echo", payload={"n": 1}))
    same([answer.status, answer.payload], [207, {"got": {"n": 1}}], "answer")
    manager.send_c2d_message("service-1", "to you", {"messageId": "m 1", "own": "value", "contentType": "text/plain"})
    message = arrived.get(timeout=20)
    same([message.data, message.message_id, message.content_type], [b"to you", "m 1", "text/plain"], "message")
    same(message.custom_properties["own"], "value", "its property")
    connected.shutdown()
    manager.delete_device("service-1")
    refused(404, "a twin of who is deleted", manager.get_twin, "service-1")


def main():
    manager = IoTHubRegistryManager.from_connection_string(env("HUB_CONNECTION_STRING"))
    devices(manager)
    twins(manager)
    messages_and_methods(manager)


if __name__ == "__main__":
    run(main)
