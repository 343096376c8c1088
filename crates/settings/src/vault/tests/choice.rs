//! As whom it asks.

use azure_core::http::{HttpClient as _, Method, Request, Url};

use super::super::identity::Identity;
use super::super::wire::Wire;
use super::*;

fn chosen(variables: &[(&str, &str)]) -> Result<String, String> {
    Identity::choose(&environment(variables)).map(|identity| identity.to_string())
}

#[test]
fn variables_say_who_asks() {
    let check = |variables: &[(&str, &str)], expected: &str| {
        assert_eq!(chosen(variables).as_deref(), Ok(expected));
    };
    let application = "the application of AZURE_CLIENT_ID with AZURE_CLIENT_SECRET";
    check(&APPLICATION, application);
    let pod = [
        ("AZURE_TENANT_ID", "t"),
        ("AZURE_CLIENT_ID", "c"),
        ("AZURE_FEDERATED_TOKEN_FILE", "/token"),
    ];
    check(&pod, "the workload identity of AZURE_FEDERATED_TOKEN_FILE");
    check(&[&pod[..], &APPLICATION[..]].concat(), application);
    check(&[], "the managed identity of this machine");
    let host = [
        ("IDENTITY_ENDPOINT", "http://127.0.0.1:1/msi"),
        ("IDENTITY_HEADER", "h"),
        ("AZURE_CLIENT_ID", "c"),
    ];
    check(&host[..2], "the managed identity at IDENTITY_ENDPOINT");
    check(
        &host,
        "the managed identity of AZURE_CLIENT_ID at IDENTITY_ENDPOINT",
    );
    // A container group.
    check(&host[1..2], "the managed identity of this machine");
    check(
        &host[2..],
        "the managed identity of AZURE_CLIENT_ID of this machine",
    );
}

#[test]
fn half_an_identity_is_a_mistake() {
    let check = |variables: &[(&str, &str)], expected: &str| {
        let error = chosen(variables).unwrap_err();
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains(MARKER), "{error}");
    };
    let needs = "needs AZURE_TENANT_ID and AZURE_CLIENT_ID as well";
    check(&APPLICATION[1..3], needs);
    check(&[APPLICATION[0], APPLICATION[2]], needs);
    check(&[("AZURE_FEDERATED_TOKEN_FILE", "/token")], needs);
    let mixed_up = [
        ("AZURE_TENANT_ID", "marker~secret"),
        ("AZURE_CLIENT_ID", "c"),
        ("AZURE_CLIENT_SECRET", "t"),
    ];
    check(&mixed_up, "AZURE_TENANT_ID is not the id of a tenant");
    let host = [("IDENTITY_ENDPOINT", "msi"), ("IDENTITY_HEADER", "marker")];
    check(&host, "IDENTITY_ENDPOINT is not a URL");
}

async fn check_token_request(variables: &[(&str, &str)], host: &str, parts: &[&str]) {
    let fake = Fake::start(&[("apiKey", "marker-1")], proper).await;
    let read = read(way(&fake), URL, variables, PATIENCE).await;
    assert_eq!(read, Ok(vec![Some("marker-1".to_owned()), None]));
    let asked = fake.asked();
    let tokens: Vec<_> = asked.iter().filter(|asked| asked.host != VAULT).collect();
    let [token] = tokens.as_slice() else {
        panic!("one token is enough: {tokens:?}");
    };
    assert_eq!(token.host, host);
    let all = format!("{} {:?} {}", token.target, token.headers, token.body);
    for part in parts {
        assert!(all.contains(part), "{part}: {all}");
    }
    // The vault was first asked without a token, and the token was for that vault.
    let first = asked.iter().find(|asked| asked.host == VAULT).unwrap();
    assert_eq!(first.header("authorization"), "");
    assert!(
        !asked
            .iter()
            .any(|asked| asked.host != VAULT && !asked.header("authorization").is_empty())
    );
}

#[tokio::test]
async fn an_application_asks_by_its_secret() {
    let parts = [
        "/tenant/oauth2/v2.0/token",
        "client_id=client",
        "client_secret=marker-secret",
        "vault.test%2F.default",
    ];
    check_token_request(&APPLICATION, LOGIN, &parts).await;
}

#[tokio::test]
async fn a_pod_asks_by_the_token_in_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "marker-pod").unwrap();
    let mut variables = APPLICATION;
    let path = file.display().to_string();
    variables[2] = ("AZURE_FEDERATED_TOKEN_FILE", &path);
    let parts = ["client_assertion=marker-pod", "client_id=client"];
    check_token_request(&variables, LOGIN, &parts).await;

    std::fs::remove_file(&file).unwrap();
    let fake = Fake::start(&[], proper).await;
    let error = read(way(&fake), URL, &variables, PATIENCE)
        .await
        .unwrap_err();
    let expected = "AZURE_FEDERATED_TOKEN_FILE: ";
    assert!(
        error.starts_with(expected) && error.contains(&path),
        "{error}"
    );
    assert_eq!(fake.asked().len(), 0);
}

#[tokio::test]
async fn a_machine_asks_in_clear_what_is_next_to_it() {
    let parts = [
        "/metadata/identity/oauth2/token?",
        "client_id=of-the-user",
        "resource=https%3A%2F%2Fvault.test",
        r#""metadata": "true""#,
    ];
    let variables = [("AZURE_CLIENT_ID", "of-the-user")];
    check_token_request(&variables, "169.254.169.254", &parts).await;
}

#[tokio::test]
async fn nobody_else_is_asked_in_clear() {
    let fake = Fake::start(&[], proper).await;
    let mut variables = APPLICATION;
    variables[3] = ("AZURE_AUTHORITY_HOST", "http://login.test");
    let error = read(way(&fake), URL, &variables, PATIENCE)
        .await
        .unwrap_err();
    assert_eq!(error, "AZURE_AUTHORITY_HOST is not an https address");

    let own = Url::parse("http://169.254.169.254/").unwrap();
    let wire = Wire::new(&way(&fake), Some(&own)).unwrap();
    let ask = async |url: &str| {
        let request = Request::new(Url::parse(url).unwrap(), Method::Get);
        wire.execute_request(&request).await
    };
    for url in ["http://own.vault.test/", "http://169.254.169.254:81/"] {
        assert!(ask(url).await.is_err(), "{url}");
    }
    assert_eq!(fake.asked().len(), 0);
    assert!(ask("http://169.254.169.254/metadata").await.is_ok());
}
