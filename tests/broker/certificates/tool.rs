//! `openssl` and `curl` as a partner's operator types them, in a folder of their own.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::world::World;

/// A partner's machine: keys and certificates in a folder.
pub struct Machine {
    folder: tempfile::TempDir,
    /// `https://…` of the mTLS socket.
    pub mtls: String,
    address: SocketAddr,
}

/// What a request came to.
#[derive(Debug)]
pub struct Reply {
    /// 0 where there was no HTTP answer: the handshake failed.
    pub status: u16,
    pub body: String,
}

impl Reply {
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Machine {
    /// A machine that trusts the authority of `production`, which also signs the socket's certificate.
    pub async fn new(world: &World) -> Self {
        let address = world.running.as_ref().expect("a server in this process").mtls;
        let machine = Self { folder: tempfile::tempdir().expect("a folder"), mtls: format!("https://{address}"), address };
        machine.authorities("production").await;
        machine
    }

    /// The same, once the socket presents a certificate again.
    pub async fn new_when_ready(world: &World) -> Self {
        let address = world.running.as_ref().expect("a server in this process").mtls;
        let machine = Self { folder: tempfile::tempdir().expect("a folder"), mtls: format!("https://{address}"), address };
        for _ in 0..100 {
            if machine.curl(None, "/.well-known/est/production/cacerts", &[]).await.status == 200 {
                machine.authorities("production").await;
                return machine;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("the socket presents no certificate");
    }

    /// Goes on with the server as it runs now: its port changed with a restart.
    pub fn follow(&mut self, world: &World) {
        self.address = world.running.as_ref().expect("a server in this process").mtls;
        self.mtls = format!("https://{}", self.address);
    }

    /// Host and port of the mTLS socket.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).expect("a text file")
    }

    /// Runs `openssl`; its stdout, or its stderr where it fails.
    pub async fn try_openssl(&self, arguments: &[&str]) -> Result<String, String> {
        let mut command = Command::new("openssl");
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null());
        let output = tokio::task::spawn_blocking(move || command.output().expect("openssl runs")).await.expect("it ran");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr) + &text(output.stdout)) }
    }

    #[track_caller]
    pub fn openssl(&self, arguments: &str) -> impl Future<Output = String> {
        let arguments: Vec<String> = arguments.split(' ').map(str::to_owned).collect();
        async move {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            self.try_openssl(&arguments).await.unwrap_or_else(|error| panic!("openssl {}: {error}", arguments.join(" ")))
        }
    }

    /// Runs `curl` against the mTLS socket; `with` names a certificate and key of this folder.
    pub async fn curl(&self, with: Option<&str>, path: &str, arguments: &[&str]) -> Reply {
        let mut command = Command::new("curl");
        command.args(["-s", "--http1.1", "--max-time", "10", "-w", "\n%{http_code}"]).current_dir(self.folder.path());
        if self.path("ca.pem").exists() {
            command.args(["--cacert", "ca.pem"]);
        } else {
            // What is fetched so is the trust itself: RFC 7030 section 4.1.1 has it compared out of band.
            command.arg("--insecure");
        }
        if let Some(name) = with {
            command.args(["--cert", &format!("{name}.pem"), "--key", &format!("{name}.key")]);
        }
        command.args(arguments).arg(format!("{}{path}", self.mtls)).stdin(Stdio::null());
        let output = tokio::task::spawn_blocking(move || command.output().expect("curl runs")).await.expect("it ran");
        let text = String::from_utf8(output.stdout).expect("text");
        let (body, status) = text.rsplit_once('\n').expect("curl tells the status");
        Reply { status: status.parse().expect("a status"), body: body.to_owned() }
    }

    /// Fetches the authority's certificates by EST: `ca.pem` holds all of them.
    pub async fn authorities(&self, environment: &str) {
        let reply = self.curl(None, &format!("/.well-known/est/{environment}/cacerts"), &[]).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        std::fs::write(self.path("ca.p7"), reply.body).expect("written");
        self.certificates("ca.p7", "ca.pem").await;
    }

    /// Writes the issuing certificate among the authorities to a file: the one that names another as its issuer.
    pub async fn issuing(&self, to: &str) {
        self.one_authority(to, false).await;
    }

    /// Writes the root among the authorities to a file: the one that names itself as its issuer.
    pub async fn root(&self, to: &str) {
        self.one_authority(to, true).await;
    }

    /// Writes the first authority of that kind to a file that holds nothing else.
    async fn one_authority(&self, to: &str, is_root: bool) {
        const END: &str = "-----END CERTIFICATE-----\n";
        for block in self.read("ca.pem").split("-----BEGIN CERTIFICATE-----").skip(1) {
            let (block, _) = block.split_once(END).expect("the end of a certificate");
            std::fs::write(self.path(to), format!("-----BEGIN CERTIFICATE-----{block}{END}")).expect("written");
            let hash = async |which: &str| self.openssl(&format!("x509 -in {to} -noout -{which}_hash")).await;
            if (hash("subject").await == hash("issuer").await) == is_root {
                return;
            }
        }
        panic!("no authority is of that kind");
    }

    /// base64 of a certs-only message to PEM.
    async fn certificates(&self, from: &str, to: &str) {
        self.openssl(&format!("base64 -d -in {from} -out {from}.der")).await;
        self.openssl(&format!("pkcs7 -inform DER -in {from}.der -print_certs -out {to}")).await;
    }

    /// Makes a key (`NAME.key`) and a request for it (`NAME.csr`, base64 of DER).
    pub async fn request(&self, name: &str, key: &str, more: &str) {
        self.openssl(&format!("genpkey {key} -out {name}.key")).await;
        let subject = if more.contains("-subj") { "" } else { " -subj /" };
        self.openssl(&format!("req -new -key {name}.key{subject} -outform DER -out {name}.csr.der{more}")).await;
        self.openssl(&format!("base64 -in {name}.csr.der -out {name}.csr")).await;
    }

    /// Sends `NAME.csr` to an EST operation; keeps the certificate that comes back as `NAME.pem`.
    pub async fn enrol(&self, environment: &str, operation: &str, name: &str, with: Option<&str>, user: Option<&str>) -> Reply {
        let data = format!("@{name}.csr");
        let mut arguments = vec!["-H", "content-type: application/pkcs10", "--data-binary", &data];
        if let Some(user) = user {
            arguments.extend(["-u", user]);
        }
        let reply = self.curl(with, &format!("/.well-known/est/{environment}/{operation}"), &arguments).await;
        if reply.status == 200 {
            let message = format!("{name}.p7");
            std::fs::write(self.path(&message), &reply.body).expect("written");
            self.certificates(&message, &format!("{name}.pem")).await;
        }
        reply
    }

    /// Asks for a token with the certificate `NAME`.
    pub async fn token(&self, with: Option<&str>, environment: &str, more: &[&str]) -> Reply {
        let form = ["-d", "grant_type=client_credentials", "-d", "audience=orders-api", "-d", "scope=orders:read"];
        let client = ["-d", "client_id=globex/order-sync"];
        let own = if more.iter().any(|one| one.starts_with("client_id=")) { &[][..] } else { &client[..] };
        self.curl(with, &format!("/{environment}/token"), &[&form[..], own, more].concat()).await
    }

    /// base64url of the SHA-256 of a certificate's DER, by openssl.
    pub async fn thumbprint(&self, name: &str) -> String {
        use base64::Engine as _;
        self.openssl(&format!("x509 -in {name}.pem -outform DER -out {name}.der")).await;
        let digest = self.openssl(&format!("dgst -sha256 -r {name}.der")).await;
        let hex = digest.split(' ').next().expect("a digest");
        let bytes: Vec<u8> =
            (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal")).collect();
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The serial number of a certificate, as the journal writes it.
    pub async fn serial(&self, name: &str) -> String {
        let text = self.openssl(&format!("x509 -in {name}.pem -noout -serial")).await;
        text.trim().strip_prefix("serial=").expect("a serial number").to_ascii_lowercase()
    }

    /// Opens a connection with the certificate `NAME` and keeps it.
    pub fn connect(&self, name: &str) -> Connection {
        let mut child = Command::new("openssl")
            .args(["s_client", "-quiet", "-verify_return_error", "-CAfile", "ca.pem", "-connect", &self.address.to_string()])
            .args(["-cert", &format!("{name}.pem"), "-cert_chain", &format!("{name}.pem"), "-key", &format!("{name}.key")])
            .current_dir(self.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl runs");
        let answers = BufReader::new(child.stdout.take().expect("stdout"));
        Connection { child, answers, host: self.address.to_string() }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// One TLS connection that stays open.
pub struct Connection {
    child: Child,
    answers: BufReader<std::process::ChildStdout>,
    host: String,
}

impl Connection {
    /// Asks for a token on it.
    pub fn token(&mut self, environment: &str) -> (u16, String) {
        let body = "grant_type=client_credentials&client_id=globex%2Forder-sync&audience=orders-api&scope=orders%3Aread";
        let head = format!(
            "POST /{environment}/token HTTP/1.1\r\nhost: {}\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n",
            self.host,
            body.len()
        );
        let stdin = self.child.stdin.as_mut().expect("stdin");
        stdin.write_all(format!("{head}{body}").as_bytes()).expect("the connection is open");
        stdin.flush().expect("written");
        let (mut status, mut length, mut line) = (0, 0, String::new());
        loop {
            line.clear();
            assert_ne!(self.answers.read_line(&mut line).expect("an answer"), 0, "the connection stays open");
            let text = line.trim_end().to_ascii_lowercase();
            if let Some(rest) = text.strip_prefix("http/1.1 ") {
                status = rest.split(' ').next().expect("a status").parse().expect("a number");
            } else if let Some(rest) = text.strip_prefix("content-length: ") {
                length = rest.parse().expect("a number");
            } else if text.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        self.answers.read_exact(&mut body).expect("a body");
        (status, String::from_utf8(body).expect("text"))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _ended = self.child.wait();
    }
}
