//! What goes over the wire between the bridge, its callers and the receivers of events: the JSON of requests, answers and
//! events, and their schemas, of which the API's description is made.
// They panic where nobody reads.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod encoded;

pub mod answers;
pub mod events;
pub mod model_id;
pub mod requests;
pub mod words;
