//! X.509: certificates that devices present, and the authorities that a hub trusts.
//!
//! TLS proves that a client has the key of the certificate that it presents, and proves nothing else. Which device that makes it is
//! decided here, at a time that is given, as a hub does it: by a thumbprint that the device's identity holds, or by an authority
//! whose owner has proved to have its key, in which case the subject's common name is the device id (IoT Hub article
//! "Authenticate identities with X.509 certificates").

mod authorities;
mod certificate;
mod presented;
#[cfg(test)]
pub(crate) mod tests;
mod thumbprint;

pub use authorities::{Authorities, Authority, AuthorityError};
pub use certificate::{Certificate, InvalidCertificate, Validity};
pub use presented::{LeadsTo, Presented};
pub use thumbprint::is_thumbprint;
