//! Connection, session and link state machines (specification parts 2 and 5).
