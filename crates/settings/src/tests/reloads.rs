use drawspan_hub::Keys;

use super::*;

fn reload(start: &ServeArgs, new: &ServeArgs) -> Reload {
    let start = config(start);
    start.reload(&start, &config(new))
}

#[test]
fn nothing_changes_when_nothing_changed() {
    let reload = reload(&good(), &good());
    assert!(reload.changed.is_empty() && reload.needs_restart.is_empty());
    assert!(reload.keys.is_some());
}

#[test]
fn keys_change_under_way() {
    let new = ServeArgs::default()
        .with("api-key", "other")
        .with("api-key", "key")
        .with("id-scope", "0ne000")
        .with("group-key", OTHER_KEY);
    let reload = reload(&dps(), &new);
    assert_eq!(reload.changed, ["api_key", "group_key"]);
    assert!(reload.needs_restart.is_empty());
    assert_eq!(format!("{:?}", reload.api_keys), "ApiKeys(2)");
    let Some(Keys::Group(pair)) = reload.keys else {
        panic!("{reload:?}")
    };
    assert_eq!(pair.primary.to_base64(), OTHER_KEY);
}

#[test]
fn keys_that_sign_events_change_whatever_else_does() {
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let new = good().with("webhook-secret", secret);
    let reload = reload(&dps(), &new);
    assert!(reload.keys.is_none());
    assert_eq!(reload.changed, ["webhook_secret"]);
    assert_eq!(reload.webhook_secrets.len(), 1);
    assert!(!format!("{reload:?}").contains("MfKQ"));
}

#[test]
fn what_needs_a_restart_is_named_and_keys_of_another_hub_are_not_taken() {
    let new = ServeArgs::default()
        .with("api-key", "key")
        .with("hub-connection-string", &hub("other.example", OTHER_KEY))
        .with("request-timeout", "31");
    let reload = reload(&good(), &new);
    assert!(reload.changed.is_empty(), "{reload:?}");
    assert_eq!(
        reload.needs_restart,
        ["listen", "request_timeout", "hub_connection_string"]
    );
    assert!(reload.keys.is_none());
}

#[test]
fn another_profile_needs_a_restart() {
    for (from, to) in [(good(), dps()), (dps(), good())] {
        let reload = reload(&from, &to);
        assert!(reload.keys.is_none(), "{reload:?}");
    }
    let reload = reload(&dps(), &dps().with("dps-endpoint", "other.example"));
    assert!(reload.keys.is_none());
    assert_eq!(reload.needs_restart, ["dps_endpoint"]);
}

#[test]
fn changes_are_told_once_and_restarts_until_they_happen() {
    let start = config(&dps());
    let new = config(&dps().with("api-key", "second").with("token-life", "900"));
    let first = start.reload(&start, &new);
    assert_eq!(first.changed, ["api_key"]);
    assert_eq!(first.needs_restart, ["token_life"]);
    let second = start.reload(&new, &new);
    assert!(second.changed.is_empty());
    assert_eq!(second.needs_restart, ["token_life"]);
}

#[test]
fn a_list_of_devices_is_compared_by_what_it_holds() {
    let (folder, args) = file("devices_file = 'devices.txt'\napi_key = 'k'");
    let line = |id: &str| format!("HostName=h.example;DeviceId={id};SharedAccessKey={KEY}\n");
    write(folder.path(), "devices.txt", &line("a"));
    let start = config(&args);
    write(
        folder.path(),
        "devices.txt",
        &format!("{}{}", line("a"), line("b")),
    );
    let new = config(&args);
    let reload = start.reload(&start, &new);
    assert_eq!(reload.changed, ["devices_file"]);
    let Some(Keys::Explicit(devices)) = reload.keys else {
        panic!("{reload:?}")
    };
    assert_eq!(devices.len(), 2);
}

#[test]
fn files_that_are_read_once_are_named_when_they_hold_something_else() {
    for setting in ["ca", "callback_ca"] {
        let (folder, args) = file(&format!(
            "{setting} = 'ca.pem'\nid_scope = '0ne000'\ngroup_key = '{KEY}'\napi_key = 'k'"
        ));
        write(folder.path(), "ca.pem", &authority("one"));
        let start = config(&args);
        write(folder.path(), "ca.pem", &authority("two"));
        let reload = start.reload(&start, &config(&args));
        assert!(reload.changed.is_empty(), "{reload:?}");
        assert_eq!(reload.needs_restart, [setting]);
    }
}

/// A certificate in PEM.
fn authority(name: &str) -> String {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    made.cert.pem()
}
