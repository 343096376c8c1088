//! Accepting connections: bounded in number, the handshake bounded in time.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use drawspan_net::Transport;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::{Reached, Secured, Stop};
use crate::limits::{ACCEPT_PAUSE_MS, CONNECTIONS_MAX, HANDSHAKE_MS, SHUTDOWN_MS};

/// Serves connections until `stop`, then gives those that there are some time to end, and ends the rest.
pub(crate) async fn accept<F>(
    listener: TcpListener,
    tls: TlsAcceptor,
    stop: Stop,
    serve: impl Fn(Secured) -> F + Clone + Send + 'static,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
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
                let (tls, stop, serve) = (tls.clone(), stop.clone(), serve.clone());
                connections.spawn(async move {
                    if let Some(secured) = secure(stream, peer, &tls, stop).await {
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
    tls: &TlsAcceptor,
    mut stop: Stop,
) -> Option<Secured> {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%peer, %error, "a connection ended before its handshake");
        return None;
    }
    let limit = Duration::from_millis(HANDSHAKE_MS);
    let handshake = tokio::select! {
        handshake = tokio::time::timeout(limit, tls.accept(stream)) => handshake,
        () = stop.stopped() => return None,
    };
    match handshake {
        Ok(Ok(stream)) => {
            let (tcp, tls) = stream.get_ref();
            let reached = Reached {
                sni: tls.server_name().map(Arc::from),
                port: tcp.local_addr().map_or(0, |address| address.port()),
                transport: Transport::Amqps,
            };
            Some(Secured {
                stream,
                peer,
                reached,
                stop,
            })
        }
        Ok(Err(error)) => {
            // Usually a client that does not trust the authority: worth saying, since it is all that can be seen of it.
            tracing::info!(%peer, %error, "a TLS handshake failed");
            None
        }
        Err(_) => {
            tracing::debug!(%peer, "a TLS handshake took too long");
            None
        }
    }
}
