//! SASL frames (specification 5.3).

use bytes::{Bytes, BytesMut};

use crate::codec::{DecodeError, Encode, ListReader, Reader, descriptor, list, numbered};
use crate::value::Symbol;

/// Any SASL frame body.
#[derive(Debug, Clone, PartialEq)]
pub enum SaslFrame {
    /// The mechanisms that the server offers; at least one.
    Mechanisms(Vec<Symbol>),
    /// The mechanism that the client chose.
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

impl SaslFrame {
    /// Reads a SASL frame body.
    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let descriptor = reader.descriptor()?;
        let code = descriptor.code();
        let frame = ListReader::read(reader, |fields| match code {
            Some(descriptor::SASL_MECHANISMS) => {
                Ok(Self::Mechanisms(fields.required("sasl-server-mechanisms")?))
            }
            Some(descriptor::SASL_INIT) => Ok(Self::Init {
                mechanism: fields.required("mechanism")?,
                initial_response: fields.optional()?,
                hostname: fields.optional()?,
            }),
            Some(descriptor::SASL_CHALLENGE) => Ok(Self::Challenge(fields.required("challenge")?)),
            Some(descriptor::SASL_RESPONSE) => Ok(Self::Response(fields.required("response")?)),
            Some(descriptor::SASL_OUTCOME) => Ok(Self::Outcome {
                code: fields.required("code")?,
                additional_data: fields.optional()?,
            }),
            _ => Err(descriptor.unknown()),
        })?;
        reader.finish()?;
        Ok(frame)
    }
}

impl Encode for SaslFrame {
    fn encode(&self, out: &mut BytesMut) {
        match self {
            Self::Mechanisms(mechanisms) => list(out, descriptor::SASL_MECHANISMS, 1, |out| {
                mechanisms.encode(out)
            }),
            Self::Init {
                mechanism,
                initial_response,
                hostname,
            } => list(out, descriptor::SASL_INIT, 3, |out| {
                mechanism.encode(out);
                initial_response.encode(out);
                hostname.encode(out);
            }),
            Self::Challenge(challenge) => list(out, descriptor::SASL_CHALLENGE, 1, |out| {
                challenge.encode(out)
            }),
            Self::Response(response) => list(out, descriptor::SASL_RESPONSE, 1, |out| {
                response.encode(out)
            }),
            Self::Outcome {
                code,
                additional_data,
            } => list(out, descriptor::SASL_OUTCOME, 2, |out| {
                code.encode(out);
                additional_data.encode(out);
            }),
        }
    }
}

numbered! {
    SaslCode as u8, "sasl code" {
        0 => Ok,
        1 => Auth,
        2 => Sys,
        3 => SysPerm,
        4 => SysTemp,
    }
}
