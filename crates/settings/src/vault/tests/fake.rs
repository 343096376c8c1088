//! A vault, and those who give tokens for it, over TLS on loopback: one certificate, all names.

// Two test programs share it, and each uses a part.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use rustls_pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

pub(crate) const VAULT: &str = "own.vault.test";
pub(crate) const LOGIN: &str = "login.test";
/// What is given to who may read.
pub(crate) const TOKEN: &str = "marker-token";
const CHALLENGE: &str =
    r#"Bearer authorization="https://login.test/tenant", resource="https://vault.test""#;

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// How many came before.
    pub(crate) number: usize,
    pub(crate) host: String,
    /// Path and query.
    pub(crate) target: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

/// What it is answered.
pub(crate) enum Reply {
    Answer {
        status: u16,
        header: Option<(&'static str, String)>,
        body: String,
    },
    Never,
}

/// A change of what is answered; `None` for none.
pub(crate) type Manner = fn(&Asked) -> Option<Reply>;

pub(crate) struct Fake {
    /// Over TLS.
    pub(crate) address: SocketAddr,
    /// In clear.
    pub(crate) clear: SocketAddr,
    pub(crate) certificate: rcgen::Certificate,
    world: Arc<World>,
}

struct World {
    secrets: Mutex<BTreeMap<String, String>>,
    asked: Mutex<Vec<Asked>>,
    manner: Manner,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

pub(crate) fn answer(status: u16, body: impl Into<String>) -> Reply {
    Reply::Answer {
        status,
        header: None,
        body: body.into(),
    }
}

impl Fake {
    pub(crate) async fn start(secrets: &[(&str, &str)], manner: Manner) -> Self {
        let names = [VAULT, LOGIN, "elsewhere.test"].map(str::to_owned);
        let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
        let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .expect("a pair");
        let secrets = secrets.iter().map(|(name, value)| (*name, *value));
        let world = Arc::new(World {
            secrets: Mutex::new(owned(secrets)),
            asked: Mutex::default(),
            manner,
        });
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let (tls, address) = listen().await;
        let (tcp, clear) = listen().await;
        let own = Arc::clone(&world);
        tokio::spawn(async move {
            while let Ok((stream, _)) = tls.accept().await {
                let (acceptor, world) = (acceptor.clone(), Arc::clone(&own));
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        serve(stream, world).await;
                    }
                });
            }
        });
        let own = Arc::clone(&world);
        tokio::spawn(async move {
            while let Ok((stream, _)) = tcp.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&own)));
            }
        });
        Self {
            address,
            clear,
            certificate: made.cert,
            world,
        }
    }

    /// Exchanges a secret.
    pub(crate) fn set(&self, name: &str, value: &str) {
        lock(&self.world.secrets).insert(name.to_owned(), value.to_owned());
    }

    /// All that was asked.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        lock(&self.world.asked).clone()
    }
}

fn owned<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> BTreeMap<String, String> {
    pairs.map(|(a, b)| (a.to_owned(), b.to_owned())).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nobody panicked")
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    (listener, address)
}

async fn serve<S>(stream: S, world: Arc<World>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(|request| {
        let world = Arc::clone(&world);
        async move { Ok::<_, Infallible>(world.answer(request).await) }
    });
    // Who asks may hang up at any moment.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

impl World {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let headers = head.headers.iter();
        let headers = headers.map(|(name, value)| (name.as_str(), value.to_str().expect("text")));
        let headers = owned(headers);
        let body = body.collect().await.expect("a body").to_bytes();
        let asked = Asked {
            number: lock(&self.asked).len(),
            host: headers["host"].clone(),
            target: head.uri.to_string(),
            headers,
            body: String::from_utf8(body.to_vec()).expect("text"),
        };
        lock(&self.asked).push(asked.clone());
        let reply = (self.manner)(&asked).unwrap_or_else(|| self.properly(&asked));
        match reply {
            Reply::Never => std::future::pending().await,
            Reply::Answer {
                status,
                header,
                body,
            } => {
                let mut response = Response::builder().status(status);
                if let Some((name, value)) = header {
                    response = response.header(name, value);
                }
                let body = Full::new(Bytes::from(body));
                response.body(body).expect("an answer")
            }
        }
    }

    fn properly(&self, asked: &Asked) -> Reply {
        if asked.host == LOGIN {
            let body =
                format!(r#"{{"token_type":"Bearer","expires_in":3599,"access_token":"{TOKEN}"}}"#);
            return answer(200, body);
        }
        let Some(name) = asked.target.strip_prefix("/secrets/") else {
            // The identity of a machine: a time far away, as text.
            let body = format!(
                r#"{{"token_type":"Bearer","resource":"https://vault.test","expires_on":"4102444800","access_token":"{TOKEN}"}}"#
            );
            return answer(200, body);
        };
        if asked.header("authorization") != format!("Bearer {TOKEN}") {
            return Reply::Answer {
                status: 401,
                header: Some(("www-authenticate", CHALLENGE.to_owned())),
                body: String::new(),
            };
        }
        let name = name.split(['/', '?']).next().unwrap_or_default();
        match lock(&self.secrets).get(name) {
            Some(value) => answer(
                200,
                format!(r#"{{"id":"https://{VAULT}/secrets/{name}/1","value":"{value}"}}"#),
            ),
            None => answer(
                404,
                r#"{"error":{"code":"SecretNotFound","message":"none"}}"#,
            ),
        }
    }
}
