"""The unmodified azure-eventhub reads everything that the ledger lists, with exact bodies, properties and annotations."""

import base64
import concurrent.futures
import datetime
import json
import threading

from azure.eventhub import EventHubConsumerClient
from azure.eventhub.exceptions import AuthenticationError, ConnectError, EventHubError

from check import env, holds, run, same
from event import check_event

UTC = datetime.timezone.utc


def consumer(group="$Default", connection_string=None):
    return EventHubConsumerClient.from_connection_string(
        connection_string or env("EVENT_HUB_CONNECTION_STRING"),
        consumer_group=group,
        connection_verify=env("CA"),
        retry_total=0,
    )


def read_partition(partition, position, inclusive, last, group="$Default"):
    """Reads one partition from `position` up to the event with the sequence number `last`."""
    client = consumer(group)
    events, errors, done = [], [], threading.Event()

    def on_event(_context, event):
        events.append(event)
        if event.sequence_number >= last:
            done.set()

    def on_error(_context, error):
        errors.append(error)
        done.set()

    def receive():
        try:
            client.receive(
                on_event=on_event,
                on_error=on_error,
                partition_id=partition,
                starting_position=position,
                starting_position_inclusive=inclusive,
            )
        except Exception as error:  # pylint: disable=broad-except
            on_error(None, error)

    thread = threading.Thread(target=receive, daemon=True)
    thread.start()
    arrived = done.wait(30)
    client.close()
    thread.join(10)
    if errors:
        raise errors[0]
    holds(arrived, f"read partition {partition} up to {last}: {len(events)} events")
    return events


def in_span(time, ledger):
    ms = time.timestamp() * 1000
    return ledger["startMs"] - 1000 <= ms <= ledger["endMs"] + 1000


def describe(client, ledger):
    hub = client.get_eventhub_properties()
    same(hub["eventhub_name"], env("EVENT_HUB_NAME"), "event hub name")
    same(hub["partition_ids"], ["0", "1", "2", "3"], "partition ids")
    holds(hub["created_at"] <= datetime.datetime.now(UTC), f"created at {hub['created_at']}")
    partitions = []
    for partition_id in hub["partition_ids"]:
        partition = client.get_partition_properties(partition_id)
        same([partition["eventhub_name"], partition["id"]], [env("EVENT_HUB_NAME"), partition_id], "partition")
        count = partition["last_enqueued_sequence_number"] - partition["beginning_sequence_number"] + 1
        same(partition["is_empty"], count == 0, f"partition {partition_id} holds {count} events; is_empty")
        same(type(partition["last_enqueued_offset"]), str, f"last offset {partition['last_enqueued_offset']}: type")
        if count:
            time = partition["last_enqueued_time_utc"]
            holds(in_span(time, ledger), f"last enqueued at {time}")
        partitions.append({**partition, "count": count})
    return partitions


def read_all(partition):
    """Every event of a partition, its numbering checked."""
    events = read_partition(partition["id"], "-1", False, partition["last_enqueued_sequence_number"])
    first = partition["beginning_sequence_number"]
    same(
        [event.sequence_number for event in events],
        list(range(first, first + partition["count"])),
        f"sequence numbers of partition {partition['id']}",
    )
    same(events[-1].offset, partition["last_enqueued_offset"], "offset of the last event")
    same(len({event.offset for event in events}), len(events), "different offsets")
    return events


def positions(partition, events):
    """Starting after or at a sequence number, an offset or a time gives exactly the rest."""
    last = partition["last_enqueued_sequence_number"]

    # Something must be left after it, or there would be nothing to wait for.
    index = min(1, len(events) - 2)
    at = events[index]
    last_time = events[-1].enqueued_time
    # Two events may share a millisecond: take the latest time after which something is left.
    times = [event.enqueued_time for event in events if event.enqueued_time < last_time]
    time = times[-1] if times else events[0].enqueued_time - datetime.timedelta(milliseconds=1)
    cases = [
        (at.sequence_number, False, events[index + 1 :], f"after sequence number {at.sequence_number}"),
        (at.sequence_number, True, events[index:], f"sequence number {at.sequence_number}"),
        (at.offset, False, events[index + 1 :], f"after offset {at.offset}"),
        (at.offset, True, events[index:], f"offset {at.offset}"),
        (time, False, [event for event in events if event.enqueued_time > time], f"after time {time}"),
        (time, True, [event for event in events if event.enqueued_time >= time], f"time {time}"),
    ]
    # At the same time: this client takes more than a second for each, and readers of one group (a hub serves five) must not disturb each other.
    with concurrent.futures.ThreadPoolExecutor(max_workers=4) as pool:
        reads = [pool.submit(read_partition, partition["id"], case[0], case[1], last) for case in cases]
    for read, (_, _, expected, what) in zip(reads, cases):
        numbers = [event.sequence_number for event in read.result()]
        same(numbers, [event.sequence_number for event in expected], f"from {what}")


def refusals():
    try:
        read_partition("0", "-1", False, 0, group="no-such-group")
    except (ConnectError, EventHubError) as error:
        holds("amqp:not-found" in f"{error!r} {error}", f"unknown consumer group: {error}")
    else:
        raise AssertionError("an unknown consumer group was served")
    parts = [
        f"SharedAccessKey={base64.b64encode(b'not the key of this policy').decode()}"
        if part.startswith("SharedAccessKey=")
        else part
        for part in env("EVENT_HUB_CONNECTION_STRING").split(";")
    ]
    thief = consumer(connection_string=";".join(parts))
    try:
        thief.get_eventhub_properties()
    except AuthenticationError as error:
        print(f"  wrong key: {error}")
    else:
        raise AssertionError("a wrong key was served")
    finally:
        thief.close()


def main():
    with open(env("LEDGER"), encoding="utf-8") as file:
        ledger = json.load(file)
    with consumer() as client:
        partitions = describe(client, ledger)
    same(sum(partition["count"] for partition in partitions), len(ledger["entries"]), "events in all partitions")
    events, fullest = [], (None, [])
    for partition in (candidate for candidate in partitions if candidate["count"]):
        found = read_all(partition)
        events.extend((partition["id"], event) for event in found)
        if len(found) > len(fullest[1]):
            fullest = (partition, found)
    for device in sorted({entry["device"] for entry in ledger["entries"]}):
        expected = [entry for entry in ledger["entries"] if entry["device"] == device]
        seen = [item for item in events if item[1].system_properties.get(b"iothub-connection-device-id") == device.encode()]
        same(len(seen), len(expected), f"events of {device}")
        same(len({partition for partition, _ in seen}), 1, f"partitions of {device}")
        for (_, event), entry in zip(seen, expected):
            check_event(event, entry, ledger)
    positions(*fullest)
    refusals()
    for capability in ledger.get("capabilities", []):
        print(capability, flush=True)


if __name__ == "__main__":
    run(main)
