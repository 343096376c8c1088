"""What both Proton roles of the peer protocol share; see ../README.md."""

from proton import Condition, Delivery

OUTCOMES = ["accepted", "rejected", "released", "modified"]
IDLE_S = 1.0

_STATES = {
    "accepted": Delivery.ACCEPTED,
    "rejected": Delivery.REJECTED,
    "released": Delivery.RELEASED,
    "modified": Delivery.MODIFIED,
}


def body(index, size):
    """The body of message `index` of a `count` source: any lost, doubled or swapped frame shows."""
    cycle = bytes((index + i * 31) % 251 for i in range(251))
    return (cycle * (size // 251 + 1))[:size]


def settle(delivery, outcome):
    """Settles an incoming delivery with the named outcome."""
    if outcome == "rejected":
        delivery.local.condition = Condition("amqp:precondition-failed", "as asked")
    if outcome == "modified":
        delivery.local.failed = True
        delivery.local.undeliverable = True
    delivery.update(_STATES[outcome])
    delivery.settle()


def judge(delivery):
    """The name of a remote outcome, or what is wrong with it."""
    name = {state: name for name, state in _STATES.items()}.get(delivery.remote_state, str(delivery.remote_state))
    if name == "rejected" and (not delivery.remote.condition or delivery.remote.condition.name != "amqp:precondition-failed"):
        return f"rejected with {delivery.remote.condition}"
    if name == "modified" and not (delivery.remote.failed and delivery.remote.undeliverable):
        return "modified without its flags"
    return name


def configure(transport):
    """Transport options that the protocol asks of both sides. Proton announces half of its time-out."""
    transport.idle_timeout = 2 * IDLE_S
    transport.max_frame_size = 16384
