//! Receivers by https.

use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls_pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;

fn certificate() -> CertifiedKey<KeyPair> {
    generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap()
}

/// Answers 204 to one request per connection; its URL.
async fn receiver(key: &CertifiedKey<KeyPair>) -> String {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let private = PrivateKeyDer::Pkcs8(key.signing_key.serialize_der().into());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![key.cert.der().clone()], private)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            let mut start = [0; 4];
            stream.read_exact(&mut start).await.unwrap();
            assert_eq!(&start, b"POST");
            let answer = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
            stream.write_all(answer).await.unwrap();
            stream.shutdown().await.unwrap();
        }
    });
    format!("https://localhost:{port}/")
}

fn owner(trusts: &CertifiedKey<KeyPair>) -> Owner {
    let owner = Owner::new(GuardMode::Off, Vec::new());
    let mut owner = owner.with_timeout(Duration::from_secs(1));
    let authorities = vec![trusts.cert.der().clone()];
    let guard = Arc::new(Guard::new(GuardMode::Off, Vec::new()));
    owner.webhooks.client = Client::new(guard, authorities, 8).unwrap();
    owner
}

#[tokio::test]
async fn the_given_authorities_are_trusted_and_no_others() {
    let key = certificate();
    let url = receiver(&key).await;
    let mut trusting = owner(&key);
    trusting.offer(&url, 1, status());
    let outcome = trusting.next_finished().await.outcome;
    assert!(
        matches!(outcome, DeliveryOutcome::Taken { .. }),
        "{outcome:?}"
    );
    let mut other = owner(&certificate());
    other.offer(&url, 2, method());
    let DeliveryOutcome::Failed { reason } = other.next_finished().await.outcome else {
        panic!("not failed");
    };
    assert!(reason.contains("TLS failed"), "{reason}");
    let name = url.replace("localhost", "127.0.0.1");
    trusting.offer(&name, 3, method());
    let outcome = trusting.next_finished().await.outcome;
    assert!(
        matches!(outcome, DeliveryOutcome::Failed { .. }),
        "another name"
    );
}
