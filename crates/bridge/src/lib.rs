//! What a device connection is: wanted against actual state, retry schedule, as pure functions of (state, input, now).
