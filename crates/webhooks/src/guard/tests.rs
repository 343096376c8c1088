use super::*;

fn guard(mode: GuardMode, allowed: &[&str]) -> Guard {
    let allowed = allowed.iter().map(|text| text.parse().unwrap());
    Guard::new(mode, allowed.collect())
}

/// What each mode lets through: strict, permissive, off.
fn check(address: &str, expected: [bool; 3]) {
    let ip = address.parse().unwrap();
    let modes = [GuardMode::Strict, GuardMode::Permissive, GuardMode::Off];
    let found = modes.map(|mode| guard(mode, &[]).permits(mode, "host", ip).is_ok());
    assert_eq!(found, expected, "{address}");
}

#[test]
fn public_addresses_pass() {
    for address in [
        "8.8.8.8",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.1",
        "169.253.255.255",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.1",
        "192.167.255.255",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "168.63.129.17",
        "2606:4700:4700::1111",
        "2a00:1450::1",
        "2001:4860:4860::8888",
        "::ffff:8.8.8.8",
        "64:ff9b::808:808",
    ] {
        check(address, [true; 3]);
    }
}

#[test]
fn private_and_loopback_addresses_are_for_deployments_of_the_original() {
    for address in [
        "127.0.0.1",
        "127.255.255.255",
        "10.0.0.0",
        "10.255.255.255",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.0.1",
        "100.64.0.1",
        "100.127.255.255",
        "::1",
        "fc00::1",
        "fdff::1",
        "::ffff:127.0.0.1",
        "::ffff:10.1.2.3",
        "64:ff9b::a00:1",
        "64:ff9b::7f00:1",
    ] {
        check(address, [false, true, true]);
    }
}

#[test]
fn reserved_addresses_are_for_nobody() {
    for address in [
        "0.0.0.0",
        "0.1.2.3",
        "192.0.0.8",
        "192.0.2.1",
        "192.88.99.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::7f00:1",
        "::ffff:0:0",
        "::ffff:0:127.0.0.1",
        "64:ff9b:1::1",
        "64:ff9b::e000:1",
        "100::1",
        "2001::1",
        "2001:2::1",
        "2001:20::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "2002:808:808::1",
        "3fff::1",
        "5f00::1",
        "fec0::1",
        "ff02::1",
    ] {
        check(address, [false, false, true]);
    }
}

#[test]
fn metadata_is_for_nobody_whatever_is_listed() {
    let open = ["0.0.0.0/0", "::/0", "host"];
    for address in [
        "169.254.0.0",
        "169.254.169.254",
        "169.254.255.255",
        "168.63.129.16",
        "100.100.100.200",
        "192.0.0.192",
        "fe80::1",
        "febf::1",
        "fd00:ec2::254",
        "fd20:ce::254",
        "::ffff:169.254.169.254",
        "::ffff:100.100.100.200",
        "::a9fe:a9fe",
        "::ffff:0:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
        "2001:0:1:2:3:4:5601:5601",
        // NAT64 with a prefix of the network's own: of 96, 64, 56 and 48 bits.
        "64:ff9b:1::a9fe:a9fe",
        "64:ff9b:1:ffff:1:2:a9fe:a9fe",
        "64:ff9b:1:2:a9:fea9:fe00:0",
        "64:ff9b:1:a9:fe:a9fe::",
        "64:ff9b:1:a9fe:a9:fe00::",
        "64:ff9b:1::a83f:8110",
        "64:ff9b:1::6464:64c8",
        // ISATAP.
        "2001:4860:1:2:0:5efe:a9fe:a9fe",
        "fd12::200:5efe:169.254.169.254",
        "fe80::5efe:a9fe:a9fe",
    ] {
        check(address, [false, false, true]);
        for mode in [GuardMode::Strict, GuardMode::Permissive] {
            let address = address.parse().unwrap();
            let refused = guard(mode, &open).permits(mode, "host", address);
            let why = refused.unwrap_err();
            assert!(why.contains("which nothing allows"), "{why}");
        }
    }
}

#[test]
fn what_is_listed_passes() {
    let check = |entry: &str, host: &str, address: &str, expected: bool| {
        let (mode, address) = (GuardMode::Strict, address.parse().unwrap());
        let found = guard(mode, &[entry]).permits(mode, host, address).is_ok();
        assert_eq!(found, expected, "{entry} {host} {address}");
    };
    check("10.0.0.0/8", "10.1.2.3", "10.1.2.3", true);
    check("10.0.0.0/8", "x", "11.0.0.0", true); // public
    check("10.0.0.0/8", "x", "192.168.0.1", false);
    check("10.0.0.0/8", "x", "::ffff:10.0.0.1", true);
    check("10.0.0.0/8", "x", "fc00::1", false);
    check("10.1.0.0/16", "x", "10.2.0.1", false);
    check("0.0.0.0/0", "x", "127.0.0.1", true);
    check("0.0.0.0/0", "x", "::1", false);
    check("::/0", "x", "::1", true);
    check("::/0", "x", "64:ff9b:1::a00:1", true);
    check("64:ff9b:1::/96", "x", "64:ff9b:1::a00:1", true);
    check("64:ff9b:1::/96", "x", "64:ff9b:1::a9fe:a9fe", false);
    check("fd12::/16", "x", "fd12:1::1", true);
    check("fd12::/16", "x", "fd13::1", false);
    check("192.168.1.7", "x", "192.168.1.7", true);
    check("192.168.1.7", "x", "192.168.1.8", false);
    check("[::1]", "x", "::1", true);
    check("adapter.local", "adapter.local", "10.0.0.1", true);
    check("adapter.local", "Adapter.Local.", "10.0.0.1", true);
    check("adapter.local", "my.adapter.local", "10.0.0.1", false);
    check("localhost", "localhost", "127.0.0.1", true);
    check(
        "*.example.internal",
        "a.b.example.internal",
        "10.0.0.1",
        true,
    );
    check("*.example.internal", "example.internal", "10.0.0.1", false);
    check(
        "*.example.internal",
        "badexample.internal",
        "10.0.0.1",
        false,
    );
    check("*.example.internal", ".example.internal", "10.0.0.1", false);
}

#[test]
fn mistakes_in_the_list_are_named() {
    let check = |text: &str, expected: &str| {
        let mistake = text.parse::<Allowed>().unwrap_err().to_string();
        assert!(
            mistake.contains(text) && mistake.contains(expected),
            "{mistake}"
        );
    };
    for text in [
        "10.0.0.0/33",
        "10.0.0.0/-1",
        "10.0.0.0/",
        "10.0.0/8",
        "fd00::/129",
        "adapter.local/8",
        "http://adapter.local",
        "adapter.local:80",
        "a..b",
        "*",
        "*.",
        "a.*.b",
        "",
        "10.1",
    ] {
        check(text, "is neither");
    }
    check("10.1.2.3/8", "begins at 10.0.0.0");
    check("169.254.169.254", "never reach");
    check("169.254.0.0/16", "never reach");
    check("fe80::1", "never reach");
    check("64:ff9b:1::a9fe:a9fe", "never reach");
    check("2002:a9fe:a9fe::/48", "never reach");
}

#[tokio::test]
async fn urls_are_looked_at_by_address() {
    let strict = guard(GuardMode::Strict, &[]);
    let check = async |url: &str, expected: bool| {
        let found = strict.check(&CallbackUrl::parse(url).unwrap()).await;
        assert_eq!(found.is_ok(), expected, "{url}: {found:?}");
        if let Err(why) = found {
            assert!(
                why.contains("allow_callbacks") && !why.contains("secret"),
                "{why}"
            );
        }
    };
    check("http://8.8.8.8/secret", true).await;
    check("http://127.0.0.1/secret", false).await;
    check("http://[::1]:8080/secret", false).await;
    check("https://[::ffff:10.0.0.1]/secret", false).await;
    check("http://localhost:3000/secret", false).await;
    check("http://LOCALHOST/secret", false).await;
    // The system reads such a number as 127.0.0.1.
    check("http://2130706433/secret", false).await;
    check("http://0x7f.1/secret", false).await;
    check("http://no-such-host.invalid/secret", true).await;
    let off = guard(GuardMode::Off, &[]);
    let metadata = CallbackUrl::parse("http://169.254.169.254/").unwrap();
    assert_eq!(off.check(&metadata).await, Ok(()));
}

#[test]
fn of_several_addresses_those_that_may_be_used_are_chosen() {
    let addresses = ["10.0.0.1:80", "8.8.8.8:80"].map(|text| text.parse().unwrap());
    let strict = guard(GuardMode::Strict, &[]);
    let reachable = |addresses: &[SocketAddr]| strict.reachable("h", 80, addresses.to_vec());
    assert_eq!(reachable(&addresses).unwrap(), addresses[1..]);
    assert!(reachable(&addresses[..1]).is_err());
    assert_eq!(reachable(&[]).unwrap(), []);
}

#[tokio::test]
async fn imported_callbacks_reach_private_addresses_and_nobody_subscribes_there() {
    let imported = [("adapter", 3000), ("127.0.0.1", 3000), ("[::1]", 80)];
    let imported = imported.map(|(host, port)| (host.to_owned(), port));
    let strict = guard(GuardMode::Strict, &[]).with_imported(HashSet::from(imported));
    let check = |host: &str, port: u16, address: &str, expected: bool| {
        let address = SocketAddr::new(address.parse().unwrap(), port);
        let found = strict.reachable(host, port, [address]).is_ok();
        assert_eq!(found, expected, "{host}:{port} {address}");
    };
    check("adapter", 3000, "10.0.0.1", true);
    check("Adapter", 3000, "127.0.0.1", true);
    check("127.0.0.1", 3000, "127.0.0.1", true);
    check("[::1]", 80, "::1", true);
    // Another port, another host; and forbidden ones.
    check("adapter", 3001, "10.0.0.1", false);
    check("other", 3000, "10.0.0.1", false);
    check("adapter", 3000, "169.254.169.254", false);
    check("adapter", 3000, "0.0.0.0", false);
    check("other", 3000, "8.8.8.8", true);
    for url in ["http://127.0.0.1:3000/", "http://[::1]/"] {
        let callback = CallbackUrl::parse(url).unwrap();
        assert!(strict.check(&callback).await.is_err(), "{url}");
    }
}
