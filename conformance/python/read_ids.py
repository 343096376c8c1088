"""The unmodified azure-eventhub finds every message that was answered 200 according to the ledgers of loads, once or more often,
and none that was answered 503, which means that nothing was sent.

Arguments: how many seconds reading may take, then the ledgers. Without arguments: 90 s and LOAD_LEDGER.
"""

import collections
import json
import sys
import threading

from azure.eventhub import EventHubConsumerClient

from check import env, holds, run

PREFETCH = 3000
SECONDS = int(sys.argv[1]) if len(sys.argv) > 1 else 90


def answered():
    """Id and device of the messages with 200, and of those with 503, from lines that begin with id, device and status."""
    ok, unsent = set(), set()
    for path in sys.argv[2:] or [env("LOAD_LEDGER")]:
        with open(path, encoding="utf-8") as ledger:
            for line in ledger:
                message, device, status, *_ = line.split("\t")
                if status in ("200", "503"):
                    (ok if status == "200" else unsent).add((int(message), device))
    return ok, unsent


def consumer():
    return EventHubConsumerClient.from_connection_string(
        env("EVENT_HUB_CONNECTION_STRING"), consumer_group="$Default", connection_verify=env("CA"), retry_total=0
    )


def read(partition, last, found, errors):
    """Reads a partition from its beginning up to the event with the sequence number `last`."""
    client, done = consumer(), threading.Event()

    def on_batch(_context, events):
        for event in events:
            device = event.system_properties[b"iothub-connection-device-id"].decode()
            found[json.loads(b"".join(event.body))["id"], device] += 1
        if events and events[-1].sequence_number >= last:
            done.set()

    def on_error(_context, error):
        errors.append(error)
        done.set()

    def receive():
        try:
            client.receive_batch(
                on_batch,
                on_error=on_error,
                partition_id=partition,
                starting_position="-1",
                prefetch=PREFETCH,
                max_batch_size=PREFETCH,
                max_wait_time=1,
            )
        except Exception as error:  # pylint: disable=broad-except
            on_error(None, error)

    threading.Thread(target=receive, daemon=True).start()
    if not done.wait(SECONDS):
        errors.append(TimeoutError(f"partition {partition} not read up to {last} in {SECONDS} s"))
    client.close()


def main():
    expected, unsent = answered()
    holds(expected, f"{len(expected)} messages were accepted")
    with consumer() as client:
        lasts = {
            partition: client.get_partition_properties(partition)["last_enqueued_sequence_number"]
            for partition in client.get_partition_ids()
        }
    founds, errors = [], []
    readers = []
    for partition, last in lasts.items():
        if last < 0:
            continue
        founds.append(collections.Counter())
        readers.append(threading.Thread(target=read, args=(partition, last, founds[-1], errors), daemon=True))
        readers[-1].start()
    for reader in readers:
        reader.join()
    if errors:
        raise errors[0]
    found = sum(founds, collections.Counter())
    missing = [key for key in expected if key not in found]
    again = sum(found[key] - 1 for key in expected if found[key] > 1)
    late = [key for key in unsent if key in found]
    print(f"  {sum(found.values())} events, {again} of the accepted ones twice or more", flush=True)
    holds(not missing, f"{len(missing)} of {len(expected)} accepted messages are missing, as {missing[:3]}")
    holds(not late, f"{len(late)} of {len(unsent)} messages with 503 are at the hub, as {late[:3]}")


if __name__ == "__main__":
    run(main, SECONDS + 30)
