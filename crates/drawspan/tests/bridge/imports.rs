//! Subscriptions of the bridge that Drawspan replaces, from its export to the events: `import`, then `serve`, as processes.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use aes::Aes256;
use aes::cipher::block_padding::Pkcs7;
use aes::cipher::{BlockEncryptMut as _, KeyIvInit as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::stand::{HUB, Stand, policy};

const VERSION: &str = "0123456789abcdef0123456789abcdef";
const SECRET: &str = "abcdefghijklmnopqrstuvwxyz012345";
/// Longer than anything that is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// As that bridge keeps a callback URL.
fn sealed(url: &str) -> String {
    let iv: [u8; 16] = std::array::from_fn(|at| at as u8);
    let cipher = cbc::Encryptor::<Aes256>::new_from_slices(SECRET.as_bytes(), &iv).unwrap();
    let text = cipher.encrypt_padded_vec_mut::<Pkcs7>(url.as_bytes());
    format!(
        "{VERSION}-{}:{}",
        STANDARD.encode(iv),
        STANDARD.encode(text)
    )
}

fn drawspan() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_drawspan"));
    // The tests' environment may have its own settings.
    command.env_clear();
    command
}

fn import(folder: &Path, rows: &[(&str, &str, String)]) -> String {
    let mut export = "DeviceId,SubscriptionType,CallbackUrl,CreatedAt\n".to_owned();
    for (device, kind, url) in rows {
        writeln!(export, "{device},{kind},{url},2021-05-03 12:34:56.123").unwrap();
    }
    let file = folder.join("subscriptions.csv");
    fs::write(&file, export).unwrap();
    let mut command = drawspan();
    command
        .arg("import")
        .arg("--state")
        .arg(folder.join("state"));
    command.arg("--subscriptions").arg(file);
    command.args(["--key", &format!("{VERSION}={SECRET}")]);
    let output = command.output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{told}");
    told
}

/// `drawspan serve` with its own names of settings, and no list of allowed callbacks.
struct Serve {
    process: Child,
    address: String,
    log: PathBuf,
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Serve {
    fn start(stand: &Stand, folder: &Path) -> Self {
        let string = policy(&stand.emulator, "device").to_secret_string();
        let log = folder.join("log");
        let amqps = stand.emulator.addresses().amqps;
        let mut command = drawspan();
        command.args(["serve", "--listen", "127.0.0.1:0", "--api-key", "k"]);
        command.args(["--hub-connection-string", &string]);
        command.args(["--connect", &format!("{HUB}={amqps}")]);
        command.arg("--ca").arg(stand.emulator.ca_path());
        command.arg("--state").arg(folder.join("state"));
        command
            .stdout(Stdio::piped())
            .stderr(File::create(&log).unwrap());
        let mut process = command.spawn().unwrap();
        let mut told = BufReader::new(process.stdout.take().unwrap()).lines();
        let first = told.next().unwrap().unwrap();
        let address = first.strip_prefix("listening on http://").unwrap();
        let address = address.split(',').next().unwrap().to_owned();
        assert_eq!(told.next().unwrap().unwrap(), "ready");
        Self {
            process,
            address,
            log,
        }
    }

    /// The log, once it holds the text.
    async fn log_with(&self, text: &str) -> String {
        let started = Instant::now();
        loop {
            let log = fs::read_to_string(&self.log).unwrap();
            if log.contains(text) {
                return log;
            }
            assert!(started.elapsed() < PATIENCE, "no {text} in: {log}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn ask(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        let body = body.to_string();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: h\r\nconnection: close\r\nx-api-key: k\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap_or_default())
    }

    async fn until_running(&self, path: &str) {
        let started = Instant::now();
        loop {
            let (_, found) = self.ask("GET", path, &Value::Null).await;
            if found["status"] == "Running" {
                return;
            }
            assert!(started.elapsed() < PATIENCE, "{path}: {found}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The result of a new subscription.
    async fn subscribe(&self, callback: &str) -> (u16, Value) {
        let path = "/devices/d1/twin/properties/desired/sub";
        let body = json!({ "callbackUrl": callback });
        self.ask("PUT", path, &body).await
    }
}

#[tokio::test]
async fn imported_callbacks_may_be_private_and_nothing_else_may() {
    let folder = tempfile::tempdir().unwrap();
    let stand = Stand::start(&["d1"]).await;
    let receiver: SocketAddr = stand.receiver_address;
    let port = receiver.port();
    let rows = [
        (
            "d1",
            "Methods",
            format!("http://{receiver}/methods?code=s3cret"),
        ),
        ("d1", "C2DMessages", format!("http://localhost:{port}/c2d")),
        (
            "d1",
            "ConnectionStatus",
            format!("http://{receiver}/status"),
        ),
    ];
    let rows = rows.map(|(device, kind, url)| (device, kind, sealed(&url)));
    let told = import(folder.path(), &rows);
    assert!(told.contains(&format!("2  http://{receiver}\n")), "{told}");

    let serve = Serve::start(&stand, folder.path());
    let log = serve.log_with(&format!("http://localhost:{port}")).await;
    assert!(
        log.contains(&format!("origin=http://{receiver} subscriptions=2")),
        "{log}"
    );
    assert!(!log.contains("s3cret"), "{log}");

    // Everything arrives.
    serve.until_running("/devices/d1/methods/sub").await;
    serve.until_running("/devices/d1/deviceBound/sub").await;
    stand
        .receiver
        .answer("/methods", (200, r#"{"status":201}"#));
    assert_eq!(stand.call("d1").await.unwrap().status, 201);
    stand.send("d1", r#"{"on":true}"#).await;
    let message = stand.receiver.wait("/c2d", 1).await;
    assert_eq!(message[0].body["messageBody"]["on"], true);
    let status = stand.receiver.wait("/status", 1).await;
    assert_eq!(status[0].body["status"], "Connected");

    // What is asked for now is judged as if nothing had been imported, at the same host and even the same origin.
    for callback in [
        format!("http://127.0.0.1:{}/", port ^ 1),
        format!("http://{receiver}/other"),
        format!("http://localhost:{port}/c2d"),
        "http://127.0.0.2/".to_owned(),
        "http://10.1.2.3/".to_owned(),
    ] {
        let (status, problem) = serve.subscribe(&callback).await;
        assert_eq!(status, 400, "{callback}: {problem}");
        let kind = "urn:drawspan:problem:callback-refused";
        assert_eq!(problem["type"], kind, "{callback}");
    }
    let (status, _) = serve.subscribe("http://8.8.8.8/").await;
    assert_eq!(status, 200);
}
