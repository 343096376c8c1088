use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

use super::*;

/// Our server's end, and a client that says what it likes.
async fn server_and_peer() -> (WebSocket<DuplexStream>, WebSocketStream<DuplexStream>) {
    let (ours, theirs) = duplex(4 * 1_024);
    let peer = WebSocketStream::from_raw_socket(theirs, Role::Client, None).await;
    (WebSocket::server(ours).await, peer)
}

/// A frame of `length` bytes that are all `byte` behind its length.
fn frame(length: usize, byte: u8) -> Vec<u8> {
    let mut frame = u32::try_from(length).unwrap().to_be_bytes().to_vec();
    frame.resize(length, byte);
    frame
}

#[test]
fn messages_end_where_frames_end() {
    const MOST: usize = limits::WEBSOCKET_MESSAGE_BYTES;
    let check = |parts: &[Vec<u8>], expected: usize| {
        assert_eq!(whole_frames(&parts.concat()).len(), expected);
    };
    let header = b"AMQP\x00\x01\x00\x00".to_vec();
    check(std::slice::from_ref(&header), 8);
    check(&[header.clone(), frame(8, 1), header, frame(30, 2)], 54);
    check(&[frame(MOST - 8, 1), frame(8, 2), frame(8, 3)], MOST);
    check(&[frame(MOST - 8, 1), frame(9, 2)], MOST - 8);
    check(&[frame(10 * MOST, 1), frame(9, 2)], 10 * MOST);
    // What is no whole frame goes as it is.
    check(&[frame(20, 1), frame(20, 2)[..19].to_vec()], 20);
    check(&[frame(20, 1)[..19].to_vec()], 19);
    check(&[vec![0; 100]], 100);
    check(&[vec![1, 2]], 2);
}

#[tokio::test]
async fn bytes_arrive_however_messages_are_cut() {
    let (mut ours, mut peer) = server_and_peer().await;
    let sent: Vec<u8> = (0..100_000_u32).map(|n| (n % 251) as u8).collect();
    let expected = sent.clone();
    let writing = tokio::spawn(async move {
        peer.send(Message::Ping(Bytes::from_static(b"are you there")))
            .await
            .unwrap();
        for part in sent.chunks(7_001) {
            peer.send(Message::binary(part.to_vec())).await.unwrap();
            peer.send(Message::binary(Vec::new())).await.unwrap();
        }
        let answer = peer.next().await.unwrap().unwrap();
        assert_eq!(answer, Message::Pong(Bytes::from_static(b"are you there")));
        peer.close(None).await.unwrap();
        peer
    });
    let mut received = Vec::new();
    ours.read_to_end(&mut received).await.unwrap();
    assert_eq!(received, expected);
    let mut peer = writing.await.unwrap();
    let answer = peer.next().await.unwrap().unwrap();
    assert!(answer.is_close(), "a close is answered: {answer:?}");
}

#[tokio::test]
async fn what_is_written_comes_whole_and_ends_with_a_close() {
    let (mut ours, mut peer) = server_and_peer().await;
    let frames: Vec<_> = (1..=200).map(|n| frame(n * 37 + 8, n as u8)).collect();
    let written = frames.concat();
    let expected = written.clone();
    let writing = tokio::spawn(async move {
        ours.write_all(&written).await.unwrap();
        ours.flush().await.unwrap();
        ours.shutdown().await.unwrap();
        ours
    });
    let mut received = Vec::new();
    loop {
        match peer.next().await.unwrap().unwrap() {
            Message::Binary(message) => {
                assert_eq!(whole_frames(&message).len(), message.len());
                received.extend_from_slice(&message);
            }
            Message::Close(_) => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(received, expected);
    writing.await.unwrap();
}

#[tokio::test]
async fn peers_that_break_the_rules_are_told_so() {
    let check = async |message: Message, code: CloseCode| {
        let (mut ours, mut peer) = server_and_peer().await;
        let sending = tokio::spawn(async move {
            // The other end may close before it has read everything.
            let _ = peer.send(message).await;
            peer
        });
        let error = ours.read(&mut [0; 16]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
        // Read on, so that the peer can end what it is sending.
        drop(ours);
        let mut peer = sending.await.unwrap();
        match peer.next().await {
            Some(Ok(Message::Close(Some(frame)))) => assert_eq!(frame.code, code),
            other => panic!("{other:?}"),
        }
    };
    check(Message::text("AMQP"), CloseCode::Unsupported).await;
    let large = vec![0; limits::WEBSOCKET_MESSAGE_MAX_BYTES + 1];
    check(Message::binary(large), CloseCode::Size).await;
}

#[tokio::test]
async fn a_stream_that_breaks_off_is_an_error() {
    let (mut ours, peer) = server_and_peer().await;
    drop(peer);
    assert!(ours.read(&mut [0; 16]).await.is_err());
}

#[test]
fn the_accept_key_is_that_of_the_specification() {
    let key = b"dGhlIHNhbXBsZSBub25jZQ==";
    assert_eq!(accept_key(key), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}
