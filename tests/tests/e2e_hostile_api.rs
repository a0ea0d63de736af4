//! Whatever knocks at the local API without being its owner is refused by name, and counted.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "tests and their helpers fail by panicking"
)]

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
};

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use kith::proof;
use kith_common::keys::Secret;
use kith_tests::process::{PATIENCE, Person, Reply, until};
use serde_json::json;

/// Largest body that the API takes, in bytes.
const BODY_BYTES_MAX: usize = 512 * 1024;

/// A request written by hand, so that nothing is put right on the way.
struct Request {
    line: String,
    headers: Vec<String>,
    body: Vec<u8>,
}

impl Request {
    fn new(line: &str) -> Self {
        Self { line: line.to_owned(), headers: Vec::new(), body: Vec::new() }
    }

    fn header(mut self, header: impl Into<String>) -> Self {
        self.headers.push(header.into());
        self
    }

    fn body(mut self, kind: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        let length = self.body.len();
        self.header(format!("Content-Type: {kind}")).header(format!("Content-Length: {length}"))
    }

    fn bytes(&self) -> Vec<u8> {
        let mut text = format!("{} HTTP/1.1\r\n", self.line);
        for header in self.headers.iter().map(String::as_str).chain(["Connection: close"]) {
            text.push_str(header);
            text.push_str("\r\n");
        }
        [text.as_bytes(), b"\r\n", &self.body].concat()
    }
}

/// Sends bytes and reads the answer; status 0 if there is none.
fn ask(address: &str, bytes: &[u8]) -> Reply {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // The node may refuse before it has read everything.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Reply { status, body: serde_json::from_str(body).unwrap_or_default() }
}

/// A running node and what its owner knows.
struct Door {
    alice: Person,
    address: String,
    host: String,
    key: String,
}

impl Door {
    fn new() -> Self {
        let alice = Person::start("Alice");
        let address = alice.api().address.clone();
        let host = format!("Host: {address}");
        let key = format!("Authorization: Bearer {}", alice.api().key);
        Self { alice, address, host, key }
    }

    fn ask(&self, request: &Request) -> Reply {
        ask(&self.address, &request.bytes())
    }

    /// The request as the owner's program would make it.
    fn own(&self, line: &str) -> Request {
        Request::new(line).header(&self.host).header(&self.key)
    }

    /// Fails unless the request is refused with this status and name, and the refusal counted.
    #[track_caller]
    fn refuses(&self, request: &Request, status: u16, code: &str) {
        let before = self.alice.api().refusals(code);
        let reply = self.ask(request);
        let seen = (reply.status, reply.code());
        assert_eq!(seen, (status, code), "{} {:?} {:?}", request.line, request.headers, reply.body);
        let message = reply.body["error"]["message"].as_str().unwrap_or_default();
        assert!(message.len() > 10, "a sentence says what to do: {message:?}");
        assert_eq!(self.alice.api().refusals(code), before + 1, "{code} is counted");
    }

    /// Opens a session of the page: its cookie and its value against forgery.
    fn session(&self) -> (String, String) {
        let token = self.token();
        let body = json!({ "token": token }).to_string();
        let request = Request::new("POST /api/session").header(&self.host);
        let bytes = request.body("application/json", body).bytes();
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.write_all(&bytes).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let set = head.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
        for attribute in ["HttpOnly", "SameSite=Strict", "Path=/"] {
            assert!(set.contains(attribute), "{set}");
        }
        let cookie = set.split(';').next().unwrap().to_owned();
        let port = self.address.rsplit(':').next().unwrap();
        assert!(cookie.starts_with(&format!("s{port}=")), "cookies ignore ports: {cookie}");
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        (format!("Cookie: {cookie}"), format!("X-CSRF: {}", body["csrf"].as_str().unwrap()))
    }

    fn token(&self) -> String {
        let web = self.alice.kith(&["web"]).json()["web"].as_str().unwrap().to_owned();
        web.split_once("#t=").unwrap().1.to_owned()
    }
}

#[test]
fn nobody_is_let_in_without_the_right_key() {
    let door = Door::new();
    assert_eq!(door.ask(&door.own("GET /api/status")).status, 200);
    let without = Request::new("GET /api/status").header(&door.host);
    door.refuses(&without, 401, "api_no_session");
    for key in [
        "Authorization: Bearer AAAA",
        "Authorization: Bearer ",
        "Authorization: Basic YWxpY2U6",
        &format!("Authorization: Bearer {}", "A".repeat(43)),
        &format!("{}x", door.key),
        &door.key.replace("Bearer", "bearer"),
        "Cookie: s1=AAAA",
    ] {
        let request = Request::new("GET /api/status").header(&door.host).header(key);
        door.refuses(&request, 401, "api_no_session");
    }
    let twice = door.own("GET /api/status").header(&door.key);
    door.refuses(&twice, 401, "api_no_session");
    for path in ["/api/events", "/api/openapi.json", "/api/invite.svg", "/api/nothing", "/api/"] {
        let request = Request::new(&format!("GET {path}")).header(&door.host);
        door.refuses(&request, 401, "api_no_session");
    }
}

#[test]
fn other_hosts_and_pages_are_refused_even_with_the_key() {
    let door = Door::new();
    let port = door.address.rsplit(':').next().unwrap();
    let status = || Request::new("GET /api/status").header(&door.key);
    for host in [
        "evil.example".to_owned(),
        format!("evil.example:{port}"),
        format!("127.0.0.1.evil.example:{port}"),
        "127.0.0.1".to_owned(),
        "127.0.0.1:1".to_owned(),
        format!("127.0.0.2:{port}"),
        format!("0.0.0.0:{port}"),
        String::new(),
    ] {
        door.refuses(&status().header(format!("Host: {host}")), 421, "api_foreign_host");
    }
    door.refuses(&status(), 421, "api_foreign_host");
    door.refuses(&door.own("GET /api/status").header(&door.host), 421, "api_foreign_host");
    let absolute = door.own(&format!("GET http://evil.example:{port}/api/status"));
    door.refuses(&absolute, 421, "api_foreign_host");
    for origin in [
        "http://evil.example".to_owned(),
        format!("https://127.0.0.1:{port}"),
        "http://127.0.0.1:1".to_owned(),
        format!("http://localhost:{port}"),
        "null".to_owned(),
    ] {
        let request = door.own("GET /api/status").header(format!("Origin: {origin}"));
        door.refuses(&request, 403, "api_foreign_origin");
    }
    for site in ["cross-site", "same-site", "else"] {
        for path in ["/", "/api/status", "/api/session"] {
            let request =
                door.own(&format!("GET {path}")).header(format!("Sec-Fetch-Site: {site}"));
            door.refuses(&request, 403, "api_foreign_origin");
        }
    }
    let ours = door.own("GET /api/status").header(format!("Origin: http://{}", door.address));
    assert_eq!(door.ask(&ours.header("Sec-Fetch-Site: same-origin")).status, 200);
}

#[test]
fn the_proof_comes_before_the_key_but_not_before_the_host() {
    let door = Door::new();
    let nonce = [7; 32];
    let path = format!("GET /api/proof?nonce={}", "07".repeat(32));
    let ask = |line: &str| Request::new(line).header(&door.host);
    let given = door.ask(&ask(&path));
    let key = BASE64URL_NOPAD.decode(door.alice.api().key.as_bytes()).unwrap();
    let key = Secret::from_slice(&key).unwrap();
    assert_eq!(given.status, 200);
    assert_eq!(given.body, json!({ "proof": HEXLOWER.encode(&proof::of(&key, &nonce)) }));
    assert!(!given.body.to_string().contains(&door.alice.api().key));

    door.refuses(&Request::new(&path), 421, "api_foreign_host");
    door.refuses(&Request::new(&path).header("Host: evil.example"), 421, "api_foreign_host");
    let foreign = ask(&path).header("Origin: http://evil.example");
    door.refuses(&foreign, 403, "api_foreign_origin");
    let foreign = ask(&path).header("Sec-Fetch-Site: cross-site");
    door.refuses(&foreign, 403, "api_foreign_origin");
    let bad = ["", "?nonce=", "?nonce=07", &format!("?nonce={}", "0g".repeat(32))];
    let long = format!("?nonce={}", "07".repeat(33));
    for query in bad.into_iter().chain([long.as_str()]) {
        let line = format!("GET /api/proof{query}");
        door.refuses(&ask(&line), 400, "api_bad_query");
    }
    door.refuses(&ask("POST /api/proof"), 401, "api_no_session");
    door.refuses(&ask("GET /api/proof/"), 401, "api_no_session");
}

#[test]
fn bodies_and_questions_that_make_no_sense_are_refused() {
    let door = Door::new();
    let add = || door.own("POST /api/contacts");
    door.refuses(&add().body("text/plain", "{}"), 415, "api_bad_body");
    door.refuses(&add().header("Content-Length: 0"), 415, "api_bad_body");
    door.refuses(&add().body("application/json", "{"), 400, "api_bad_body");
    door.refuses(&add().body("application/json", [0xff, 0xfe]), 400, "api_bad_body");
    door.refuses(&add().body("application/json", "{\"link\":7}"), 422, "api_bad_body");
    let deep = format!("{{\"else\":{}", "[".repeat(100_000));
    door.refuses(&add().body("application/json", deep), 400, "api_bad_body");
    let large = json!({ "link": "x".repeat(BODY_BYTES_MAX) }).to_string();
    door.refuses(&add().body("application/json", large), 413, "api_bad_body");
    let query = door.own("GET /api/contacts/bob/messages?limit=-1");
    door.refuses(&query, 400, "api_bad_query");
    door.refuses(&door.own("DELETE /api/contacts"), 405, "api_bad_method");
    door.refuses(&door.own("POST /"), 405, "api_bad_method");
}

#[test]
fn paths_lead_nowhere_else() {
    let door = Door::new();
    // Paths that are none of the API's are open to the page, and hold nothing but the page.
    for path in [
        "/../keys",
        "/..%2fkeys",
        "/%2e%2e/%2e%2e/keys",
        "/assets/../../api.json",
        "//api/status",
        "/%61pi/status",
        "/API/status",
        "/./api/status",
        "/x/../api/status",
        "/api%2fstatus",
        "/api.json",
        "/store.db",
    ] {
        let request = Request::new(&format!("GET {path}")).header(&door.host);
        door.refuses(&request, 404, "api_unknown_path");
    }
    for path in ["/api/../api/status", "/api/status/", "/api//status", "/api/%2e%2e/keys", "/api/"]
    {
        door.refuses(&door.own(&format!("GET {path}")), 404, "api_unknown_path");
        let without = Request::new(&format!("GET {path}")).header(&door.host);
        door.refuses(&without, 401, "api_no_session");
    }
    door.refuses(&door.own("GET /api/contacts/%ff"), 400, "api_bad_path");
    let tricky = door.ask(&door.own("GET /api/contacts/..%2f..%2fkeys"));
    assert_eq!((tricky.status, tricky.code()), (404, "unknown_contact"));
}

#[test]
fn the_page_needs_its_token_its_cookie_and_its_value_against_forgery() {
    let door = Door::new();
    let token = door.token();
    let open = |token: &str| {
        let body = json!({ "token": token }).to_string();
        Request::new("POST /api/session").header(&door.host).body("application/json", body)
    };
    door.refuses(&open("AAAA"), 401, "api_bad_token");
    door.refuses(&open(&door.alice.api().key), 401, "api_bad_token");
    let from_elsewhere = open(&token).header("Origin: http://evil.example");
    door.refuses(&from_elsewhere, 403, "api_foreign_origin");
    assert_eq!(door.ask(&open(&token)).status, 200, "the refused attempt has not used it up");
    door.refuses(&open(&token), 401, "api_bad_token");

    let (cookie, csrf) = door.session();
    let page = |line: &str| Request::new(line).header(&door.host).header(&cookie);
    assert_eq!(door.ask(&page("GET /api/contacts")).status, 200);
    let write = || page("PUT /api/settings").body("application/json", "{\"read_receipts\":true}");
    door.refuses(&write(), 403, "api_no_csrf");
    door.refuses(&write().header("X-CSRF: AAAA"), 403, "api_no_csrf");
    door.refuses(&write().header(&csrf).header(&csrf), 403, "api_no_csrf");
    assert_eq!(door.ask(&write().header(&csrf)).status, 200);
    // A page cannot make addresses for further sessions, nor does its value serve as a key.
    door.refuses(&page("POST /api/launch").header(&csrf), 401, "api_no_session");
    let value = csrf.replace("X-CSRF:", "Authorization: Bearer");
    door.refuses(
        &Request::new("GET /api/status").header(&door.host).header(value),
        401,
        "api_no_session",
    );
    let other_port = cookie.replacen("Cookie: s", "Cookie: s1", 1);
    let request = Request::new("GET /api/status").header(&door.host).header(other_port);
    door.refuses(&request, 401, "api_no_session");
}

#[test]
fn what_is_no_http_is_counted_and_forgotten() {
    let door = Door::new();
    let api = door.alice.api();
    assert_eq!(api.get("/api/status").status, 200);
    let before = door.alice.node().resident_kib();
    let endless = [b"GET / HTTP/1.1\r\nX: ".as_slice(), &[b'x'; 4 << 20]].concat();
    let many: String = (0..2000).map(|n| format!("X-{n}: {n}\r\n")).collect();
    let many = format!("GET / HTTP/1.1\r\n{many}\r\n");
    let garbage: [&[u8]; 6] = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\0\0\0\0\0\0\0\0\r\n\r\n",
        b"GET /api/status HTTP/9.9\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        &endless,
        many.as_bytes(),
    ];
    for bytes in garbage {
        let counted = api.refusals("api_malformed");
        let reply = ask(&door.address, bytes);
        assert!((400..500).contains(&reply.status), "{reply:?}");
        until("it is counted", PATIENCE, || {
            (api.refusals("api_malformed") > counted).then_some(())
        });
    }
    for _ in 0..20 {
        ask(&door.address, &endless);
    }
    let grown = door.alice.node().resident_kib().saturating_sub(before);
    println!("21 endless heads of 4 MiB: the node grew by {grown} KiB");
    assert!(grown < 16 * 1024, "grew by {grown} KiB");
}

#[test]
fn half_open_connections_are_bounded() {
    const MANY: usize = 400;
    let door = Door::new();
    let api = door.alice.api();
    assert_eq!(api.get("/api/status").status, 200);
    let before = door.alice.node().resident_kib();
    let open: Vec<TcpStream> = (0..MANY)
        .map(|_| {
            let mut stream = TcpStream::connect(&door.address).unwrap();
            let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost");
            stream
        })
        .collect();
    // Who was there before is still served.
    until("too many are turned away", PATIENCE, || {
        (api.refusals("api_connections_full") > 100).then_some(())
    });
    let grown = door.alice.node().resident_kib().saturating_sub(before);
    println!("{MANY} half-open connections: the node grew by {grown} KiB");
    assert!(grown < 16 * 1024, "grew by {grown} KiB");
    for stream in open {
        let _ = stream.shutdown(Shutdown::Both);
    }
    until("there is room again", PATIENCE, || {
        (door.alice.kith(&["status"]).code == 0).then_some(())
    });
}

#[cfg(unix)]
#[test]
fn what_a_home_holds_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;

    let door = Door::new();
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    let home = door.alice.home();
    assert_eq!(mode(&home), 0o700);
    let files: Vec<_> = home.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.contains(&home.join("api.json")) && files.contains(&home.join("keys")));
    for file in files {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
    std::fs::set_permissions(home.join("keys"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let refused = kith_tests::process::run(door.alice.run_command(), "").refusal(1);
    assert!(refused.contains("chmod"), "{refused}");
}
