//! Cloud-to-device messages: taken one by one, and settled by their lock tokens.

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::{HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use drawspan_amqp::message::Message;
use drawspan_emulator_hub::guid;
use drawspan_emulator_hub::hub::SettleError;
use drawspan_hub::{DeviceId, ErrorCode, UtcTime};
use drawspan_hub_model::c2d::{LockToken, Outcome, QueuedMessage};
use drawspan_hub_model::throttle::OperationClass;
use drawspan_hub_store::StoreError;
use tokio::sync::oneshot;

use super::Sender;
use crate::https::caller::AnyVersion;
use crate::https::devices::{IdPath, id_of};
use crate::https::refusal::Refusal;
use crate::https::throttling::turn;

type MessagePath = Result<Path<(String, String)>, PathRejection>;

/// `GET /devices/{id}/messages/deviceBound`
pub(super) async fn receive(caller: AnyVersion, path: IdPath) -> Result<Response, Refusal> {
    let sender = Sender::new(&caller, id_of(path)?, "deviceBound")?;
    let client = (&sender.id).into();
    turn(
        &sender.hub,
        Some(&client),
        OperationClass::C2dReceives,
        1,
        [],
    )
    .await?;
    match sender.hub.lock_message(&sender.id)? {
        None => Ok(StatusCode::NO_CONTENT.into_response()),
        Some((token, queued)) => {
            sender.hub.message_delivered(&sender.id, queued.sequence);
            answer(token, &queued)
        }
    }
}

/// `DELETE /devices/{id}/messages/deviceBound/{token}`, which completes, or rejects with `?reject`.
pub(super) async fn complete_or_reject(
    caller: AnyVersion,
    path: MessagePath,
    uri: Uri,
) -> Result<StatusCode, Refusal> {
    let mut parameters = uri.query().unwrap_or_default().split('&');
    let rejects = parameters.any(|it| it.split('=').next() == Some("reject"));
    let outcome = match rejects {
        true => Outcome::Reject,
        false => Outcome::Complete,
    };
    settle(&caller, path, outcome).await
}

/// `POST /devices/{id}/messages/deviceBound/{token}/abandon`
pub(super) async fn abandon(caller: AnyVersion, path: MessagePath) -> Result<StatusCode, Refusal> {
    settle(&caller, path, Outcome::Abandon).await
}

async fn settle(
    caller: &AnyVersion,
    path: MessagePath,
    outcome: Outcome,
) -> Result<StatusCode, Refusal> {
    let bad = |text: String| Refusal::new(ErrorCode::ARGUMENT_INVALID, text);
    let Path((id, token)) = path.map_err(|error| bad(error.to_string()))?;
    let id = DeviceId::parse(&id).map_err(|error| bad(error.to_string()))?;
    let sender = Sender::new(caller, id, "deviceBound")?;
    let lost = || {
        let text = "The lock on the message was lost";
        Refusal::new(ErrorCode::DEVICE_MESSAGE_LOCK_LOST, text)
    };
    let token = guid::parse(token.trim_matches('"')).ok_or_else(lost)?;
    let not_stored = || Refusal::new(ErrorCode::SERVER_ERROR, "The outcome was not stored");
    let (done, stored) = oneshot::channel();
    let settled = sender
        .hub
        .settle_message(&sender.id, token, outcome, |result| {
            // The client may have gone.
            let _ = done.send(result);
        });
    settled.map_err(|error| match error {
        SettleError::LockLost => lost(),
        SettleError::Store(_) => not_stored(),
    })?;
    let stored = stored.await.unwrap_or(Err(StoreError::Closed));
    stored.map_err(|_| not_stored())?;
    Ok(StatusCode::NO_CONTENT)
}

fn answer(token: LockToken, queued: &QueuedMessage) -> Result<Response, Refusal> {
    let message = Message::decode(&queued.item.payload)
        .map_err(|error| Refusal::new(ErrorCode::SERVER_ERROR, error.to_string()))?;
    let mut response = (StatusCode::OK, message.data()).into_response();
    let headers = response.headers_mut();
    // axum takes the body for plain bytes.
    headers.remove(header::CONTENT_TYPE);
    let mut put = |name: &str, value: Option<String>| {
        let name = HeaderName::from_bytes(name.to_ascii_lowercase().as_bytes());
        let value = value.and_then(|value| HeaderValue::from_str(&value).ok());
        if let (Ok(name), Some(value)) = (name, value) {
            headers.insert(name, value);
        }
    };
    let time = |unix_ms: i64| UtcTime::from_unix_ms(unix_ms).to_string();
    let enqueued = i64::try_from(queued.item.enqueued_unix_ms).unwrap_or(i64::MAX);
    put("etag", Some(format!("\"{}\"", guid::text(token))));
    put("iothub-sequencenumber", Some(queued.sequence.to_string()));
    put("iothub-enqueuedtime", Some(time(enqueued)));
    put(
        "iothub-deliverycount",
        Some(queued.delivery_count.to_string()),
    );
    if let Some(properties) = &message.properties {
        let id = properties.message_id.as_ref();
        put("iothub-messageid", id.map(ToString::to_string));
        let id = properties.correlation_id.as_ref();
        put("iothub-correlationid", id.map(ToString::to_string));
        let user = properties.user_id.as_ref();
        put(
            "iothub-userid",
            user.map(|user| String::from_utf8_lossy(user).into_owned()),
        );
        put("iothub-to", properties.to.clone());
        put("iothub-expiry", properties.absolute_expiry_time.map(time));
        let word = properties.content_type.as_ref();
        put("ContentType", word.map(|word| word.as_str().to_owned()));
        let word = properties.content_encoding.as_ref();
        put("ContentEncoding", word.map(|word| word.as_str().to_owned()));
    }
    let own = message.application_properties.iter();
    for (name, value) in own.flat_map(|map| map.iter()) {
        let Some(name) = name.as_str() else { continue };
        let value = value.as_str().map(str::to_owned);
        match name {
            "iothub-ack" => put(name, value),
            name => put(&format!("iothub-app-{name}"), value),
        }
    }
    Ok(response)
}
