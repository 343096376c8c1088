//! The driver: connects and checks.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use drawspan_amqp::engine::{
    Closed, Connection, Credit, Event, LinkId, LinkOptions, Outgoing, SessionId,
};
use drawspan_amqp::message::{Message, MessageId, Properties};
use drawspan_amqp::performative::{DeliveryTag, Error, condition};
use drawspan_amqp::value::Map;
use drawspan_net::Ended;

use crate::common::{
    CREDIT, Failure, IDLE_TIME_OUT_MS, OUTCOMES, as_asked, body, data, holds, judge, message,
    outcome, same,
};
use crate::remote::Remote;

pub(crate) async fn connect(address: &str, distinct_names: bool) -> Result<(), Failure> {
    let mut bare = Remote::connect(address, false).await?;
    opened(&mut bare).await?;
    closed(bare, "closed without SASL").await?;

    let mut remote = Remote::connect(address, true).await?;
    let idle_time_out_ms = opened(&mut remote).await?;
    println!("  the mirror announces an idle time-out of {idle_time_out_ms} ms");
    let session = remote.begin().await?;
    judged(&mut remote, session).await?;
    count(&mut remote, session, 40, 10, outcome_name).await?;
    tally(&mut remote, session).await?;
    count(&mut remote, session, 10, 300_000, |_| "accepted").await?;
    let mut echo = Echo::attach(&mut remote, session, distinct_names).await?;
    echo.ping(&mut remote, "small", 10).await?;
    echo.ping(&mut remote, "large", 300_000).await?;
    refused(&mut remote, session).await?;
    detached(&mut remote, session).await?;
    ended(&mut remote).await?;
    echo.ping(&mut remote, "after the other session ended", 10)
        .await?;
    println!("  silent for three times the idle time-out");
    tokio::time::sleep(Duration::from_millis(u64::from(3 * IDLE_TIME_OUT_MS))).await;
    echo.ping(&mut remote, "after the silence", 10).await?;
    closed(remote, "closed without an error").await
}

async fn opened(remote: &mut Remote) -> Result<u32, Failure> {
    let open = |event: &Event| match event {
        Event::Opened(open) => Some(open.idle_time_out_ms.unwrap_or_default()),
        _ => None,
    };
    let idle_time_out_ms = remote.wait("open", open).await?;
    holds(
        idle_time_out_ms > 0,
        "the mirror announces no idle time-out",
    )?;
    Ok(idle_time_out_ms)
}

async fn closed(remote: Remote, what: &str) -> Result<(), Failure> {
    let ended = remote.close().await?;
    holds(
        matches!(ended, Ended::Closed(Closed::ByUs)),
        &format!("{what}: {ended:?}"),
    )?;
    println!("  {what}");
    Ok(())
}

fn outcome_name(index: usize) -> &'static str {
    OUTCOMES[index % OUTCOMES.len()]
}

fn identified(id: &str) -> Properties {
    Properties {
        message_id: Some(MessageId::String(id.to_owned())),
        ..Properties::default()
    }
}

async fn judged(remote: &mut Remote, session: SessionId) -> Result<(), Failure> {
    let link = remote
        .attach(session, LinkOptions::sender("to-judge", "judge"))
        .await?;
    let asked: Vec<String> = (0..80)
        .map(|index| outcome_name(index).to_owned())
        .collect();
    let numbered = asked.iter().enumerate();
    let messages = numbered.map(|(index, outcome)| {
        let mut application = Map::default();
        application.push("outcome", outcome.as_str());
        message(
            body(index, 100),
            identified(&format!("j-{index}")),
            application,
        )
    });
    let outcomes = send_all(remote, link, messages.collect()).await?;
    same(&outcomes, &asked, "outcomes as asked")?;
    remote.detach(link).await
}

/// Sends messages as credit allows; gives the outcome of each, in their order.
async fn send_all(
    remote: &mut Remote,
    link: LinkId,
    messages: Vec<Bytes>,
) -> Result<Vec<String>, Failure> {
    let mut outcomes = vec![None; messages.len()];
    let mut waiting = messages.into_iter().enumerate().peekable();
    while outcomes.contains(&None) {
        while waiting.peek().is_some() && remote.run(move |it, _| it.credit(link)).await? > 0 {
            if let Some((index, payload)) = waiting.next() {
                remote
                    .command(move |connection| send(connection, link, index, &payload))
                    .await?;
            }
        }
        let news = |event: &Event| match event {
            Event::Credit { link: at, .. } if *at == link => Some(None),
            Event::Outcome {
                link: at,
                context,
                state,
                settled: true,
                ..
            } if *at == link => Some(Some((*context, judge(state.as_ref())))),
            _ => None,
        };
        let Some((context, outcome)) = remote.wait("outcome or credit", news).await? else {
            continue;
        };
        let place = usize::try_from(context).ok();
        let place = place.and_then(|place| outcomes.get_mut(place));
        holds(
            place.is_some_and(|place| place.replace(outcome).is_none()),
            "an outcome came twice",
        )?;
    }
    Ok(outcomes.into_iter().flatten().collect())
}

fn send(
    connection: &mut Connection,
    link: LinkId,
    index: usize,
    payload: &Bytes,
) -> Result<(), drawspan_amqp::engine::CommandError> {
    let message = Outgoing {
        // No more than 80 are sent on a link at once.
        tag: DeliveryTag::from_u32(index as u32),
        message_format: 0,
        settled: false,
        context: index as u64,
        payload,
    };
    connection.send(link, &message)
}

/// The next message on a link, settled as `outcome` says.
async fn receive(remote: &mut Remote, link: LinkId, name: &str) -> Result<Message, Failure> {
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
    let state = outcome(name);
    remote
        .command(move |connection| connection.settle(link, delivery, state))
        .await?;
    Message::decode(&payload).map_err(|error| error.to_string())
}

async fn count(
    remote: &mut Remote,
    session: SessionId,
    total: usize,
    size: usize,
    plan: impl Fn(usize) -> &'static str,
) -> Result<(), Failure> {
    let source = format!("count/{total}/{size}");
    let options = LinkOptions::receiver(format!("from-{source}"), source, Credit::Auto(CREDIT));
    let link = remote.attach(session, options).await?;
    for index in 0..total {
        let message = receive(remote, link, plan(index)).await?;
        let id = message.properties.as_ref();
        let id = id.and_then(|properties| properties.message_id.clone());
        let place = message.application_properties.as_ref();
        let place = place.and_then(|properties| properties.get("index")?.as_i64());
        let exact = id == identified(&format!("m-{index}")).message_id
            && place == i64::try_from(index).ok()
            && data(&message) == Some(body(index, size));
        holds(
            exact,
            &format!("message {index} is {id:?}, {place:?}, or has another body"),
        )?;
    }
    println!("  {total} messages of {size} bytes are exact and in order");
    remote.detach(link).await
}

async fn tally(remote: &mut Remote, session: SessionId) -> Result<(), Failure> {
    let options = LinkOptions::receiver("from-tally", "tally", Credit::Manual(1));
    let link = remote.attach(session, options).await?;
    let message = receive(remote, link, "accepted").await?;
    let said = message.application_properties.unwrap_or_default();
    let pair = |(name, number): &(drawspan_amqp::Value, drawspan_amqp::Value)| {
        Some((name.as_str()?.to_owned(), number.as_i64()?))
    };
    let seen: BTreeMap<String, i64> = said.iter().filter_map(pair).collect();
    let expected = OUTCOMES.map(|name| (name.to_owned(), 10)).into();
    same(&seen, &expected, "tally of the mirror")?;
    remote.detach(link).await
}

/// A pair of links on which what is sent comes back.
struct Echo {
    sender: LinkId,
    receiver: LinkId,
}

impl Echo {
    async fn attach(
        remote: &mut Remote,
        session: SessionId,
        distinct_names: bool,
    ) -> Result<Self, Failure> {
        let (to, from) = match distinct_names {
            true => ("to-echo", "from-echo"),
            false => ("echo", "echo"),
        };
        let receiver = LinkOptions::receiver(from, "echo", Credit::Auto(CREDIT));
        let receiver = remote.attach(session, receiver).await?;
        let sender = remote
            .attach(session, LinkOptions::sender(to, "echo"))
            .await?;
        Ok(Self { sender, receiver })
    }

    async fn ping(&mut self, remote: &mut Remote, id: &str, size: usize) -> Result<(), Failure> {
        let sent = message(body(7, size), identified(id), Map::default());
        let outcomes = send_all(remote, self.sender, vec![sent]).await?;
        holds(outcomes == ["accepted"], &format!("{id}: {outcomes:?}"))?;
        let back = receive(remote, self.receiver, "accepted").await?;
        let correlation_id = back.properties.as_ref();
        let correlation_id = correlation_id.and_then(|found| found.correlation_id.clone());
        holds(
            correlation_id == identified(id).message_id,
            &format!("{id}: correlation id {correlation_id:?}"),
        )?;
        holds(data(&back) == Some(body(7, size)), "the echo is exact")?;
        println!("  echo {id}, {size} bytes");
        Ok(())
    }
}

/// Attaches without waiting for the answer, which may be left out when a link is refused; waits for the detach.
async fn attach_refused(
    remote: &mut Remote,
    session: SessionId,
    options: LinkOptions,
) -> Result<Option<Error>, Failure> {
    let link = remote
        .command(move |connection| connection.attach(session, options))
        .await?;
    remote.detached(link).await
}

async fn refused(remote: &mut Remote, session: SessionId) -> Result<(), Failure> {
    let expected = Some(Error::new(condition::NOT_FOUND, "no such node"));
    let sender = LinkOptions::sender("to-missing", "missing");
    let error = attach_refused(remote, session, sender).await?;
    same(&error, &expected, "missing target")?;
    let receiver = LinkOptions::receiver("from-missing", "missing", Credit::Auto(CREDIT));
    let error = attach_refused(remote, session, receiver).await?;
    same(&error, &expected, "missing source")
}

async fn detached(remote: &mut Remote, session: SessionId) -> Result<(), Failure> {
    let link = remote
        .attach(session, LinkOptions::sender("to-detach", "detach"))
        .await?;
    let last = message(
        Bytes::from_static(b"last"),
        identified("last"),
        Map::default(),
    );
    let outcomes = send_all(remote, link, vec![last]).await?;
    holds(
        outcomes == ["accepted"],
        &format!("last message: {outcomes:?}"),
    )?;
    let error = remote.detached(link).await?;
    same(&error, &Some(as_asked(condition::DETACH_FORCED)), "detach")
}

async fn ended(remote: &mut Remote) -> Result<(), Failure> {
    let session = remote.begin().await?;
    remote
        .command(move |connection| connection.attach(session, LinkOptions::sender("to-end", "end")))
        .await?;
    let end = |event: &Event| match event {
        Event::SessionEnded {
            session: found,
            error,
        } if *found == session => Some(error.clone()),
        _ => None,
    };
    let error = remote.wait("end", end).await?;
    let expected = Some(as_asked(condition::RESOURCE_LIMIT_EXCEEDED));
    same(&error, &expected, "end of the second session")
}
