"""Proton as the connecting side of the peer protocol: `proton_driver.py HOST:PORT [--distinct-names]`, exit 0 when the
mirror did all that was asked. Proton gives the two links of a pair one and the same name, as it is free to do."""

import sys

from proton import Message
from proton.handlers import MessagingHandler
from proton.reactor import Container

import peer
from check import holds, run, same


class Driver(MessagingHandler):
    """Runs `script`, a generator; it yields a condition and goes on at the event after which that holds."""

    def __init__(self, address, shared_names):
        super().__init__(prefetch=0, auto_accept=False)
        self.address = address
        self.shared_names = shared_names
        self.inbox, self.plans, self.outboxes, self.places, self.outcomes = {}, {}, {}, {}, {}
        self.opened, self.errors, self.ended, self.closed, self.timer = set(), {}, {}, False, False
        self.failure, self.done, self.condition = None, False, lambda: True

    def on_start(self, event):
        self.container = event.container
        self.connection = self.container.connect(self.address, reconnect=False, heartbeat=2 * peer.IDLE_S)
        self.steps = self.script()
        self.advance()

    def on_connection_bound(self, event):
        peer.configure(event.transport)

    def advance(self):
        try:
            while not self.done and self.condition():
                self.condition = next(self.steps)
        except StopIteration:
            self.done = True
        except BaseException as error:  # the container would swallow nothing, but must stop first
            self.failure, self.done = error, True
            self.container.stop()

    # What happens, noted.

    def on_connection_opened(self, event):
        self.opened.add(self.connection)
        self.advance()

    def on_link_opened(self, event):
        self.opened.add(event.link)
        self.advance()

    def on_sendable(self, event):
        self.pump(event.link)

    def pump(self, link):
        queue = self.outboxes.get(link, [])
        while queue and link.credit:
            place, message = queue.pop(0)
            self.places[link.send(message)] = place

    def on_settled(self, event):
        if event.link.is_sender:
            self.outcomes.setdefault(event.link, {})[self.places.pop(event.delivery)] = peer.judge(event.delivery)
            self.advance()

    def on_message(self, event):
        messages = self.inbox.setdefault(event.link, [])
        peer.settle(event.delivery, self.plans[event.link](len(messages)))
        messages.append(event.message)
        self.advance()

    def on_link_error(self, event):
        self.errors[event.link] = event.link.remote_condition
        event.link.close()
        self.advance()

    def on_session_error(self, event):
        self.ended[event.session] = event.session.remote_condition
        event.session.close()
        self.advance()

    def on_connection_closed(self, event):
        self.closed = True
        self.advance()

    def on_timer_task(self, event):
        self.timer = True
        self.advance()

    def on_connection_error(self, event):
        self.fail(f"connection error: {event.connection.remote_condition}")

    def on_transport_error(self, event):
        self.fail(f"transport error: {event.transport.condition}")

    def on_disconnected(self, event):
        if not self.closed:
            self.fail("disconnected")

    def fail(self, why):
        self.failure = self.failure or AssertionError(why)
        self.done = True
        self.container.stop()

    # What is done, in order.

    def script(self):
        yield lambda: self.connection in self.opened
        announced = self.connection.transport.remote_idle_timeout
        holds(announced > 0, f"the mirror announces an idle time-out of {announced} s")
        session = self.connection.session()
        session.open()
        yield from self.judge(session)
        yield from self.counted(session, 40, 10, lambda i: peer.OUTCOMES[i % 4])
        yield from self.tally(session)
        yield from self.counted(session, 10, 300000, lambda i: "accepted")
        ping = self.echo(session)
        yield from ping("small", 10)
        yield from ping("large", 300000)
        yield from self.refused(session)
        yield from self.detached(session)
        yield from self.ended_session()
        yield from ping("after the other session ended", 10)
        print("  silent for three times the idle time-out", flush=True)
        self.container.schedule(3 * peer.IDLE_S, self)
        yield lambda: self.timer
        yield from ping("after the silence", 10)
        self.connection.close()
        yield lambda: self.closed

    def sender(self, session, address, name=None):
        return self.container.create_sender(session, address, name=name or f"to-{address}")

    def receiver(self, session, address, name=None, plan=lambda i: "accepted"):
        receiver = self.container.create_receiver(session, address, name=name or f"from-{address}")
        self.plans[receiver] = plan
        return receiver

    def send_all(self, sender, messages):
        self.outcomes[sender] = {}
        self.outboxes[sender] = list(enumerate(messages))
        self.pump(sender)
        yield lambda: len(self.outcomes[sender]) == len(messages)
        return [self.outcomes[sender][place] for place in range(len(messages))]

    def judge(self, session):
        asked = [peer.OUTCOMES[i % 4] for i in range(80)]
        sender = self.sender(session, "judge")
        messages = [Message(id=f"j-{i}", properties={"outcome": asked[i]}, body=peer.body(i, 100), inferred=True) for i in range(80)]
        same((yield from self.send_all(sender, messages)), asked, "outcomes as asked")
        sender.close()

    def counted(self, session, total, size, plan):
        receiver = self.receiver(session, f"count/{total}/{size}", plan=plan)
        for upto in range(5, total + 1, 5):
            receiver.flow(5)
            yield lambda upto=upto: len(self.inbox.get(receiver, [])) == upto
        messages = self.inbox.pop(receiver)
        same([message.id for message in messages], [f"m-{i}" for i in range(total)], "message ids")
        same([int(message.properties["index"]) for message in messages], list(range(total)), "indexes")
        exact = all(bytes(message.body) == peer.body(i, size) for i, message in enumerate(messages))
        holds(exact, f"{total} bodies of {size} bytes are exact")
        receiver.close()

    def tally(self, session):
        receiver = self.receiver(session, "tally")
        receiver.flow(1)
        yield lambda: self.inbox.get(receiver)
        seen = {name: int(number) for name, number in self.inbox[receiver][0].properties.items()}
        same(seen, {name: 10 for name in peer.OUTCOMES}, "tally of the mirror")
        receiver.close()

    def echo(self, session):
        shared = "echo" if self.shared_names else None
        receiver = self.receiver(session, "echo", name=shared)
        sender = self.sender(session, "echo", name=shared)

        def ping(name, size):
            self.inbox[receiver] = []
            receiver.flow(1)
            message = Message(id=name, body=peer.body(7, size), inferred=True)
            same((yield from self.send_all(sender, [message])), ["accepted"], f"{name} of {size} bytes")
            yield lambda: self.inbox[receiver]
            back = self.inbox[receiver][0]
            same(back.correlation_id, name, "correlation id of the echo")
            holds(bytes(back.body) == peer.body(7, size), "the echo is exact")

        return ping

    def refused(self, session):
        for link, what in ((self.sender(session, "missing"), "target"), (self.receiver(session, "missing"), "source")):
            yield lambda link=link: link in self.errors
            same(self.errors[link].name, "amqp:not-found", f"missing {what}")

    def detached(self, session):
        sender = self.sender(session, "detach")
        same((yield from self.send_all(sender, [Message(body=b"last", inferred=True)])), ["accepted"], "last message before the detach")
        yield lambda: sender in self.errors
        error = self.errors[sender]
        same([error.name, error.description], ["amqp:link:detach-forced", "as asked"], "detach")

    def ended_session(self):
        session = self.connection.session()
        session.open()
        self.sender(session, "end")
        yield lambda: session in self.ended
        error = self.ended[session]
        same([error.name, error.description], ["amqp:resource-limit-exceeded", "as asked"], "end of the second session")


def main():
    driver = Driver(sys.argv[1], "--distinct-names" not in sys.argv)
    Container(driver).run()
    if driver.failure:
        raise driver.failure
    holds(driver.done, "the script came to its end")


if __name__ == "__main__":
    run(main, 60)
