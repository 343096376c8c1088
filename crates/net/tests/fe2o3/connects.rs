//! fe2o3-amqp as client of the engine.

use fe2o3_amqp::connection::ConnectionHandle;
use fe2o3_amqp::link::{DetachError, SenderAttachError};
use fe2o3_amqp::sasl_profile::SaslProfile;
use fe2o3_amqp::types::definitions::{AmqpError, Error, ErrorCondition, LinkError};
use fe2o3_amqp::types::messaging::Data;
use fe2o3_amqp::{Connection, Receiver, Sender, Session};
use tokio::net::TcpListener;

use crate::common::OUTCOMES;
use crate::{TIMEOUT, asking, data, mirror, name};

/// A connection to a separate mirror.
async fn connect(sasl: Option<SaslProfile>) -> ConnectionHandle<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("amqp://{}", listener.local_addr().unwrap());
    tokio::spawn(mirror::serve(listener));
    let mut builder = Connection::builder()
        .container_id("fe2o3")
        .max_frame_size(4_096u32)
        .channel_max(10u16);
    if let Some(sasl) = sasl {
        builder = builder.sasl_profile(sasl);
    }
    builder.open(url.as_str()).await.unwrap()
}

async fn bounded(test: impl Future<Output = ()>) {
    tokio::time::timeout(TIMEOUT, test).await.unwrap();
}

#[tokio::test]
async fn messages_of_every_size_get_the_outcome_they_ask_for() {
    bounded(async {
        let mut connection = connect(Some(SaslProfile::Anonymous)).await;
        let mut session = Session::begin(&mut connection).await.unwrap();
        let mut sender = Sender::attach(&mut session, "to-judge", "judge")
            .await
            .unwrap();
        for (index, asked) in OUTCOMES.iter().cycle().take(40).enumerate() {
            let size = [10, 300_000][usize::from(index % 8 == 0)];
            let outcome = sender.send(asking(index, size, asked)).await.unwrap();
            assert_eq!(name(&outcome), *asked, "message {index}");
        }
        sender.close().await.unwrap();
        session.end().await.unwrap();
        connection.close().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn messages_arrive_whole_and_in_order_and_their_outcomes_are_counted() {
    bounded(async {
        let mut connection = connect(None).await;
        let mut session = Session::begin(&mut connection).await.unwrap();
        for (total, size) in [(40, 10), (4, 300_000)] {
            let source = format!("count/{total}/{size}");
            let mut receiver = Receiver::attach(&mut session, source.clone(), source)
                .await
                .unwrap();
            for index in 0..total {
                let delivery = receiver.recv::<Data>().await.unwrap();
                assert!(*delivery.body() == data(index, size), "message {index}");
                match index % 2 {
                    0 => receiver.accept(&delivery).await.unwrap(),
                    _ => receiver.release(&delivery).await.unwrap(),
                }
            }
            receiver.close().await.unwrap();
        }
        let mut tally = Receiver::attach(&mut session, "tally", "tally")
            .await
            .unwrap();
        let delivery = tally.recv::<Data>().await.unwrap();
        let said = delivery.message().application_properties.clone().unwrap();
        let said: Vec<String> = said
            .0
            .iter()
            .map(|(key, value)| format!("{key} {value:?}"))
            .collect();
        assert_eq!(
            said,
            [
                "accepted Long(22)",
                "modified Long(0)",
                "rejected Long(0)",
                "released Long(22)"
            ]
        );
        tally.accept(&delivery).await.unwrap();
        tally.close().await.unwrap();
        connection.close().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn sessions_share_a_connection_and_end_alone() {
    bounded(async {
        let mut connection = connect(None).await;
        let mut first = Session::begin(&mut connection).await.unwrap();
        let mut second = Session::begin(&mut connection).await.unwrap();
        let mut third = Session::begin(&mut connection).await.unwrap();
        let mut echoes = Vec::new();
        for session in [&mut first, &mut second] {
            let receiver = Receiver::attach(session, "from-echo", "echo")
                .await
                .unwrap();
            let sender = Sender::attach(session, "to-echo", "echo").await.unwrap();
            echoes.push((sender, receiver));
        }
        // The mirror ends the session instead of answering, or right after.
        if let Ok(sender) = Sender::attach(&mut third, "to-end", "end").await {
            drop(sender);
        }
        let error = third.on_end().await.unwrap_err();
        assert!(format!("{error:?}").contains("as asked"), "{error:?}");
        for (index, (mut sender, mut receiver)) in echoes.into_iter().enumerate() {
            for size in [10, 300_000] {
                let sent = sender.send(asking(index, size, "accepted")).await.unwrap();
                assert_eq!(name(&sent), "accepted");
                let back = receiver.recv::<Data>().await.unwrap();
                assert!(*back.body() == data(index, size));
                receiver.accept(&back).await.unwrap();
            }
            sender.close().await.unwrap();
            receiver.close().await.unwrap();
        }
        first.end().await.unwrap();
        second.end().await.unwrap();
        connection.close().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn refusals_and_forced_detaches_say_why() {
    bounded(async {
        let mut connection = connect(None).await;
        // fe2o3-amqp 0.18.4 answers a refusal twice, the second time in the name of the session's next link, too.
        let mut alone = Session::begin(&mut connection).await.unwrap();
        let missing = Sender::attach(&mut alone, "to-missing", "missing").await;
        let Err(SenderAttachError::RemoteClosedWithError(error)) = missing else {
            panic!("{missing:?}");
        };
        check(&error, AmqpError::NotFound.into(), "no such node");
        let mut session = Session::begin(&mut connection).await.unwrap();
        let mut sender = Sender::attach(&mut session, "to-detach", "detach")
            .await
            .unwrap();
        let last = sender.send(asking(0, 10, "")).await.unwrap();
        assert_eq!(name(&last), "accepted");
        let DetachError::RemoteClosedWithError(error) = sender.on_detach().await else {
            panic!("not closed with an error");
        };
        check(&error, LinkError::DetachForced.into(), "as asked");
        session.end().await.unwrap();
        connection.close().await.unwrap();
    })
    .await;
}

fn check(error: &Error, condition: ErrorCondition, description: &str) {
    assert_eq!(error.condition, condition);
    assert_eq!(error.description.as_deref(), Some(description));
}
