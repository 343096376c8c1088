//! The scope of a process's credentials.

/// The owner of the credentials that a hub, or DPS, refuses with a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialScope {
    /// The device's: each has its own key, which proves nothing about others.
    Device,
    /// The enrollment group's, from whose key the devices' keys are derived: if no device was ever accepted, that key is wrong.
    EnrollmentGroup,
    /// The hub policy's, whose key signs the tokens of all devices.
    Policy,
}

impl CredentialScope {
    /// Whether devices that were not tried have to expect the refusal that the others met, where a service refuses everyone.
    pub(crate) const fn concerns_all(self, accepted_one: bool) -> bool {
        match self {
            Self::Device => false,
            Self::EnrollmentGroup => !accepted_one,
            Self::Policy => true,
        }
    }
}
