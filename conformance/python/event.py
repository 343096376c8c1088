"""One event of azure-eventhub against one entry of the ledger."""

import base64
import datetime
import json

from check import holds, same

ALWAYS = {
    "iothub-connection-auth-generation-id",
    "iothub-connection-auth-method",
    "iothub-connection-device-id",
    "iothub-enqueuedtime",
    "iothub-message-source",
    "x-opt-enqueued-time",
    "x-opt-offset",
    "x-opt-sequence-number",
}


def text(value):
    """This client hands strings and symbols over as bytes, uuids as UUID."""
    if value is None:
        return None
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


def check_event(event, entry, ledger):
    print(f"  event {event.sequence_number} of {entry['device']}:")
    raw = event.raw_amqp_message
    body = b"".join(event.body)
    holds(body == base64.b64decode(entry["bodyBase64"]), f"body of {len(body)} bytes is exact")
    same(event.body_type.value, "data", "body type")
    for name, key in (
        ("message_id", "messageId"),
        ("correlation_id", "correlationId"),
        ("content_type", "contentType"),
        ("content_encoding", "contentEncoding"),
    ):
        same(text(getattr(raw.properties, name) if raw.properties else None), entry[key], name)
    check_properties({text(name): text(value) for name, value in (event.properties or {}).items()}, entry)
    check_annotations({text(name): value for name, value in raw.annotations.items()}, entry, ledger)


def check_properties(properties, entry):
    if entry.get("creationTime"):
        # The bridge passes an instant on; its spelling may differ, not its value.
        same(instant(properties.pop("iothub-creation-time-utc")), instant(entry["creationTime"]), "creation time")
    same(properties, entry["properties"], "application properties")


def instant(iso):
    """ISO 8601 in UTC, with any number of fractional digits."""
    whole, _, fraction = iso.removesuffix("Z").removesuffix("+00:00").partition(".")
    holds(iso.endswith(("Z", "+00:00")), f"{iso} is in UTC")
    seconds = datetime.datetime.fromisoformat(whole).replace(tzinfo=datetime.timezone.utc).timestamp()
    return seconds + (float(f"0.{fraction}") if fraction else 0.0)


def check_annotations(annotations, entry, ledger):
    stamps = {"dt-dataschema": entry.get("model"), "dt-subject": entry["component"]}
    expected = ALWAYS | {name for name, value in stamps.items() if value is not None}
    same(sorted(set(annotations) - {"x-opt-partition-key"}), sorted(expected), "annotations")
    same(text(annotations.get("x-opt-partition-key", entry["device"])), entry["device"], "partition key, where there is one")
    for name, value in stamps.items():
        same(text(annotations.get(name)), value, name)
    same(text(annotations["iothub-connection-device-id"]), entry["device"], "iothub-connection-device-id")
    same(text(annotations["iothub-connection-auth-generation-id"]), entry["generationId"], "iothub-connection-auth-generation-id")
    same(
        json.loads(annotations["iothub-connection-auth-method"]),
        {"scope": entry["authScope"], "type": "sas", "issuer": "iothub", "acceptingIpFilterRule": None},
        "iothub-connection-auth-method",
    )
    same(text(annotations["iothub-message-source"]), "Telemetry", "iothub-message-source")
    same(type(annotations["x-opt-offset"]), bytes, "type of x-opt-offset, an AMQP string")
    for name in ("iothub-enqueuedtime", "x-opt-enqueued-time"):
        ms = annotations[name]
        same(type(ms), int, f"{name} = {ms}: type")
        holds(ledger["startMs"] - 1000 <= ms <= ledger["endMs"] + 1000, f"{name} lies while the sender ran")
