use super::*;

fn enter(connections: &Arc<Connections>) -> Entered {
    connections.enter(([127, 0, 0, 1], 1).into(), Protocol::Mqtts, || {})
}

#[tokio::test(start_paused = true)]
async fn who_is_alone_ended_the_others_and_keeps_them_out() {
    let connections = Connections::new(Clock::system());
    let entered = enter(&connections);
    let present = connections.present().await;
    let one = Arc::clone(entered.connection());
    let task = tokio::spawn(async move {
        one.severed().await;
        drop((entered, present));
    });
    let alone = connections.alone().await.unwrap();
    task.await.unwrap();
    assert!(connections.list().is_empty());
    let late = Arc::clone(&connections);
    let waits = tokio::spawn(async move { late.present().await });
    tokio::task::yield_now().await;
    assert!(!waits.is_finished());
    drop(alone);
    drop(waits.await.unwrap());
    // A request that does not end is waited for, but not for ever.
    let _present = connections.present().await;
    assert!(connections.alone().await.is_none());
}

#[test]
fn orders_are_bounded_and_taken_once() {
    let connections = Connections::new(Clock::system());
    let entered = enter(&connections);
    let cut = || {
        Order::Cut(Cut {
            client: None,
            how: CutHow::Connection,
        })
    };
    let connection = connections.get(1).unwrap();
    assert!((0..ORDERS_MAX).all(|_| connection.order(cut())));
    assert!(!connection.order(cut()));
    assert_eq!(entered.connection().take_orders().len(), ORDERS_MAX);
    assert!(entered.connection().take_orders().is_empty());
    drop(entered);
    assert!(connections.get(1).is_none());
}
