//! The AMQP head over real TLS sockets, by a client that knows AMQP and nothing of our own device client.

mod c2d;
mod cbs;
mod certificates;
mod client;
mod control;
mod events;
mod failover;
mod faults;
mod links;
mod log;
mod methods;
mod modules;
mod positions;
mod readers;
mod registering;
mod sasl;
mod story;
mod telemetry;
mod tokens;
mod twin;
mod upkeep;
mod websocket;
mod wire;
