//! fe2o3-amqp as server of the engine.

use drawspan_amqp::Message as OurMessage;
use drawspan_amqp::engine::{Connection, Credit, Event, LinkId, LinkOptions, Outgoing};
use drawspan_amqp::message::Properties;
use drawspan_amqp::performative::DeliveryTag;
use drawspan_amqp::value::Map;
use fe2o3_amqp::acceptor::{
    ConnectionAcceptor, LinkAcceptor, LinkEndpoint, ListenerConnectionHandle,
    ListenerSessionHandle, SaslAnonymousMechanism, SessionAcceptor,
};
use fe2o3_amqp::types::definitions::{AmqpError, Error, LinkError};
use fe2o3_amqp::types::messaging::Data;
use fe2o3_amqp::{Receiver, Sender};
use tokio::net::TcpListener;

use crate::common::{OUTCOMES, body, message, outcome};
use crate::remote::Remote;
use crate::{TIMEOUT, asking, name};

/// What the acceptor's `counted` sends.
const COUNTED: usize = 12;
const SIZE: usize = 300_000;

/// An acceptor that serves one connection; gives its address.
async fn acceptor(with_sasl: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let builder = ConnectionAcceptor::builder()
            .container_id("fe2o3")
            .max_frame_size(4_096u32)
            .channel_max(10u16);
        let connection = match with_sasl {
            true => {
                let builder = builder.sasl_acceptor(SaslAnonymousMechanism {});
                builder.build().accept(stream).await
            }
            false => builder.build().accept(stream).await,
        };
        sessions(connection.unwrap()).await;
    });
    address
}

/// A connection to a separate acceptor.
async fn connect(with_sasl: bool) -> Result<Remote, String> {
    let mut remote = Remote::connect(&acceptor(with_sasl).await, with_sasl).await?;
    let opened = |event: &Event| matches!(event, Event::Opened(_)).then_some(());
    remote.wait("open", opened).await?;
    Ok(remote)
}

async fn sessions(mut connection: ListenerConnectionHandle) {
    let acceptor = SessionAcceptor::new();
    while let Ok(session) = acceptor.accept(&mut connection).await {
        tokio::spawn(links(session));
    }
    let _ = connection.close().await;
}

async fn links(mut session: ListenerSessionHandle) {
    let acceptor = LinkAcceptor::new();
    while let Ok(link) = acceptor.accept(&mut session).await {
        match link {
            LinkEndpoint::Receiver(receiver) => tokio::spawn(judge(receiver)),
            LinkEndpoint::Sender(sender) => tokio::spawn(counted(sender)),
        };
    }
    let _ = session.end().await;
}

/// Settles as asked; closes with an error when asked for nothing.
async fn judge(mut receiver: Receiver) {
    while let Ok(delivery) = receiver.recv::<Data>().await {
        let properties = delivery.message().application_properties.as_ref();
        let asked = properties.and_then(|properties| properties.0.get("outcome"));
        let asked = format!("{asked:?}");
        let settled = if asked.contains("accepted") {
            receiver.accept(&delivery).await
        } else if asked.contains("rejected") {
            let error = Error::new(AmqpError::PreconditionFailed, Some("as asked".into()), None);
            receiver.reject(&delivery, error).await
        } else if asked.contains("released") {
            receiver.release(&delivery).await
        } else if asked.contains("modified") {
            let modified = fe2o3_amqp::types::messaging::Modified {
                delivery_failed: Some(true),
                undeliverable_here: Some(true),
                message_annotations: None,
            };
            receiver.modify(&delivery, modified).await
        } else {
            receiver.accept(&delivery).await.unwrap();
            let error = Error::new(LinkError::DetachForced, Some("as asked".into()), None);
            let _ = receiver.close_with_error(error).await;
            return;
        };
        settled.unwrap();
    }
    let _ = receiver.close().await;
}

/// Sends large messages that ask for an outcome, then closes: without an error when all got what they asked for.
async fn counted(mut sender: Sender) {
    for (index, asked) in OUTCOMES.iter().cycle().take(COUNTED).enumerate() {
        let outcome = sender.send(asking(index, SIZE, asked)).await.unwrap();
        if name(&outcome) != *asked {
            let text = format!("{asked} became {outcome:?}");
            let error = Error::new(AmqpError::InternalError, Some(text), None);
            let _ = sender.close_with_error(error).await;
            return;
        }
    }
    let _ = sender.close().await;
}

async fn bounded(test: impl Future<Output = Result<(), String>>) {
    tokio::time::timeout(TIMEOUT, test).await.unwrap().unwrap();
}

/// Sends one message; gives the name of its outcome.
async fn send(
    remote: &mut Remote,
    link: LinkId,
    index: usize,
    asked: &str,
    size: usize,
) -> Result<String, String> {
    let mut application = Map::default();
    if !asked.is_empty() {
        application.push("outcome", asked);
    }
    let payload = message(body(index, size), Properties::default(), application);
    let deliver = move |connection: &mut Connection| {
        let message = Outgoing {
            tag: DeliveryTag::from_u32(index as u32),
            message_format: 0,
            settled: false,
            context: index as u64,
            payload: &payload,
        };
        connection.send(link, &message)
    };
    while remote.run(move |it, _| it.credit(link)).await? == 0 {
        let credit = |event: &Event| matches!(event, Event::Credit { .. }).then_some(());
        remote.wait("credit", credit).await?;
    }
    remote.command(deliver).await?;
    let told = |event: &Event| match event {
        Event::Outcome {
            link: at,
            context,
            state,
            settled: true,
            ..
        } if *at == link && *context == index as u64 => Some(crate::common::judge(state.as_ref())),
        _ => None,
    };
    remote.wait("outcome", told).await
}

#[tokio::test]
async fn messages_of_every_size_get_the_outcome_they_ask_for() {
    bounded(async {
        let mut remote = connect(true).await?;
        let first = remote.begin().await?;
        let second = remote.begin().await?;
        for (session, size) in [(first, 10), (second, 300_000)] {
            let options = LinkOptions::sender("to-judge", "judge");
            let link = remote.attach(session, options).await?;
            for (index, asked) in OUTCOMES.iter().cycle().take(12).enumerate() {
                let told = send(&mut remote, link, index, asked, size).await?;
                assert_eq!(told, *asked, "message {index}");
            }
            remote.detach(link).await?;
        }
        remote.close().await.map(drop)
    })
    .await;
}

#[tokio::test]
async fn large_messages_arrive_whole_and_in_order() {
    bounded(async {
        let mut remote = connect(false).await?;
        let session = remote.begin().await?;
        let options = LinkOptions::receiver("counted", "counted", Credit::Auto(3));
        let link = remote.attach(session, options).await?;
        for index in 0..COUNTED {
            let delivery = |event: &Event| match event {
                Event::Delivery {
                    link: at,
                    delivery,
                    payload,
                    ..
                } if *at == link => Some((*delivery, payload.clone())),
                _ => None,
            };
            let (delivery, payload) = remote.wait("a message", delivery).await?;
            let message = OurMessage::decode(&payload).map_err(|error| error.to_string())?;
            assert!(
                crate::common::data(&message) == Some(body(index, SIZE)),
                "message {index}"
            );
            let state = outcome(OUTCOMES[index % 4]);
            remote
                .command(move |connection| connection.settle(link, delivery, state))
                .await?;
        }
        // The sender says so if an outcome was another.
        assert_eq!(remote.detached(link).await?, None);
        remote.close().await.map(drop)
    })
    .await;
}

#[tokio::test]
async fn a_detach_with_an_error_leaves_the_session_as_it_is() {
    bounded(async {
        let mut remote = connect(false).await?;
        let session = remote.begin().await?;
        let options = || LinkOptions::sender("to-judge", "judge");
        let link = remote.attach(session, options()).await?;
        assert_eq!(send(&mut remote, link, 0, "", 10).await?, "accepted");
        let error = remote.detached(link).await?.ok_or("no reason")?;
        assert_eq!(error.condition.as_str(), "amqp:link:detach-forced");
        assert_eq!(error.description.as_deref(), Some("as asked"));
        // The same name again, which is free now.
        let link = remote.attach(session, options()).await?;
        assert_eq!(
            send(&mut remote, link, 1, "rejected", 10).await?,
            "rejected"
        );
        remote
            .command(move |connection| connection.end(session, None))
            .await?;
        let ended = |event: &Event| match event {
            Event::SessionEnded { session: at, error } if *at == session => Some(error.clone()),
            _ => None,
        };
        assert_eq!(remote.wait("end", ended).await?, None);
        remote.close().await.map(drop)
    })
    .await;
}
