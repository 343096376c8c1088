//! A refused request of a device about its twin, whatever protocol it speaks.

use drawspan_hub::ErrorCode;
use drawspan_hub_model::registry::RegistryError;
use drawspan_hub_model::twins::TwinFailure;

/// The hub's code and the reason.
#[derive(Clone, Debug)]
pub struct TwinRefusal(pub ErrorCode, pub String);

impl TwinRefusal {
    /// The change could not be stored.
    pub fn not_stored() -> Self {
        Self(ErrorCode::SERVER_ERROR, "the change was not stored".into())
    }
}

impl From<RegistryError> for TwinRefusal {
    fn from(error: RegistryError) -> Self {
        Self(error.code(), error.to_string())
    }
}

impl From<TwinFailure> for TwinRefusal {
    fn from(error: TwinFailure) -> Self {
        Self(error.code(), error.to_string())
    }
}
