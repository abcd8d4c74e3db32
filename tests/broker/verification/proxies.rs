//! Behind a real nginx (`auth_request`), a real Caddy (`forward_auth`), both from Debian's packages, and a real Envoy (`ext_authz`) from PyPI.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::{LISTED, claims};
use crate::world::client::free_port;
use crate::world::{Answer, Options, World, send};

/// An API that answers with the head of each request.
async fn api() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut seen, mut part) = (Vec::new(), [0; 4096]);
                while !seen.windows(4).any(|end| end == b"\r\n\r\n") {
                    match stream.read(&mut part).await {
                        Ok(read) if read > 0 => seen.extend_from_slice(&part[..read]),
                        _ => return,
                    }
                }
                let head = [b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n", seen.as_slice()].concat();
                let _sent = stream.write_all(&head).await;
            });
        }
    });
    port
}

/// A proxy that runs, ended with its handle: by SIGTERM, because the workers of an nginx outlive a master that is killed.
struct Proxy {
    port: u16,
    child: Child,
    _folder: tempfile::TempDir,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let asked = Command::new("kill").arg(self.child.id().to_string()).status();
        if !asked.is_ok_and(|status| status.success()) {
            let _killed = self.child.kill();
        }
        let _ended = self.child.wait();
    }
}

async fn proxy(example: &str, world: &World, start: impl FnOnce(&Path) -> Command) -> Proxy {
    let folder = tempfile::tempdir().expect("a folder");
    let (port, upstream) = (free_port(), api().await);
    let text =
        std::fs::read_to_string(format!("{}/examples/proxies/{example}", env!("CARGO_MANIFEST_DIR"))).expect("an example");
    // The example is for the defaults of `carnet dev`; here everything has a port of its own.
    let text = text
        .replace("127.0.0.1:7400", &world.public.to_string())
        .replace("127.0.0.1:8080", &format!("127.0.0.1:{port}"))
        .replace("127.0.0.1:8081", &format!("127.0.0.1:{upstream}"))
        .replace("port_value: 7400", &format!("port_value: {}", world.public.port()))
        .replace("port_value: 8080", &format!("port_value: {port}"))
        .replace("port_value: 8081", &format!("port_value: {upstream}"))
        .replace("/dev/shm/carnet-nginx", &folder.path().display().to_string());
    std::fs::write(folder.path().join(example), text).expect("written");
    let mut command = start(&folder.path().join(example));
    command
        .current_dir(folder.path())
        .env("HOME", folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let child = command.spawn().unwrap_or_else(|error| panic!("{example}: {error}; is it installed? (make setup)"));
    let proxy = Proxy { port, child, _folder: folder };
    for _ in 0..200 {
        if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return proxy;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    panic!("{example}: it does not accept");
}

impl Proxy {
    async fn call(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        send(([127, 0, 0, 1], self.port).into(), method, path, headers, b"").await
    }
}

/// What an API behind either proxy sees, and what never gets to it.
async fn guards(mut world: World, proxy: &Proxy, closed: u16) {
    let token = world.minted().await;
    let bearer = format!("Bearer {token}");
    let auth = ("authorization", bearer.as_str());
    // Good: through, with who it is, whatever the client says of itself.
    let forged =
        [auth, ("x-carnet-client", "initech/other"), ("x-carnet-partner", "initech"), ("x-carnet-scope", "orders:write")];
    let answer = proxy.call("GET", "/v1/orders/42?full=1", &forged).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let seen = answer.text().to_ascii_lowercase();
    assert!(seen.contains("get /v1/orders/42?full=1 "), "{seen}");
    assert!(seen.contains("x-carnet-client: globex/order-sync") && !seen.contains("initech"), "{seen}");
    assert!(seen.contains("x-carnet-scope: orders:read") && !seen.contains("orders:write"), "{seen}");
    let coded = proxy.call("GET", "/v1/orders/42", &[auth, ("content-encoding", "gzip")]).await;
    assert_eq!(coded.status, 200, "a coded upload is the API's affair: {}", coded.text());

    // Not: none, garbage, another method, another path, and headers that would name a request that may pass.
    assert_eq!(proxy.call("GET", "/v1/orders", &[]).await.status, 401);
    assert_eq!(proxy.call("GET", "/v1/orders", &[("authorization", "Bearer x")]).await.status, 401);
    assert_eq!(proxy.call("POST", "/v1/orders", &[auth]).await.status, 403);
    assert_eq!(proxy.call("GET", "/v1/admin", &[auth]).await.status, 403);
    for (name, value) in
        [("x-forwarded-uri", "/v1/orders"), ("x-original-uri", "/v1/orders"), ("x-forwarded-prefix", "/v1/orders")]
    {
        let answer = proxy.call("GET", "/v1/admin", &[auth, (name, value)]).await;
        assert!(matches!(answer.status, 401 | 403 | 500), "{name}: {}", answer.text());
    }
    let answer = proxy.call("DELETE", "/v1/orders", &[auth, ("x-forwarded-method", "GET")]).await;
    assert!(matches!(answer.status, 401 | 403 | 500), "{}", answer.text());
    for path in ["/v1/orders/..%2f..%2fv1%2fadmin", "/v1/orders/%2e%2e", "/v1/orders/x/../../admin", "//v1/orders"] {
        let answer = proxy.call("GET", path, &[auth]).await;
        assert!(matches!(answer.status, 400 | 401 | 403 | 500), "{path}: {}", answer.text());
    }

    // Revoked: refused within a second.
    let revoke = json!({"token": claims(&token)["jti"], "reason": "leaked"});
    assert_eq!(world.admin_post("/v1/revocations", "sven", &revoke).await.status, 201);
    assert_eq!(proxy.call("GET", "/v1/orders", &[auth]).await.status, 401);
    let seen: Value = world.introspect("production", &token).await.json();
    assert_eq!(seen, json!({"active": false}));

    // No broker, no way through.
    let bearer = format!("Bearer {}", world.minted().await);
    assert_eq!(proxy.call("GET", "/v1/orders", &[("authorization", &bearer)]).await.status, 200);
    world.stop().await;
    assert_eq!(proxy.call("GET", "/v1/orders", &[("authorization", &bearer)]).await.status, closed);
}

async fn world() -> World {
    World::with(Options { configuration: LISTED.to_owned(), ..Options::default() }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn nginx_guards_an_api_with_auth_request() {
    let world = world().await;
    let proxy = proxy("nginx.conf", &world, |file| {
        let mut command = Command::new(if Path::new("/usr/sbin/nginx").exists() { "/usr/sbin/nginx" } else { "nginx" });
        command.arg("-c").arg(file);
        command
    })
    .await;
    guards(world, &proxy, 500).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn caddy_guards_an_api_with_forward_auth() {
    let world = world().await;
    let proxy = proxy("Caddyfile", &world, |file| {
        let mut command = Command::new("caddy");
        command.args(["run", "--adapter", "caddyfile", "--config"]).arg(file);
        command
    })
    .await;
    guards(world, &proxy, 502).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c_10_envoy_guards_an_api_with_ext_authz() {
    let world = world().await;
    let proxy = proxy("envoy.yaml", &world, |file| {
        let mut command = crate::interop::process::packaged("envoy/_bin/envoy");
        // Two of them on one machine must not share memory, and the test wants no threads to spare.
        command.args(["--use-dynamic-base-id", "--concurrency", "1", "--log-level", "error", "-c"]).arg(file);
        command
    })
    .await;
    // The client's own words do not choose what is judged.
    let bearer = format!("Bearer {}", world.minted().await);
    let auth = ("authorization", bearer.as_str());
    for path in ["/v1/admin?api=orders-api&scope=orders:read", "/v1/orders?access_token=x", "/v1/orders?acc%65ss_token=x"] {
        let answer = proxy.call("GET", path, &[auth, ("x-carnet-api", "billing-api")]).await;
        assert!(matches!(answer.status, 400 | 401 | 403), "{path}: {}", answer.text());
    }
    for query in ["full=1&flag", "api=billing-api", "api=v2&scope=all&scope=mine"] {
        let answer = proxy.call("GET", &format!("/v1/orders?{query}"), &[auth]).await;
        assert_eq!(answer.status, 200, "{query}: {}", answer.text());
    }
    assert_eq!(proxy.call("PUT", "/v1/orders/42", &[auth]).await.status, 403);
    guards(world, &proxy, 503).await;
}
