//! The description of an operation, and its conversion to a part of the document. Everything that follows from the path, and from the
//! rules for all operations (key, device id, length), is added here, so that no description can omit it.

use std::collections::BTreeMap;

use drawspan_api_types::answers;
use drawspan_api_types::words::{DeviceId, SubscriptionKind, number, text};
use drawspan_settings::API_KEY_HEADER;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{OperationBuilder, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Schema, Type};
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{Content, ContentBuilder, Ref, RefOr, Required, Response, ResponseBuilder};

use super::{BEARER_SCHEME, KEY_SCHEME};
use crate::operation::Operation;
use crate::problem::Kind;

/// A group of operations on the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tag {
    Telemetry,
    Twin,
    Subscriptions,
    FleetSubscriptions,
    Downlink,
    DeadLetters,
    Devices,
    Probes,
}

/// The description of an operation.
pub(super) struct Described {
    tag: Tag,
    summary: &'static str,
    text: &'static str,
    parameters: Vec<Parameter>,
    body: Option<RequestBody>,
    answers: Vec<(u16, Response)>,
    problems: Vec<Kind>,
}

impl Tag {
    /// All tags, in the order of the page.
    pub(super) const ALL: [Self; 8] = [
        Self::Telemetry,
        Self::Twin,
        Self::Subscriptions,
        Self::FleetSubscriptions,
        Self::Downlink,
        Self::DeadLetters,
        Self::Devices,
        Self::Probes,
    ];

    /// Its name and description.
    pub(super) const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Telemetry => ("Telemetry", "Messages from devices to the hub."),
            Self::Twin => ("Twin", "Desired and reported properties of a device."),
            Self::Subscriptions => (
                "Subscriptions",
                "Receivers of the events of one device. The section webhooks of this document describes the events.",
            ),
            Self::FleetSubscriptions => (
                "Fleet subscriptions",
                "Receivers of the events of all devices, or of those whose ids begin with a prefix. A device's own subscription takes precedence, then the longest prefix.",
            ),
            Self::Downlink => (
                "Downlink",
                "Cloud-to-device messages for devices that poll for them.",
            ),
            Self::DeadLetters => ("Dead letters", "Undelivered events."),
            Self::Devices => ("Devices", "The known devices and their connections."),
            Self::Probes => (
                "Probes",
                "Health and metrics of the process. They need no key.",
            ),
        }
    }
}

impl Described {
    pub(super) fn new(tag: Tag, summary: &'static str, text: &'static str) -> Self {
        Self {
            tag,
            summary,
            text,
            parameters: Vec::new(),
            body: None,
            answers: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// A parameter of the query.
    pub(super) fn query(
        mut self,
        name: &str,
        description: &str,
        schema: impl Into<RefOr<Schema>>,
    ) -> Self {
        self.parameters
            .push(parameter(ParameterIn::Query, name, description, schema));
        self
    }

    /// An optional header of the request.
    pub(super) fn header(
        mut self,
        name: &str,
        description: &str,
        schema: impl Into<RefOr<Schema>>,
    ) -> Self {
        self.parameters
            .push(parameter(ParameterIn::Header, name, description, schema));
        self
    }

    /// The body of the request.
    pub(super) fn takes<T: ToSchema>(mut self, required: Required, example: Value) -> Self {
        let body = RequestBodyBuilder::new()
            .required(Some(required))
            .content("application/json", content::<T>(Some(example)));
        self.body = Some(body.build());
        self.fails(&[
            Kind::InvalidBody,
            Kind::BodyTimeout,
            Kind::TooLarge,
            Kind::UnsupportedMediaType,
        ])
    }

    /// An answer without a body.
    pub(super) fn answers(mut self, status: u16, description: &str) -> Self {
        self.answers.push((status, Response::new(description)));
        self
    }

    /// An answer with JSON.
    pub(super) fn answers_with<T: ToSchema>(mut self, status: u16, description: &str) -> Self {
        let response = ResponseBuilder::new()
            .description(description)
            .content("application/json", content::<T>(None));
        self.answers.push((status, response.build()));
        self
    }

    /// An answer with a text.
    pub(super) fn answers_text(self, status: u16, description: &str, body: &str) -> Self {
        self.answers_text_as("text/plain", status, description, body)
    }

    /// An answer with a text of this media type.
    pub(super) fn answers_text_as(
        mut self,
        media: &str,
        status: u16,
        description: &str,
        body: &str,
    ) -> Self {
        let schema = text("Plain text.").examples([body]);
        let response = ResponseBuilder::new()
            .description(description)
            .content(media, Content::new(Some(Schema::from(schema))));
        self.answers.push((status, response.build()));
        self
    }

    /// An answer of server-sent events, whose data is either of the two.
    pub(super) fn answers_events<A: ToSchema, B: ToSchema>(
        mut self,
        description: &str,
        example: &str,
    ) -> Self {
        let data = OneOfBuilder::new()
            .item(reference::<A>())
            .item(reference::<B>())
            .description(Some("The data of each event, as JSON in one line."));
        let content = ContentBuilder::new()
            .schema(Some(Schema::from(data)))
            .example(Some(Value::from(example)));
        let response = ResponseBuilder::new()
            .description(description)
            .content("text/event-stream", content.build());
        self.answers.push((200, response.build()));
        self
    }

    /// Adds a text of another media type to the last answer.
    pub(super) fn or_text_as(mut self, media: &str, body: &str) -> Self {
        if let Some((_, response)) = self.answers.last_mut() {
            let schema = Schema::from(text("Plain text.").examples([body]));
            let content = Content::new(Some(schema));
            response.content.insert(media.to_owned(), content);
        }
        self
    }

    /// Adds a header to the last answer.
    pub(super) fn saying(mut self, header: &str, description: &str) -> Self {
        if let Some((_, response)) = self.answers.last_mut() {
            let header_of = HeaderBuilder::new()
                .schema(text(description))
                .description(Some(description));
            response
                .headers
                .insert(header.to_owned(), header_of.build());
        }
        self
    }

    /// Problems that the operation may end with.
    pub(super) fn fails(mut self, kinds: &[Kind]) -> Self {
        self.problems.extend_from_slice(kinds);
        self
    }

    /// The part of the document.
    pub(super) fn into_operation(mut self, operation: Operation) -> OperationBuilder {
        let mut parameters: Vec<_> = operation.path_parameters().map(path_parameter).collect();
        parameters.append(&mut self.parameters);
        self.problems.extend(implied(operation));
        let mut built = OperationBuilder::new()
            .operation_id(Some(operation.id()))
            .tag(self.tag.words().0)
            .summary(Some(self.summary))
            .description(Some(self.text))
            .parameters((!parameters.is_empty()).then_some(parameters))
            .request_body(self.body);
        built = match operation.needs_key() {
            // Either of the two.
            true => built
                .securities(Some([KEY_SCHEME, BEARER_SCHEME].map(|scheme| {
                    SecurityRequirement::new(scheme, Vec::<String>::new())
                }))),
            // Stated explicitly, so that it does not look forgotten.
            false => built.securities(Some([])),
        };
        for (status, response) in self.answers {
            built = built.response(status.to_string(), response);
        }
        for (status, response) in problems(&self.problems) {
            built = built.response(status.to_string(), response);
        }
        built
    }
}

/// A part of a schema by reference.
pub(super) fn reference<T: ToSchema>() -> RefOr<Schema> {
    Ref::from_schema_name(T::name()).into()
}

fn content<T: ToSchema>(example: Option<Value>) -> Content {
    ContentBuilder::new()
        .schema(Some(reference::<T>()))
        .example(example)
        .build()
}

fn parameter(
    place: ParameterIn,
    name: &str,
    description: &str,
    schema: impl Into<RefOr<Schema>>,
) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(Required::False)
        .description(Some(description))
        .schema(Some(schema))
        .build()
}

fn path_parameter(name: &'static str) -> Parameter {
    let (description, schema): (_, RefOr<Schema>) = match name {
        "deviceId" => ("Id of the device.", reference::<DeviceId>()),
        "subscriptionType" => (
            "Kind of events, in any case of letters.",
            reference::<SubscriptionKind>(),
        ),
        "deadLetterId" => ("Number of the dead letter.", number_of_letter().into()),
        _ => (
            "The `lockToken` of the message.",
            Schema::from(text("A lock token.").min_length(Some(1))).into(),
        ),
    };
    let mut parameter = parameter(ParameterIn::Path, name, description, schema);
    parameter.required = Required::True;
    parameter
}

fn number_of_letter() -> Schema {
    let number = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(0))
        .examples([7]);
    number.into()
}

/// Problems that follow from the operation's path and from the rules for all operations.
fn implied(operation: Operation) -> Vec<Kind> {
    let mut kinds = vec![Kind::TooManyConnections];
    // Probes are answered until the end.
    if !operation.needs_key() {
        return kinds;
    }
    kinds.extend([
        Kind::Unauthorized,
        Kind::Forbidden,
        Kind::UriTooLong,
        Kind::InvalidQuery,
        Kind::NotReady,
        Kind::Stopping,
    ]);
    for name in operation.path_parameters() {
        match name {
            "deviceId" => kinds.extend([Kind::InvalidDeviceId, Kind::UnknownDevice]),
            _ => kinds.push(Kind::InvalidPath),
        }
    }
    kinds
}

/// One response per status, naming its problems.
fn problems(kinds: &[Kind]) -> BTreeMap<u16, Response> {
    let mut by_status: BTreeMap<u16, Vec<Kind>> = BTreeMap::new();
    for kind in kinds {
        let kinds = by_status.entry(kind.status().as_u16()).or_default();
        if !kinds.contains(kind) {
            kinds.push(*kind);
        }
    }
    let response = |kinds: &[Kind]| {
        let words: Vec<_> = kinds
            .iter()
            .map(|kind| format!("{} (`{}`)", kind.title(), kind.slug()))
            .collect();
        let mut response = ResponseBuilder::new()
            .description(format!("{}.", words.join(" · ")))
            .content(
                "application/problem+json",
                content::<answers::Problem<'_>>(None),
            );
        if kinds.iter().any(|kind| kind.says_when()) {
            let seconds = ObjectBuilder::new()
                .schema_type(Type::Integer)
                .minimum(Some(1));
            let header = HeaderBuilder::new()
                .schema(seconds)
                .description(Some("Seconds to wait before trying again."));
            response = response.header("Retry-After", header.build());
        }
        if kinds.contains(&Kind::Unauthorized) {
            let text = format!("Names the header `{API_KEY_HEADER}`, and the scheme `Bearer`.");
            let header = HeaderBuilder::new().description(Some(text));
            response = response.header("WWW-Authenticate", header.build());
        }
        response.build()
    };
    by_status
        .iter()
        .map(|(status, kinds)| (*status, response(kinds)))
        .collect()
}

/// The parameter `limit`.
pub(super) fn limit(default: u64, most: u64) -> Schema {
    number(1, most, default).into()
}
