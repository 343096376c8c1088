//! Refusals as Azure Storage words them: a code in a header, and again in XML.

use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use drawspan_emulator_hub::blobs::BlobError;
use drawspan_emulator_hub::refusals::Door;
use drawspan_hub::storage;
use drawspan_hub_model::blobs::Refused;
use quick_xml::escape::escape;

use crate::https::refused::Reason;

const ERROR_CODE: HeaderName = HeaderName::from_static("x-ms-error-code");

/// A request that is not done.
#[derive(Debug)]
pub(super) struct BlobRefusal {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl BlobRefusal {
    pub(super) const NO_CONTAINER: Self = Self {
        status: StatusCode::NOT_FOUND,
        code: "ContainerNotFound",
        message: String::new(),
    };

    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
        }
    }

    /// Something of Azure Storage that the emulator does not have.
    pub(super) fn unsupported(what: &str) -> Self {
        let text = format!("The emulator's storage of uploaded files does not serve {what}");
        Self::new(StatusCode::NOT_IMPLEMENTED, "NotImplemented", text)
    }

    pub(super) fn not_served(method: &Method, part: Option<&str>) -> Self {
        // A name of the caller's choice, so not too long.
        let part: String = part.unwrap_or_default().chars().take(40).collect();
        match part.is_empty() {
            true => Self::unsupported(&format!("{method} of this")),
            false => Self::unsupported(&format!("{method} with comp={part}")),
        }
    }
}

impl From<storage::Refused> for BlobRefusal {
    fn from(refused: storage::Refused) -> Self {
        let (status, code) = match refused {
            storage::Refused::Missing => (StatusCode::UNAUTHORIZED, "NoAuthenticationInformation"),
            storage::Refused::NotAllowed => {
                (StatusCode::FORBIDDEN, "AuthorizationPermissionMismatch")
            }
            storage::Refused::Malformed | storage::Refused::Wrong | storage::Refused::Expired => {
                (StatusCode::FORBIDDEN, "AuthenticationFailed")
            }
        };
        Self::new(status, code, refused.to_string())
    }
}

impl From<BlobError> for BlobRefusal {
    fn from(error: BlobError) -> Self {
        let text = error.to_string();
        let (status, code) = match &error {
            BlobError::Refused(refused) => refused_as(*refused),
            BlobError::Length => (StatusCode::BAD_REQUEST, "InvalidInput"),
            BlobError::Md5 => (StatusCode::BAD_REQUEST, "Md5Mismatch"),
            BlobError::Io(_) | BlobError::Store(_) => {
                tracing::error!(%error, "an uploaded file cannot be written or read");
                (StatusCode::INTERNAL_SERVER_ERROR, "InternalError")
            }
        };
        Self::new(status, code, text)
    }
}

fn refused_as(refused: Refused) -> (StatusCode, &'static str) {
    match refused {
        // Not 507, which clients would try again.
        Refused::NoRoom { .. } | Refused::TooMany => {
            (StatusCode::FORBIDDEN, "StorageQuotaExceeded")
        }
        Refused::NotFound => (StatusCode::NOT_FOUND, "BlobNotFound"),
        Refused::AlreadyExists => (StatusCode::CONFLICT, "BlobAlreadyExists"),
        Refused::ConditionNotMet => (StatusCode::PRECONDITION_FAILED, "ConditionNotMet"),
        Refused::BlockId => (StatusCode::BAD_REQUEST, "InvalidQueryParameterValue"),
        Refused::BlockIdLength => (StatusCode::BAD_REQUEST, "InvalidBlobOrBlock"),
        Refused::BlockList => (StatusCode::BAD_REQUEST, "InvalidBlockList"),
    }
}

impl IntoResponse for BlobRefusal {
    fn into_response(self) -> Response {
        let message = match self.message.is_empty() {
            true => "The specified container does not exist.",
            false => &self.message,
        };
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>{}</Code><Message>{}</Message></Error>",
            self.code,
            escape(message)
        );
        let headers = [
            (
                header::CONTENT_TYPE,
                HeaderValue::from_static("application/xml"),
            ),
            (ERROR_CODE, HeaderValue::from_static(self.code)),
        ];
        let mut response = (self.status, headers, body).into_response();
        response.extensions_mut().insert(Reason {
            door: Door::Rest,
            code: u32::from(self.status.as_u16()),
            text: format!("{}: {message}", self.code),
        });
        response
    }
}
