//! The codec from outside: against recordings, against damage, against itself.

mod footprint;
mod mutations;
mod recorded;
mod recordings;
mod round_trips;
mod strategies;
