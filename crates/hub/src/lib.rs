//! The Azure IoT Hub and DPS contract as pure values: ids, tokens, addresses, messages, failures, limits.
