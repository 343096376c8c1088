"""uAMQP, the AMQP library of the C SDKs, by its Python binding: as a device, which puts a token by CBS, sends, and takes messages. The service is the
unmodified azure-iot-hub, whose messages to devices go over uAMQP too.
"""

import os

from check import capability, env, holds, line, run, same

# Both have no option for an authority; requests takes this one, and uAMQP where certifi says it is.
os.environ["REQUESTS_CA_BUNDLE"] = env("CA")
import certifi  # noqa: E402  pylint: disable=wrong-import-position

certifi.where = lambda: env("CA")

import time  # noqa: E402  pylint: disable=wrong-import-position

import uamqp  # noqa: E402  pylint: disable=wrong-import-position
from azure.iot.hub import IoTHubRegistryManager  # noqa: E402  pylint: disable=wrong-import-position
from uamqp import authentication, errors  # noqa: E402  pylint: disable=wrong-import-position

from backend import derived, disable, entry, sas, write_ledger  # noqa: E402  pylint: disable=wrong-import-position

COLUMN = "uamqp"
DEVICE = "uamqp"


def access(device, key, life_s=600):
    resource = f"{env('HUB')}/devices/{device}"
    # uAMQP looks at its own note of the expiry, and would not send a token that it knows to be old.
    expiry = int(time.time()) + 600
    return authentication.SASTokenAuth(
        resource, f"amqps://{env('HUB')}/devices/{device}", sas(resource, key, life_s), expires_at=expiry, verify=env("CA")
    )


def sender(device, key, life_s=600):
    target = f"amqps://{env('HUB')}/devices/{device}/messages/events"
    return uamqp.SendClient(target, auth=access(device, key, life_s), error_policy=errors.ErrorPolicy(max_retries=0))


def message(body, **more):
    properties = uamqp.message.MessageProperties(message_id=more.pop("message_id", None), content_type=more.pop("content_type", None))
    return uamqp.Message(body, properties=properties, application_properties=more or None)


def refused(error, what, do):
    """`do` must raise an `error`, which is reported."""
    try:
        do()
    except error as raised:
        print(f"  {what}: {type(raised).__name__}: {raised}", flush=True)
        capability(COLUMN, what, error.__name__)
        return
    raise AssertionError(f"{what} was not refused")


def refusals(key):
    manager = IoTHubRegistryManager.from_connection_string(env("HUB_CONNECTION_STRING"))
    manager.create_device_with_sas(f"{DEVICE}-off", derived("off"), derived("off"), "enabled")
    disable(f"{DEVICE}-off")
    # The binding reads the answer's description after it has freed it. What is left there sometimes is no text, which makes
    # it raise a TokenAuthFailure's base class.
    refusal = errors.AuthenticationException
    for what, device, its_key, life_s in (
        ("a wrong key", DEVICE, derived("another"), 600),
        ("an unknown device", "nobody", key, 600),
        ("a disabled device", f"{DEVICE}-off", derived("off"), 600),
        ("an expired token", DEVICE, key, -3600),
    ):
        client = sender(device, its_key, life_s)
        refused(refusal, what, lambda client=client: client.send_message(message("x")))
        client.close()


def sends(key):
    client = sender(DEVICE, key)
    client.send_message(message(b"single", message_id="m 1", content_type="application/json", level="high"))
    client.send_message(uamqp.BatchMessage(data=[message(b"first", of="batch"), message(b"second", of="batch")]))
    large = message(bytes(256 * 1024 + 1))
    refused(errors.ClientMessageError, "a message over 256 KB", lambda: client.send_message(large))
    client.close()


def receives(manager, key):
    for body in ("to complete", "to give back", "to reject"):
        manager.send_c2d_message(DEVICE, body, {"messageId": body, "own": "value"})
    source = f"amqps://{env('HUB')}/devices/{DEVICE}/messages/devicebound"
    client = uamqp.ReceiveClient(source, auth=access(DEVICE, key), prefetch=1, auto_complete=False)

    def take(body):
        (found,) = client.receive_message_batch(max_batch_size=1, timeout=20_000)
        same((b"".join(found.get_data()), found.properties.message_id), (body.encode(), body.encode()), "body and id")
        same(found.application_properties.get(b"own"), b"value", "property")
        return found

    holds(take("to complete").accept(), "accepted")
    holds(take("to give back").release(), "released")
    again = take("to give back")
    same(again.annotations[b"iothub-deliverycount"], 1, "its delivery count")
    holds(again.accept(), "accepted")
    holds(take("to reject").reject(), "rejected")
    client.close()
    for _ in range(100):
        left = manager.get_device(DEVICE).cloud_to_device_message_count
        if left == 0:
            break
        time.sleep(0.05)
    same(left, 0, "messages that are left at the hub")
    for what in ("messages to the device", "a message is completed", "a message is abandoned", "a message is rejected"):
        capability(COLUMN, what)


def main():
    start_ms = int(time.time() * 1000)
    key = derived(DEVICE)
    manager = IoTHubRegistryManager.from_connection_string(env("HUB_CONNECTION_STRING"))
    record = manager.create_device_with_sas(DEVICE, key, derived("secondary"), "enabled")
    refusals(key)
    sends(key)
    receives(manager, key)
    single = {"messageId": "m 1", "contentType": "application/json", "properties": {"level": "high"}}
    entries = [
        entry(DEVICE, record.generation_id, b"single", **single),
        entry(DEVICE, record.generation_id, b"first", properties={"of": "batch"}),
        entry(DEVICE, record.generation_id, b"second", properties={"of": "batch"}),
    ]
    write_ledger(start_ms, entries, [line(COLUMN, what) for what in ("telemetry", "a batch of telemetry")])


if __name__ == "__main__":
    run(main)
