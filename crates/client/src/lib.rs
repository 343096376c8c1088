//! Device client for Azure IoT Hub: many device identities over few multiplexed AMQP connections.
