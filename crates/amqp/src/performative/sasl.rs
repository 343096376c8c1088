//! SASL frames (specification 5.3).

use bytes::Bytes;

use crate::value::Symbol;

/// Any SASL frame body.
#[derive(Debug, Clone, PartialEq)]
pub enum SaslFrame {
    /// What the server offers.
    Mechanisms(Vec<Symbol>),
    /// What the client chose.
    Init {
        /// Mechanism.
        mechanism: Symbol,
        /// First answer, if the mechanism has one.
        initial_response: Option<Bytes>,
        /// Host that the client means.
        hostname: Option<String>,
    },
    /// A question of the server.
    Challenge(Bytes),
    /// The client's answer.
    Response(Bytes),
    /// How it ended.
    Outcome {
        /// See [`SaslCode`].
        code: SaslCode,
        /// Mechanism's own data.
        additional_data: Option<Bytes>,
    },
}

/// How a SASL exchange ended (specification 5.3.3.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SaslCode {
    /// Authenticated.
    Ok,
    /// Refused: credentials.
    Auth,
    /// Failed: system error.
    Sys,
    /// Failed: permanent system error.
    SysPerm,
    /// Failed: transient system error.
    SysTemp,
}
