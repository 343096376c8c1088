use clap::Parser;
use drawspan_hub_model::x509::Validity;

use super::*;

#[derive(Parser)]
struct Line {
    #[command(subcommand)]
    command: CertCommand,
}

fn run_line(words: &[&str], out: &Path) -> Result<String, CertError> {
    let out = out.to_str().unwrap();
    let mut line = vec!["cert"];
    line.extend(words);
    line.extend(["--out", out]);
    run(&Line::try_parse_from(line).unwrap().command)
}

fn read(path: &Path) -> Certificate {
    Certificate::from_text(&fs::read_to_string(path).unwrap()).unwrap()
}

fn now() -> u64 {
    drawspan_emulator_hub::clock::Clock::system().unix_s()
}

#[test]
fn a_device_signs_for_itself() {
    let folder = tempfile::tempdir().unwrap();
    let said = run_line(&["device", "sensor 3", "--self-signed"], folder.path()).unwrap();
    let certificate = read(&folder.path().join("sensor 3.pem"));
    assert_eq!(certificate.common_name(), Some("sensor 3"));
    assert!(!certificate.is_authority());
    let thumbprint = certificate.sha256_thumbprint();
    assert!(
        said.contains(&format!("--x509-device 'sensor 3'={thumbprint}")),
        "{said}"
    );
    assert!(said.contains(&certificate.sha1_thumbprint()), "{said}");
    let key = folder.path().join("sensor 3-key.pem");
    assert!(fs::read_to_string(&key).unwrap().contains("PRIVATE KEY"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(
            fs::metadata(&key).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
    // Nothing is replaced.
    let again = run_line(&["device", "sensor 3", "--self-signed"], folder.path());
    assert!(matches!(
        again,
        Err(CertError::Io {
            doing: "create",
            ..
        })
    ));
    assert_eq!(read(&folder.path().join("sensor 3.pem")), certificate);
}

#[test]
fn a_module_is_named_in_its_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let said = run_line(&["device", "a/m", "--self-signed"], folder.path()).unwrap();
    assert!(said.contains("create it with"), "{said}");
    let certificate = read(&folder.path().join("a-m.pem"));
    assert_eq!(certificate.common_name(), Some("a/m"));
}

#[test]
fn an_authority_signs_for_its_devices_alone() {
    let folder = tempfile::tempdir().unwrap();
    run_line(&["authority", "one"], folder.path()).unwrap();
    run_line(&["authority", "two"], folder.path()).unwrap();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let sign = |id: &str, ca: &str, key: &str, days: &str| {
        let (ca, key) = (file(ca), file(key));
        run_line(
            &["device", id, "--ca", &ca, "--ca-key", &key, "--days", days],
            folder.path(),
        )
    };
    let said = sign("a", "one.pem", "one-key.pem", "1").unwrap();
    assert!(
        said.contains(&format!("--x509-ca {} --x509-device a", file("one.pem"))),
        "{said}"
    );
    sign("old", "one.pem", "one-key.pem", "-1").unwrap();
    let device = read(Path::new(&file("a.pem")));
    let presented =
        drawspan_emulator_hub::certificate_chain::presented(&[device.der().clone()]).unwrap();
    assert!(presented.is_issued_by(&read(Path::new(&file("one.pem"))), now()));
    assert!(!presented.is_issued_by(&read(Path::new(&file("two.pem"))), now()));
    assert_eq!(
        read(Path::new(&file("old.pem"))).validity(now()),
        Validity::Expired
    );
    let mixed = sign("b", "one.pem", "two-key.pem", "1");
    assert!(matches!(mixed, Err(CertError::OtherKey(_))), "{mixed:?}");
    let leaf = sign("b", "a.pem", "a-key.pem", "1");
    assert!(
        matches!(leaf, Err(CertError::OtherKey(_) | CertError::Signer { .. })),
        "{leaf:?}"
    );
    assert!(!folder.path().join("b.pem").exists());
}

#[test]
fn a_folder_without_an_emulator_and_names_of_other_folders_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().to_str().unwrap();
    let refused = run_line(&["device", "a", "--state", state], folder.path()).unwrap_err();
    assert!(refused.to_string().contains("which makes it"), "{refused}");
    for name in ["a/b/c", "../../a", ""] {
        let refused = run_line(&["device", name, "--self-signed"], folder.path());
        assert!(matches!(refused, Err(CertError::Name(_))));
    }
}
