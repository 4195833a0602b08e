//! Forged, stale, replayed, truncated, oversized and wrongly encoded requests: refused, and nothing
//! that the store holds is changed by them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use novascale::http::tokens::Scope;
use serde_json::json;

use super::{Door, Letter, PEER, Stamp, WAYS, Way, body};

impl Letter {
    fn value(&mut self, name: &str) -> &mut Vec<u8> {
        &mut self.headers.iter_mut().find(|(known, _)| known == name).unwrap().1
    }

    fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self
    }

    fn with(mut self, name: &str, value: &[u8]) -> Self {
        self.headers.push((name.to_owned(), value.to_vec()));
        self
    }

    fn set(mut self, name: &str, value: &[u8]) -> Self {
        *self.value(name) = value.to_vec();
        self
    }
}

/// What is wrong, the status that answers it, and the request.
type Forgery = (&'static str, u16, Letter);

/// It would open an alert of its own, if it were let in.
fn forged() -> Vec<u8> {
    json!({ "type": "load", "data": { "alert": "Forged" } }).to_string().into_bytes()
}

fn stamp(id: &str) -> Stamp<'_> {
    Stamp { id, off: 0 }
}

/// What is shown is wrong, by its header.
fn of_header(way: Way, name: &str, right: &Letter) -> Vec<Forgery> {
    let value = right.clone().value(name).clone();
    let set = |value: &[u8]| right.clone().set(name, value);
    let flipped: Vec<u8> = {
        let mut value = value.clone();
        value[12] ^= 1;
        value
    };
    let query = format!("{}?access_token={}", right.path, String::from_utf8_lossy(&value[7..]));
    let mut all = vec![
        ("nothing is shown", 401, right.clone().without(name)),
        ("a bit is flipped", 401, set(&flipped)),
        ("cut short", 401, set(&value[..value.len() - 1])),
        ("cut to its first half", 401, set(&value[..value.len() / 2])),
        ("a character more", 401, set(&[&value[..], b"0"].concat())),
        ("empty", 401, set(b"")),
        ("shown twice", 401, right.clone().with(name, &value)),
        ("under another scheme", 401, set(&[b"Token:", &value[..]].concat())),
        ("no text", 401, set(&[&value[..], b"\xff"].concat())),
        ("in another header", 401, right.clone().without(name).with("x-api-key", &value)),
        ("in the query", 401, {
            let mut letter = right.clone().without(name);
            letter.path = query.replace([' ', ','], "");
            letter
        }),
    ];
    // Hexadecimal digits are the same in both cases.
    if !matches!(way, Way::Plain | Way::Grafana | Way::GrafanaTimed) {
        all.push(("in capitals", 401, set(&value.to_ascii_uppercase())));
    }
    all
}

fn of_address(right: &Letter) -> Vec<Forgery> {
    let at = |path: String| Letter { path, ..right.clone() };
    let (source, secret) = right.path.rsplit_once('/').unwrap();
    vec![
        ("nothing is shown", 401, at(source.to_owned())),
        ("a bit is flipped", 401, at(format!("{source}/p{}", &secret[1..]))),
        ("cut short", 401, at(right.path[..right.path.len() - 1].to_owned())),
        ("a character more", 401, at(format!("{}0", right.path))),
        ("empty", 404, at(format!("{source}/"))),
        ("shown twice", 404, at(format!("{}/{secret}", right.path))),
        ("in capitals", 401, at(format!("{source}/{}", secret.to_ascii_uppercase()))),
        ("no text", 404, at(format!("{source}/%FF"))),
        ("encoded twice", 401, at(format!("{source}/{}", secret.replace('-', "%252D")))),
        ("in the query", 401, at(format!("{source}?secret={secret}"))),
        ("as a token", 401, {
            let token = format!("Bearer {secret}");
            at(source.to_owned()).with("authorization", token.as_bytes())
        }),
    ]
}

/// The signature is right, and of something else.
fn of_signature(door: &Door, right: &Letter) -> Vec<Forgery> {
    let name = door.way.header().unwrap();
    let body = |body: Vec<u8>| Letter { body, ..right.clone() };
    let mut all = vec![
        ("another body", 401, body(String::from_utf8(forged()).unwrap().replace("F", "f").into())),
        ("the body cut short", 401, body(right.body[..right.body.len() - 1].to_vec())),
        ("a blank more", 401, body([&right.body[..], b" "].concat())),
        ("no body", 401, body(Vec::new())),
        ("in another encoding", 401, right.clone().set(name, &recoded(door.way, right))),
    ];
    if let Some(time) = door.way.timestamp() {
        let own = right.clone().value(time).clone();
        let later = String::from_utf8(own.clone()).unwrap().parse::<i64>().unwrap() + 1;
        let signed = |off| door.letter(0, Stamp { id: "msg_t", off }, &forged());
        all.extend([
            ("stale", 401, signed(-301)),
            ("ahead", 401, signed(301)),
            ("years old", 401, signed(-100_000_000)),
            ("another time", 401, right.clone().set(time, later.to_string().as_bytes())),
            ("no time", 401, right.clone().without(time)),
            ("two times", 401, right.clone().with(time, &own)),
            ("a time with a sign", 401, right.clone().set(time, &[b"+", &own[..]].concat())),
            ("a time in milliseconds", 401, right.clone().set(time, &[&own[..], b"000"].concat())),
            ("a time without end", 401, right.clone().set(time, &[b'9'; 40])),
            ("no number for a time", 401, right.clone().set(time, b"now")),
        ]);
    }
    if door.way.has_id() {
        let id = "webhook-id";
        let long = "i".repeat(201);
        all.extend([
            ("another id", 401, right.clone().set(id, b"msg_o")),
            ("no id", 401, right.clone().without(id)),
            ("two ids", 401, right.clone().with(id, b"msg_f")),
            ("an empty id", 401, door.letter(0, stamp(""), &forged())),
            ("a long id", 401, door.letter(0, stamp(&long), &forged())),
            ("an id that might hold the time", 401, door.letter(0, stamp("msg.1"), &forged())),
            ("of another version", 401, {
                let value = String::from_utf8(right.clone().value(name).clone()).unwrap();
                let other = if door.way == Way::Standard { "v1a," } else { "v1," };
                let bare = value.split_once(',').unwrap().1;
                right.clone().set(name, format!("{other}{bare} v2,{bare}").as_bytes())
            }),
            ("the last of too many", 401, {
                let value = String::from_utf8(right.clone().value(name).clone()).unwrap();
                let wrong = format!("{},AAAA ", value.split_once(',').unwrap().0);
                right.clone().set(name, (wrong.repeat(16) + &value).as_bytes())
            }),
        ]);
    }
    all
}

/// Hexadecimal for base64, and the other way round.
fn recoded(way: Way, right: &Letter) -> Vec<u8> {
    let value = String::from_utf8(right.clone().value(way.header().unwrap()).clone()).unwrap();
    let hex = |bytes: Vec<u8>| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let unhex = |text: &str| -> Vec<u8> {
        let pairs = text.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
        pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
    };
    if way.has_id() {
        let (version, text) = value.split_once(',').unwrap();
        return format!("{version},{}", hex(STANDARD.decode(text).unwrap())).into_bytes();
    }
    let (prefix, text) = value.split_once('=').map_or(("", &*value), |(_, text)| ("sha256=", text));
    format!("{prefix}{}", STANDARD.encode(unhex(text))).into_bytes()
}

/// Its sender is known, and what is sent is nothing.
fn of_known(door: &Door) -> Vec<Forgery> {
    let of = |body: &[u8]| door.letter(0, stamp("msg_k"), body);
    let right = of(&forged());
    let broken_off = &forged()[..20];
    let large = [&forged()[..], &vec![b' '; 256 * 1024]].concat();
    let method = |method| Letter { method, ..right.clone() };
    vec![
        ("broken off", 400, of(broken_off)),
        ("no body", 400, of(b"")),
        ("no UTF-8", 400, of(b"{\"type\": \"\xff\", \"data\": {\"alert\": \"Forged\"}}")),
        ("UTF-16", 400, of(&[b"\xff\xfe".as_slice(), &[b'{', 0, b'}', 0]].concat())),
        ("too deep", 400, of(&[b'['; 10_000])),
        ("another shape", 422, of(b"[]")),
        ("no data", 422, of(b"{\"type\": \"load\", \"data\": {}}")),
        ("oversized", 413, of(&large)),
        ("compressed", 415, right.clone().with("content-encoding", b"gzip")),
        ("compressed twice", 415, right.clone().with("content-encoding", b"identity, gzip")),
        ("got", 405, method("GET")),
        ("deleted", 405, method("DELETE")),
    ]
}

#[tokio::test]
async fn whatever_is_forged_changes_nothing() {
    for way in WAYS {
        let door = Door::new(way);
        // An alert that began and ended, whose messages can be sent again.
        let began = door.letter(0, stamp("msg_1"), &body("firing"));
        let ended = door.letter(1, stamp("msg_2"), &body("resolved"));
        for letter in [&began, &ended] {
            assert_eq!(door.deliver(letter, PEER).await.0, 202, "{way:?}");
        }
        let before = door.stored().await;
        let right = door.letter(0, stamp("msg_f"), &forged());
        let mut all = match way.header() {
            Some(name) => of_header(way, name, &right),
            None => of_address(&right),
        };
        if way.is_signed() {
            all.extend(of_signature(&door, &right));
        }
        if way == Way::Own {
            let token = format!("Bearer {}", door.face.token(Scope::Read));
            let letter = right.clone().set("authorization", token.as_bytes());
            all.push(("a token of less scope", 403, letter));
        }
        all.extend(of_known(&door));
        all.extend([("replayed", 202, began), ("its end replayed", 202, ended)]);
        assert!(all.len() >= 20, "{way:?}");
        for (n, (what, status, letter)) in all.iter().enumerate() {
            // Each from an address of its own, for none to be slowed down.
            let (got, answer) = door.deliver(letter, &format!("198.51.100.{n}:9")).await;
            assert_eq!(got, *status, "{way:?}, {what}: {answer}");
            assert_eq!(door.stored().await, before, "{way:?}, {what}");
        }
        // All of that was wrong in one thing alone.
        assert_eq!(door.deliver(&right, PEER).await.0, 202, "{way:?}");
        assert_ne!(door.stored().await, before, "{way:?}");
    }
}
