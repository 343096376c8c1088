//! How connections begin.

use drawspan_amqp::engine::{ClientSasl, Closed};
use drawspan_amqp::performative::{DeliveryState, SaslCode};
use drawspan_amqp::value::Symbol;
use drawspan_hub::sas;

use super::client::{
    connect_with, data, device_token, device_token_by, owner, policy, reader, start, unix_s,
};
use crate::support::key;

fn sasl(mechanism: &str, response: Option<&str>) -> Option<ClientSasl> {
    Some(ClientSasl {
        mechanism: Symbol::new(mechanism).unwrap(),
        initial_response: response.map(|text| text.to_owned().into()),
    })
}

fn plain(user: &str, token: &str) -> Option<ClientSasl> {
    sasl("PLAIN", Some(&format!("\0{user}\0{token}")))
}

#[tokio::test]
async fn every_way_in_that_brings_no_token_leads_to_cbs() {
    let running = start(&["a"]).await;
    let ways = [
        None,
        sasl("ANONYMOUS", None),
        sasl("ANONYMOUS", Some("\0iothubowner")),
        sasl("MSSBCBS", None),
        sasl("MSSBCBS", Some("")),
    ];
    for way in ways {
        let mut client = connect_with(&running, way.clone()).await.unwrap();
        let refused = client.attach(reader("r", None)).await.unwrap_err();
        assert_eq!(
            refused.condition.as_str(),
            "amqp:unauthorized-access",
            "{way:?}"
        );
        assert_eq!(client.put_token(&owner()).await.status, 200, "{way:?}");
        client.attach(reader("r", None)).await.unwrap();
    }
}

#[tokio::test]
async fn plain_brings_a_token_along() {
    let running = start(&["a@b"]).await;
    let user = "iothubowner@sas.root.contoso";
    let mut service = connect_with(&running, plain(user, &owner())).await.unwrap();
    service.attach(reader("r", None)).await.unwrap();

    let user = "a@b@sas.contoso";
    let sasl = plain(user, &device_token(&running, "a@b"));
    let mut device = connect_with(&running, sasl).await.unwrap();
    let link = device.telemetry("a%40b").await;
    assert_eq!(
        device.deliver(link, 0, &data("x").to_bytes()).await,
        DeliveryState::Accepted
    );
    let refused = device.attach(reader("r", None)).await.unwrap_err();
    assert_eq!(refused.condition.as_str(), "amqp:unauthorized-access");
}

#[tokio::test]
async fn plain_with_anything_wrong_is_refused() {
    let running = start(&["a"]).await;
    let user = "iothubowner@sas.root.contoso";
    let other_hub = sas::sign("second.test", &key(1), unix_s() + 60, Some("iothubowner"));
    let cases = [
        (
            "user of another hub",
            plain("iothubowner@sas.root.second", &owner()),
        ),
        ("user of no hub", plain("iothubowner", &owner())),
        ("token of another hub", plain(user, &other_hub)),
        (
            "another key",
            plain(
                "a@sas.contoso",
                &device_token_by(&key(9), "a", unix_s() + 60),
            ),
        ),
        (
            "unknown device",
            plain(
                "b@sas.contoso",
                &device_token_by(&key(9), "b", unix_s() + 60),
            ),
        ),
        ("unknown policy", plain(user, &policy("nobody"))),
        ("no token", plain(user, "")),
        ("no response", sasl("PLAIN", None)),
        (
            "a response without parts",
            sasl("PLAIN", Some("iothubowner")),
        ),
    ];
    for (what, way) in cases {
        let refused = connect_with(&running, way).await.err();
        assert_eq!(refused, Some(Closed::SaslRefused(SaslCode::Auth)), "{what}");
    }
}

#[tokio::test]
async fn what_is_not_offered_is_not_taken() {
    let running = start(&[]).await;
    let refused = connect_with(&running, sasl("EXTERNAL", None)).await.err();
    let offered = ["MSSBCBS", "ANONYMOUS", "PLAIN"].map(|name| Symbol::new(name).unwrap());
    assert_eq!(refused, Some(Closed::NoSaslMechanism(offered.to_vec())));
}
