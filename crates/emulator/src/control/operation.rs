//! An operation of the control API: the route and its description in one, so that they cannot differ.

use std::borrow::Cow;

use axum::routing::{MethodFilter, MethodRouter};
use utoipa::ToSchema;
use utoipa::openapi::{HttpMethod, RefOr, Schema};

use crate::https::Shared;

/// One method at one path.
pub(super) struct Operation {
    /// The method.
    pub(super) method: Method,
    /// As axum and OpenAPI write it: `/emulator/devices/{id}/disable`.
    pub(super) path: &'static str,
    /// One line on what it does.
    pub(super) about: &'static str,
    /// Parameters behind `?`.
    pub(super) query: &'static [Parameter],
    /// The JSON that it takes.
    pub(super) body: Option<Shape>,
    /// The JSON that it answers with 200.
    pub(super) answer: Shape,
    /// The handler: `|method| on(method, read)`.
    pub(super) handler: fn(MethodFilter) -> MethodRouter<Shared>,
}

/// A method of HTTP that the control API has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// Reads.
    Get,
    /// Does something.
    Post,
    /// Sets something.
    Put,
    /// Removes something.
    Delete,
}

/// An optional parameter behind `?`.
pub(super) struct Parameter {
    /// Its name.
    pub(super) name: &'static str,
    /// What it means.
    pub(super) about: &'static str,
}

/// The type of a body, as the document describes it.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    pub(super) name: fn() -> Cow<'static, str>,
    pub(super) schema: fn() -> RefOr<Schema>,
    /// The schemas of the types in it.
    pub(super) inner: fn(&mut Vec<(String, RefOr<Schema>)>),
}

impl Shape {
    /// The shape of `T`.
    pub(super) const fn of<T: ToSchema>() -> Self {
        Self {
            name: T::name,
            schema: T::schema,
            inner: T::schemas,
        }
    }
}

impl Method {
    pub(super) const fn filter(self) -> MethodFilter {
        match self {
            Self::Get => MethodFilter::GET,
            Self::Post => MethodFilter::POST,
            Self::Put => MethodFilter::PUT,
            Self::Delete => MethodFilter::DELETE,
        }
    }

    pub(super) const fn described(self) -> HttpMethod {
        match self {
            Self::Get => HttpMethod::Get,
            Self::Post => HttpMethod::Post,
            Self::Put => HttpMethod::Put,
            Self::Delete => HttpMethod::Delete,
        }
    }

    /// As requests write it.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}
