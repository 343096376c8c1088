//! Drives an AMQP engine over a socket: TLS, TCP options, flushing.
