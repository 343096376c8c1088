use tokio::io::duplex;

use super::*;

fn parts(text: &str) -> Result<(String, u16, Option<String>), InvalidProxy> {
    let proxy = Proxy::parse(text)?;
    let authorization = proxy.authorization.map(|value| {
        let encoded = value.expose_secret().strip_prefix("Basic ").unwrap();
        String::from_utf8(STANDARD.decode(encoded).unwrap()).unwrap()
    });
    Ok((proxy.host, proxy.port, authorization))
}

#[test]
fn proxies_are_written_in_many_ways() {
    let check = |text: &str, host: &str, port, authorization: Option<&str>| {
        let expected = (host.to_owned(), port, authorization.map(str::to_owned));
        assert_eq!(parts(text), Ok(expected), "{text}");
    };
    check("http://proxy.test:3128", "proxy.test", 3_128, None);
    check("HTTP://proxy.test:3128/", "proxy.test", 3_128, None);
    check(" proxy_1 ", "proxy_1", 80, None);
    check("10.0.0.1:65535", "10.0.0.1", 65_535, None);
    check("http://[::1]:8080", "::1", 8_080, None);
    check("http://[fe80::1]", "fe80::1", 80, None);
    check("http://u:p@h:1", "h", 1, Some("u:p"));
    check("http://u@h:1", "h", 1, Some("u:"));
    check("http://a%40b:c%3a%C3%A4/@h:1", "h", 1, Some("a@b:c:ä/"));
    check("http://u:p@ss@h:1", "h", 1, Some("u:p@ss"));
}

#[test]
fn mistakes_are_named_and_nothing_is_quoted() {
    for (text, expected) in [
        ("https://secret:secret@h:1", InvalidProxy::Scheme),
        ("socks5://h:1", InvalidProxy::Scheme),
        ("", InvalidProxy::Host),
        ("http://", InvalidProxy::Host),
        ("http://:80", InvalidProxy::Host),
        ("http://a b:80", InvalidProxy::Host),
        ("http://a\r\nb:80", InvalidProxy::Host),
        ("http://[::1:80", InvalidProxy::Host),
        ("http://[x]:80", InvalidProxy::Host),
        ("h:", InvalidProxy::Port),
        ("h:0", InvalidProxy::Port),
        ("h:65536", InvalidProxy::Port),
        ("h:+1", InvalidProxy::Port),
        ("[::1]x", InvalidProxy::Port),
        ("::1", InvalidProxy::Host),
        ("h:1/path", InvalidProxy::Path),
        ("h:1?q", InvalidProxy::Path),
        ("%ff:secret@h:1", InvalidProxy::Credentials),
        ("a%3ab:secret@h:1", InvalidProxy::Credentials),
    ] {
        assert_eq!(parts(text), Err(expected), "{text}");
        assert!(!expected.to_string().contains("secret"));
    }
    let proxy = Proxy::parse("http://user:secret@h:1").unwrap();
    let shown = format!("{proxy} {proxy:?}");
    assert!(
        !shown.contains("secret") && !shown.contains("dXNlc"),
        "{shown}"
    );
}

/// What a proxy says → how that is understood.
async fn tunnel(answer: &[u8]) -> (String, Result<(), ProxyError>) {
    let (mut ours, mut theirs) = duplex(64 * 1_024);
    theirs.write_all(answer).await.unwrap();
    let proxy = Proxy::parse("u:p@h:1").unwrap();
    if answer.is_empty() {
        theirs.shutdown().await.unwrap();
    }
    let result = proxy.tunnel(&mut ours, "hub.test", 443).await;
    drop(ours);
    let mut asked = String::new();
    theirs.read_to_string(&mut asked).await.unwrap();
    (asked, result)
}

#[tokio::test]
async fn a_tunnel_is_asked_for_by_name() {
    let (asked, result) = tunnel(b"HTTP/1.0 200 Connection established\r\nVia: x\r\n\r\n").await;
    assert!(result.is_ok(), "{result:?}");
    assert_eq!(
        asked,
        "CONNECT hub.test:443 HTTP/1.1\r\nHost: hub.test:443\r\nProxy-Authorization: Basic dTpw\r\n\r\n"
    );
}

#[tokio::test]
async fn refusals_are_told_and_nonsense_is_not_believed() {
    let check = async |answer: &[u8], expected: &str| {
        let error = tunnel(answer).await.1.unwrap_err().to_string();
        assert_eq!(error, expected);
    };
    let body = b"HTTP/1.1 403 Forbidden by policy\r\ncontent-length: 4\r\n\r\nno\r\n";
    check(body, "it refused (403 Forbidden by policy)").await;
    check(
        b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
        "it wants other credentials (407)",
    )
    .await;
    check(b"HTTP/1.1 502\r\n\r\n", "it refused (502)").await;
    let not_http = "it does not answer as an HTTP proxy does";
    check(b"SSH-2.0-x\r\n\r\n", not_http).await;
    check(b"HTTP/1.1 2xx\r\n\r\n", not_http).await;
    // Bytes that cannot have come from behind the proxy yet.
    check(b"HTTP/1.1 200 OK\r\n\r\nx", not_http).await;
    check(&[b'x'; limits::PROXY_HEAD_BYTES + 600], not_http).await;
    check(b"", "unexpected end of file").await;
    let long = format!("HTTP/1.1 500 {}\r\n\r\n", "x".repeat(1_000));
    let cut = limits::PROXY_REASON_CHARS - "500 ".len();
    let short = format!("it refused (500 {})", "x".repeat(cut));
    check(long.as_bytes(), &short).await;
}
