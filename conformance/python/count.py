"""The unmodified azure-eventhub says how many messages ever reached the hub. Prints `total N`.

`AT` (address:port) is where the client's connections go: it can be told a host name, but no port.
"""

import os
import socket

from azure.eventhub import EventHubConsumerClient

from check import env, run


def lead_to(address):
    """Name look-ups of this process lead to `address`; TLS still checks the name."""
    host, port = address.rsplit(":", 1)
    look_up = socket.getaddrinfo
    socket.getaddrinfo = lambda _host, _port, *args, **kwargs: look_up(host, int(port), *args, **kwargs)


def main():
    if os.environ.get("AT"):
        lead_to(env("AT"))
    client = EventHubConsumerClient.from_connection_string(
        env("EVENT_HUB_CONNECTION_STRING"), consumer_group="$Default", connection_verify=env("CA"), retry_total=0
    )
    total = 0
    with client:
        for partition in client.get_partition_ids():
            properties = client.get_partition_properties(partition)
            # Numbers begin at 0, and stay when old messages go. An empty partition says -1.
            total += properties["last_enqueued_sequence_number"] + 1
    print(f"total {total}")


if __name__ == "__main__":
    run(main, 60)
