use super::*;

const BOUNDS: Bounds = Bounds {
    connections: 4,
    per_address: 2,
    refusals: 1,
    farewells: 2,
    handshakes: 3,
};

struct Stand {
    table: Arc<Table>,
    start: Instant,
}

impl Stand {
    fn new() -> Self {
        Self {
            table: Table::new(BOUNDS),
            start: Instant::now(),
        }
    }

    /// A connection from 10.0.0.`host` after so many seconds.
    fn admit(&self, host: u8, second: u64) -> Option<Entry> {
        let now = self.start + Duration::from_secs(second);
        self.table.admit([10, 0, 0, host].into(), false, now)
    }

    fn check(&self, served: usize, crowded: usize, leaving: usize) {
        let connections = self.table.connections();
        let found = (connections.served, connections.crowded, connections.leaving);
        assert_eq!(found, (served, crowded, leaving));
        let of_networks: usize = connections.by_network.values().sum();
        assert_eq!(of_networks, served);
    }
}

fn is_leaving(entry: &Entry) -> bool {
    entry.shared.may_close()
}

fn busy(entry: &Entry) {
    entry.shared.request_begins();
    entry.shared.request_came();
}

#[tokio::test]
async fn the_idlest_of_all_ends_for_a_new_one() {
    let stand = Stand::new();
    let old: Vec<_> = (1..=4)
        .map(|host| stand.admit(host, 10 - u64::from(host)).unwrap())
        .collect();
    let new = stand.admit(5, 20).unwrap();
    assert!(!new.crowded);
    assert_eq!(
        old.iter().map(is_leaving).collect::<Vec<_>>(),
        [false, false, false, true]
    );
    stand.check(4, 0, 1);
    drop(old);
    stand.check(1, 0, 0);
}

#[tokio::test]
async fn an_address_pays_for_its_own_connections() {
    let stand = Stand::new();
    let other = stand.admit(1, 0).unwrap();
    let first = stand.admit(2, 1).unwrap();
    let second = stand.admit(2, 2).unwrap();
    let third = stand.admit(2, 3).unwrap();
    assert!(is_leaving(&first) && !is_leaving(&other));
    assert!(!is_leaving(&second) && !third.crowded);
    // With its own busy, there is no room for another of it; for others there is.
    busy(&second);
    busy(&third);
    assert!(stand.admit(2, 4).unwrap().crowded);
    assert!(!stand.admit(3, 5).unwrap().crowded);
    assert!(!is_leaving(&other));
}

#[tokio::test]
async fn half_a_request_is_idle_and_a_whole_one_is_not() {
    let stand = Stand::new();
    let entries: Vec<_> = (1..=4).map(|host| stand.admit(host, 0).unwrap()).collect();
    entries.iter().for_each(busy);
    let crowded = stand.admit(5, 1).unwrap();
    assert!(crowded.crowded);
    // Its turn ends with the next one.
    let next = stand.admit(6, 2).unwrap();
    assert!(next.crowded && is_leaving(&crowded));
    busy(&next);
    assert!(stand.admit(7, 3).is_none());
    entries[2].shared.request_begins();
    assert!(!stand.admit(7, 4).unwrap().crowded);
    assert!(is_leaving(&entries[2]));
}

#[tokio::test]
async fn few_are_waited_for_when_they_are_to_end() {
    let stand = Stand::new();
    let entries: Vec<_> = (1..=4).map(|host| stand.admit(host, 0).unwrap()).collect();
    let more: Vec<_> = (5..=8).map(|host| stand.admit(host, 1).unwrap()).collect();
    stand.check(4, 0, 4);
    let at_once = entries.iter().filter(|entry| entry.shared.leaves_at_once());
    assert_eq!(at_once.count(), 2);
    drop((entries, more));
    stand.check(0, 0, 0);
}

#[tokio::test]
async fn stuck_handshakes_keep_nobody_out() {
    let stand = Stand::new();
    let shake = |host: u8, second| {
        let now = stand.start + Duration::from_secs(second);
        stand
            .table
            .admit([10, 0, 0, host].into(), true, now)
            .unwrap()
    };
    let stuck: Vec<_> = (1..=3).map(|host| shake(host, u64::from(host))).collect();
    stuck[0].shook_hands();
    let _third = shake(4, 5);
    assert!(stuck.iter().all(|entry| !is_leaving(entry)));
    drop(stuck);

    let stuck: Vec<_> = (1..=2).map(|host| shake(host, u64::from(host))).collect();
    let _fourth = shake(5, 6);
    assert!(is_leaving(&stuck[0]) && !is_leaving(&stuck[1]));
}

#[tokio::test]
async fn what_stands_still_for_too_long_ends() {
    let stand = Stand::new();
    let (idle, working) = (stand.admit(1, 0).unwrap(), stand.admit(2, 0).unwrap());
    busy(&working);
    let limit = Duration::from_secs(60);
    let at = |second| stand.start + Duration::from_secs(second);
    stand.table.end_idle(limit, at(60));
    assert!(!is_leaving(&idle));
    stand.table.end_idle(limit, at(61));
    assert!(is_leaving(&idle) && !is_leaving(&working));
}

#[test]
fn a_network_of_ipv6_is_one_caller() {
    let of = |text: &str| Network::of(text.parse().unwrap());
    assert_eq!(of("2001:db8::1"), of("2001:db8::2:1"));
    assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
    assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
    assert_ne!(of("10.0.0.1"), of("10.0.0.2"));
}
