//! Accepting connections: bounded in number, the handshake bounded in time.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use drawspan_emulator_hub::certificate_chain;
use drawspan_emulator_hub::reached::{Reached, Secured};
use drawspan_emulator_hub::refusals::{Door, HandshakeFailed, Refusals};
use drawspan_emulator_hub::stop::Stop;
use drawspan_net::Transport;
use rustls::ServerConfig;
use rustls::server::Acceptor;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use crate::limits::{ACCEPT_PAUSE_MS, CONNECTIONS_MAX, HANDSHAKE_MS, SHUTDOWN_MS};

/// State shared by the listeners of one protocol.
#[derive(Clone)]
pub(crate) struct Accepting {
    tls: Arc<ServerConfig>,
    room: Arc<Semaphore>,
    refusals: Arc<Refusals>,
    stop: Stop,
}

impl Accepting {
    pub(crate) fn new(tls: Arc<ServerConfig>, refusals: Arc<Refusals>, stop: Stop) -> Self {
        Self {
            tls,
            room: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
            refusals,
            stop,
        }
    }
}

/// Serves connections until `stop`, then gives those that there are some time to end, and ends the rest.
pub(crate) async fn accept<F>(
    listener: TcpListener,
    shared: Accepting,
    serve: impl Fn(Secured) -> F + Clone + Send + 'static,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let Accepting {
        tls,
        room,
        refusals,
        stop,
    } = shared;
    let mut connections = JoinSet::new();
    let mut stopping = stop.clone();
    loop {
        let next = async {
            // The semaphore is never closed.
            let place = Arc::clone(&room).acquire_owned().await.ok();
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            () = stopping.stopped() => break,
            // Ended connections are forgotten as they end.
            Some(_) = connections.join_next() => continue,
            next = next => next,
        };
        match accepted {
            Ok((stream, peer)) => {
                let (tls, stop, serve) = (Arc::clone(&tls), stop.clone(), serve.clone());
                let refusals = Arc::clone(&refusals);
                connections.spawn(async move {
                    if let Some(secured) = secure(stream, peer, tls, &refusals, stop).await {
                        serve(secured).await;
                    }
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(ACCEPT_PAUSE_MS)).await;
            }
        }
    }
    drop(listener);
    let all_ended = async { while connections.join_next().await.is_some() {} };
    // Dropping the set ends what did not end by itself.
    let _ = tokio::time::timeout(Duration::from_millis(SHUTDOWN_MS), all_ended).await;
}

async fn secure(
    stream: TcpStream,
    peer: SocketAddr,
    tls: Arc<ServerConfig>,
    refusals: &Refusals,
    mut stop: Stop,
) -> Option<Secured> {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%peer, %error, "a connection ended before its handshake");
        return None;
    }
    let limit = Duration::from_millis(HANDSHAKE_MS);
    let handshake = tokio::select! {
        handshake = tokio::time::timeout(limit, shake_hands(stream, tls)) => handshake,
        () = stop.stopped() => return None,
    };
    match handshake {
        Ok(Ok(stream)) => {
            let (tcp, tls) = stream.get_ref();
            let certificate = tls.peer_certificates().and_then(|chain| {
                let presented = certificate_chain::presented(chain);
                let presented = presented.inspect_err(|error| {
                    refusals.log(Door::Tls, "BadCertificate", peer, "", &error.to_string());
                });
                presented.ok().map(Arc::new)
            });
            let reached = Reached {
                sni: tls.server_name().map(Arc::from),
                port: tcp.local_addr().map_or(0, |address| address.port()),
                transport: Transport::Amqps,
                peer,
                certificate,
            };
            Some(Secured {
                stream,
                reached,
                stop,
            })
        }
        Ok(Err(error)) => {
            refusals.handshake_failed(peer, &error);
            None
        }
        Err(_) => {
            let reason = "the handshake took too long; every port here speaks TLS only";
            refusals.log(Door::Tls, "TimedOut", peer, "", reason);
            None
        }
    }
}

/// A handshake in two steps, so that a failed one can be described by its progress and its server name.
async fn shake_hands(
    stream: TcpStream,
    tls: Arc<ServerConfig>,
) -> Result<TlsStream<TcpStream>, HandshakeFailed> {
    let begun = LazyConfigAcceptor::new(Acceptor::default(), stream).await;
    let begun = begun.map_err(|cause| HandshakeFailed { cause, hello: None })?;
    let name = begun.client_hello().server_name().map(str::to_owned);
    let shaken = begun.into_stream(tls).await;
    shaken.map_err(|cause| HandshakeFailed {
        cause,
        hello: Some(name),
    })
}
