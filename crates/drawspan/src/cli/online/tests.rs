use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::SystemTime;

use drawspan_client::KeyPair;
use drawspan_client::clock_skew::Skew;
use drawspan_hub::{HostName, SymmetricKey};
use drawspan_settings::{ApiKeys, ConnectTo, Enrollment, Profile};
use rustls::ServerConfig;
use rustls_pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;

const HOST: &str = "dps.test";

/// A service under [`HOST`] that answers every request with `answer`, and closes.
async fn serve(answer: String) -> Config {
    let made = rcgen::generate_simple_self_signed([HOST.to_owned()]).unwrap();
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let to = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, answer) = (acceptor.clone(), answer.clone());
            tokio::spawn(async move {
                let mut stream = acceptor.accept(stream).await.unwrap();
                let mut head = vec![0; 4_096];
                let _ = stream.read(&mut head).await;
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    let mut config = config(to);
    config.authorities = vec![certificate];
    config
}

fn config(to: SocketAddr) -> Config {
    let name = HostName::parse(HOST).unwrap();
    let profile = Profile::Dps {
        endpoint: name.clone(),
        id_scope: "0ne00000001".to_owned(),
        group: Enrollment::Keys(KeyPair::single(SymmetricKey::from_bytes(&[1; 32]).unwrap())),
    };
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mut config = Config::new(listen, ApiKeys::new(["k"]), profile);
    config.connect = vec![ConnectTo {
        name,
        port: None,
        to,
    }];
    config
}

fn seen<'a>(lines: &'a [Line], what: &str) -> &'a Seen {
    &lines.iter().find(|line| line.what == what).unwrap().seen
}

#[tokio::test]
async fn a_clock_that_is_hours_off_is_named_beside_the_refusal() {
    let behind = SystemTime::now() + Duration::from_secs(7_200);
    let date = httpdate::fmt_http_date(behind);
    let body = r#"{"errorCode":401002,"message":"Unauthorized"}"#;
    let answer = format!(
        "HTTP/1.1 401 Unauthorized\r\ndate: {date}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let lines = look(&serve(answer).await, None).await;
    let text = text(&lines);
    assert!(text.contains("s behind that of dps.test"), "{text}");
    assert!(text.contains("Set the clock (NTP)"), "{text}");
    assert!(matches!(seen(&lines, "DPS"), Seen::Failed { .. }), "{text}");
}

#[tokio::test]
async fn a_service_that_has_trouble_of_its_own_is_named_as_such() {
    let answer = "HTTP/1.1 500 Oops\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let lines = look(&serve(answer.to_owned()).await, None).await;
    let text = text(&lines);
    assert!(text.contains("answers with server errors"), "{text}");
    assert!(matches!(seen(&lines, "clock"), Seen::Skipped(_)), "{text}");
}

#[tokio::test(start_paused = true)]
async fn what_never_answers_is_given_up_within_the_bound() {
    // No connection is accepted: the handshake waits forever.
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let mut config = config(silent.local_addr().unwrap());
    let made = rcgen::generate_simple_self_signed([HOST.to_owned()]).unwrap();
    config.authorities = vec![made.cert.der().clone()];
    let begun = tokio::time::Instant::now();
    let lines = look(&config, None).await;
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
    let text = text(&lines);
    assert!(
        text.contains("dps.test did not answer within 4 s"),
        "{text}"
    );
    assert!(text.contains("Check the network"), "{text}");
}

#[test]
fn what_to_do_goes_by_what_was_said() {
    let check = |code: u32, expected: &str| {
        let body = format!(r#"{{"errorCode":{code},"message":"said"}}"#);
        let failure = Failure::from_http(400, None, &body, None);
        let Seen::Failed { advice, .. } = Seen::of_failure(&failure, "the key") else {
            panic!("{code} is fine");
        };
        assert!(advice.contains(expected), "{code}: {advice}");
    };
    check(401_003, "the key");
    check(403_012, "is disabled");
    check(404_001, "does not know the device");
    check(401_001, "no such hub");
    check(403_001, "suspended");
    check(403_002, "used up");
    check(500_001, "server errors");
}

#[test]
fn a_minute_is_no_reason_to_complain() {
    let host = HostName::parse(HOST).unwrap();
    let judge = |seconds| clock::judge(Skew::Ahead(Duration::from_secs(seconds)), &host);
    assert!(matches!(judge(60), Seen::Ok(_)));
    let Seen::Failed { what, .. } = judge(61) else {
        panic!("61 s are fine");
    };
    assert_eq!(
        what,
        "this machine's clock is 61 s ahead of that of dps.test"
    );
}
