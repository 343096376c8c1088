"""Proton as the listening side of the peer protocol: `proton_mirror.py HOST:PORT`, runs until it is ended."""

import collections
import re
import sys

from proton import Condition, Message
from proton.handlers import MessagingHandler
from proton.reactor import Container

import peer


class Tally:
    """How the deliveries of `count` on a connection ended, and how many are still open."""

    def __init__(self):
        self.open = 0
        self.link = None
        self.seen = collections.Counter({name: 0 for name in peer.OUTCOMES})


class Mirror(MessagingHandler):
    def __init__(self, address):
        super().__init__(prefetch=10, auto_accept=False)
        self.address = address
        self.queues = {}
        self.tallies = {}
        self.echoes = {}

    def on_start(self, event):
        event.container.listen(self.address)
        print("ready", flush=True)

    def on_connection_bound(self, event):
        peer.configure(event.transport)

    def on_link_opening(self, event):
        event.link.source.copy(event.link.remote_source)
        event.link.target.copy(event.link.remote_target)

    def on_link_opened(self, event):
        link = event.link
        if link.is_sender:
            self.sender_opened(event, link, link.remote_source.address or "")
        elif link.remote_target.address == "end":
            event.session.condition = Condition("amqp:resource-limit-exceeded", "as asked")
            event.session.close()
        elif link.remote_target.address not in ("judge", "echo", "detach"):
            refuse(link, "amqp:not-found", "no such node")

    def sender_opened(self, event, link, address):
        counted = re.fullmatch(r"count/(\d+)/(\d+)", address)
        if counted:
            total, size = map(int, counted.groups())
            self.queues[link] = [
                Message(id=f"m-{i}", properties={"index": i}, body=peer.body(i, size), inferred=True) for i in range(total)
            ]
            self.tally(event).open += total
        elif address == "tally":
            self.tally(event).link = link
            self.report(self.tally(event))
        elif address == "echo":
            self.echoes[event.session] = link
            self.queues[link] = []
        else:
            refuse(link, "amqp:not-found", "no such node")
        self.pump(link)

    def on_sendable(self, event):
        self.pump(event.sender)

    def pump(self, link):
        queue = self.queues.get(link, [])
        while queue and link.credit:
            link.send(queue.pop(0))

    def on_settled(self, event):
        if event.link.is_sender and (event.link.remote_source.address or "").startswith("count/"):
            tally = self.tally(event)
            tally.seen[peer.judge(event.delivery)] += 1
            tally.open -= 1
            self.report(tally)

    def tally(self, event):
        return self.tallies.setdefault(event.connection, Tally())

    def report(self, tally):
        """Answers a waiting `tally` link once nothing is open any more: its attach may overtake the last dispositions."""
        if tally.open == 0 and tally.link:
            link, tally.link = tally.link, None
            self.queues[link] = [Message(properties=dict(tally.seen))]
            self.pump(link)

    def on_message(self, event):
        address = event.link.remote_target.address
        if address == "judge":
            return peer.settle(event.delivery, event.message.properties["outcome"])
        peer.settle(event.delivery, "accepted")
        if address == "detach":
            return refuse(event.link, "amqp:link:detach-forced", "as asked")
        link = self.echoes[event.session]
        # A copy: the body is a view into memory that dies with the received message.
        body = bytes(event.message.body)
        self.queues[link].append(Message(correlation_id=event.message.id, body=body, inferred=True))
        return self.pump(link)

    def on_link_error(self, event):
        event.link.close()

    def on_session_error(self, event):
        event.session.close()

    def on_connection_error(self, event):
        print("connection error:", event.connection.remote_condition, file=sys.stderr, flush=True)

    def on_transport_error(self, event):
        print("transport error:", event.transport.condition, file=sys.stderr, flush=True)


def refuse(link, condition, description):
    link.condition = Condition(condition, description)
    link.close()


if __name__ == "__main__":
    Container(Mirror(sys.argv[1])).run()
