//! What goes over the wire between the bridge, its callers and the receivers of events: the JSON of requests, answers and
//! events, and their schemas, of which the API's description is made.

mod encoded;

pub mod answers;
pub mod events;
pub mod model_id;
pub mod requests;
pub mod words;
