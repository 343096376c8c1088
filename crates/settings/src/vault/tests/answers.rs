//! What a vault, and who gives tokens, may answer.

use super::fake::Asked;
use super::*;

/// What is said, which holds no secret and is one line.
async fn told(manner: Manner, variables: &[(&str, &str)], limit: Duration) -> (Fake, String) {
    let secrets = [("apiKey", "marker-1"), ("iotc-sas-key", "marker-2")];
    let fake = Fake::start(&secrets, manner).await;
    let error = read(way(&fake), URL, variables, limit).await.unwrap_err();
    assert!(!error.contains(MARKER) && !error.contains('\n'), "{error}");
    (fake, error)
}

async fn check(manner: Manner, expected: &str) -> Fake {
    let (fake, error) = told(manner, &APPLICATION, PATIENCE).await;
    assert!(error.contains(expected), "{error}");
    fake
}

fn is_vault(asked: &Asked) -> bool {
    asked.host == VAULT
}

fn knows(asked: &Asked) -> bool {
    is_vault(asked) && asked.header("authorization").contains(TOKEN)
}

#[tokio::test]
async fn what_is_there_is_found_and_what_is_not_is_none() {
    let check = async |secrets: &[(&str, &str)], expected: [Option<&str>; 2]| {
        let fake = Fake::start(secrets, proper).await;
        let read = read(way(&fake), URL, &APPLICATION, PATIENCE).await;
        assert_eq!(read, Ok(expected.map(|v| v.map(str::to_owned)).to_vec()));
    };
    let (key, other) = (("apiKey", "1"), ("iotc-sas-key", "2"));
    check(&[key, other], [Some("1"), Some("2")]).await;
    check(&[other], [None, Some("2")]).await;
    check(&[("x", "y")], [None, None]).await;
}

#[tokio::test]
async fn what_the_vault_refuses_says_what_to_do() {
    let forbidden = |asked: &Asked| {
        let body = r#"{"error":{"code":"Forbidden","message":"marker","innererror":{"code":"ForbiddenByRbac"}}}"#;
        knows(asked).then(|| answer(403, body))
    };
    let role = "with AZURE_CLIENT_SECRET may not read secrets (403, ForbiddenByRbac): give it the role `Key Vault Secrets User`";
    check(forbidden, role).await;
    let firewall = |asked: &Asked| {
        let body = r#"{"error":{"code":"Forbidden","innererror":{"code":"ForbiddenByFirewall"}}}"#;
        is_vault(asked).then(|| answer(403, body))
    };
    check(firewall, "firewall does not let this machine in (403").await;
    let disabled = |asked: &Asked| {
        let body = r#"{"error":{"code":"Forbidden","innererror":{"code":"SecretDisabled"}}}"#;
        knows(asked).then(|| answer(403, body))
    };
    check(disabled, "the secret apiKey is disabled (403").await;
    let stranger = |asked: &Asked| {
        let body = r#"{"error":{"code":"Unauthorized","message":"marker"}}"#;
        is_vault(asked).then(|| answer(401, body))
    };
    check(stranger, "does not know the application of").await;
    let none = |asked: &Asked| is_vault(asked).then(|| answer(404, "marker"));
    check(none, "the vault does not give apiKey (404").await;
    let odd = |asked: &Asked| {
        let body = r#"{"error":{"code":"marker of a secret"}}"#;
        knows(asked).then(|| answer(409, body))
    };
    check(odd, "the vault does not give apiKey (409)").await;
}

#[tokio::test]
async fn who_gets_no_token_hears_why() {
    let wrong = |asked: &Asked| {
        let body = r#"{"error":"invalid_client","error_codes":[7000215],"error_description":"AADSTS7000215: marker\r\nmarker"}"#;
        (asked.host == LOGIN).then(|| answer(401, body))
    };
    let expected = "the application of AZURE_CLIENT_ID with AZURE_CLIENT_SECRET got no token: the secret is wrong or has expired (401, AADSTS7000215)";
    check(wrong, expected).await;
    let broken = |asked: &Asked| (asked.host == LOGIN).then(|| answer(200, "marker"));
    check(broken, "the answer of login.test cannot be read").await;
    let odd = |asked: &Asked| (asked.host == LOGIN).then(|| answer(400, "marker"));
    check(odd, "got no token: refused (400)").await;

    let none = |asked: &Asked| (!is_vault(asked)).then(|| answer(400, "marker"));
    let (_, error) = told(none, &[], PATIENCE).await;
    let expected = "the managed identity of this machine got no token: it is not assigned to this machine (400)";
    assert_eq!(error, expected);
}

#[tokio::test]
async fn a_token_goes_to_the_vault_and_nowhere_else() {
    let elsewhere = |asked: &Asked| {
        is_vault(asked).then(|| Reply::Answer {
            status: 307,
            header: Some((
                "location",
                format!("https://elsewhere.test{}", asked.target),
            )),
            body: String::new(),
        })
    };
    let fake = check(elsewhere, "redirect (307), which is not followed").await;
    assert_eq!(fake.asked().len(), 1);
    let after_token = |asked: &Asked| {
        knows(asked).then(|| Reply::Answer {
            status: 302,
            header: Some(("location", "https://elsewhere.test/".to_owned())),
            body: String::new(),
        })
    };
    let fake = check(after_token, "redirect (302), which is not followed").await;
    assert!(
        !fake
            .asked()
            .iter()
            .any(|asked| asked.host == "elsewhere.test")
    );
    // A vault that asks for a token of another service.
    let other = |asked: &Asked| {
        is_vault(asked).then(|| Reply::Answer {
            status: 401,
            header: Some((
                "www-authenticate",
                r#"Bearer authorization="https://login.test/t", resource="https://management.test""#.to_owned(),
            )),
            body: String::new(),
        })
    };
    let fake = check(
        other,
        "does not ask for a token as a key vault of that name does",
    )
    .await;
    assert_eq!(fake.asked().len(), 1);
}

#[tokio::test]
async fn an_answer_is_bounded() {
    let long = |asked: &Asked| {
        knows(asked).then(|| {
            answer(
                200,
                format!("{{\"value\":\"{}\"}}", "marker".repeat(50_000)),
            )
        })
    };
    let fake = check(
        long,
        "the answer of own.vault.test cannot be read: length limit",
    )
    .await;
    assert_eq!(fake.asked().iter().filter(|asked| knows(asked)).count(), 1);
    let longest = "a".repeat(25_000);
    let fake = Fake::start(&[("apiKey", &longest)], proper).await;
    let read = read(way(&fake), URL, &APPLICATION, PATIENCE).await;
    assert_eq!(read, Ok(vec![Some(longest), None]));
    let odd = |asked: &Asked| knows(asked).then(|| answer(200, r#"{"value":["marker"]}"#));
    check(odd, "apiKey: the answer of the vault cannot be read").await;
}

#[tokio::test]
async fn who_hangs_is_named_and_left() {
    let soon = Duration::from_millis(300);
    let vault = |asked: &Asked| is_vault(asked).then_some(Reply::Never);
    let (_, error) = told(vault, &APPLICATION, soon).await;
    assert_eq!(
        error,
        "not read within 0.3 s: no answer from own.vault.test"
    );
    let login = |asked: &Asked| (asked.host == LOGIN).then_some(Reply::Never);
    let (_, error) = told(login, &APPLICATION, soon).await;
    assert_eq!(error, "not read within 0.3 s: no answer from login.test");
    let machine = |asked: &Asked| (!is_vault(asked)).then_some(Reply::Never);
    let (_, error) = told(machine, &[], soon).await;
    assert_eq!(
        error,
        "not read within 0.3 s: no answer from 169.254.169.254"
    );
}

#[tokio::test]
async fn what_passes_is_tried_again() {
    let busy = |asked: &Asked| (asked.number == 0).then(|| answer(503, "marker"));
    let fake = Fake::start(&[("apiKey", "1")], busy).await;
    let read = read(way(&fake), URL, &APPLICATION, PATIENCE).await;
    assert_eq!(read, Ok(vec![Some("1".to_owned()), None]));
}

#[tokio::test]
async fn nobody_is_trusted_but_the_given_authorities() {
    let (fake, other) = (
        Fake::start(&[], proper).await,
        Fake::start(&[], proper).await,
    );
    let mut way = way(&fake);
    way.authorities = vec![other.certificate.der().clone()];
    let error = read(way, URL, &APPLICATION, PATIENCE).await.unwrap_err();
    assert!(
        error.starts_with("TLS with own.vault.test:443 failed"),
        "{error}"
    );
    assert_eq!(fake.asked().len(), 0);
}

#[tokio::test]
async fn an_address_is_that_of_a_vault() {
    let fake = Fake::start(&[], proper).await;
    for url in [
        "own.vault.test",
        "http://own.vault.test",
        "https://",
        "https://127.0.0.1",
        "https://marker@own.vault.test",
        "https://own.vault.test/?marker",
        "https://own.vault.test/secrets",
        "file:///marker",
    ] {
        let error = read(way(&fake), url, &APPLICATION, PATIENCE)
            .await
            .unwrap_err();
        let expected = "is not the address of a key vault, like https://NAME.vault.azure.net";
        assert_eq!(error, expected, "{url}");
    }
    assert_eq!(fake.asked().len(), 0);
    let read = read(
        way(&fake),
        " https://own.vault.test/ ",
        &APPLICATION,
        PATIENCE,
    )
    .await;
    assert_eq!(read, Ok(vec![None, None]));
}
