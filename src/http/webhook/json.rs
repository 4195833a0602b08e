//! JSON as strangers send it, read strictly: every fault says where it lies.
//!
//! serde_json's own reading is kind: of two equal keys the last one counts, and an error
//! tells a column. A sender needs the name of the thing, so the text is read into a small
//! tree first, while the path to where the reader stands is kept; then [`Fields`] takes
//! what a body may hold, and whatever is left over is a fault. Pointers are RFC 6901.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Number;
use serde_json::error::Category;

use crate::domain::id::InvalidId;
use crate::http::error::{Kind, Problem};

/// The deepest nesting that any of our bodies could need is 3.
const DEPTH_MOST: usize = 8;

/// A value, and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub place: Place,
    pub value: Json,
}

/// Where a value stands: the whole body, or a step below another place. It becomes a pointer for a
/// fault alone, and shares what it is made of: most values have none, and a body may have many.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Place(Option<Arc<Below>>);

#[derive(Debug, PartialEq)]
struct Below {
    above: Place,
    step: Step,
    depth: usize,
}

#[derive(Debug, PartialEq)]
enum Step {
    Index(usize),
    Key(Arc<str>),
}

impl Place {
    fn below(&self, step: Step) -> Self {
        Self(Some(Arc::new(Below { above: self.clone(), step, depth: self.depth() + 1 })))
    }

    fn depth(&self) -> usize {
        self.0.as_ref().map_or(0, |below| below.depth)
    }

    /// As RFC 6901 writes it. Keys come from strangers and may be long; a pointer needs no more than
    /// this.
    pub(super) fn pointer(&self) -> String {
        let Some(below) = &self.0 else { return String::new() };
        let step = match &below.step {
            Step::Index(n) => n.to_string(),
            Step::Key(key) => {
                let short: String = key.chars().take(POINTER_MOST).collect();
                short.replace('~', "~0").replace('/', "~1")
            }
        };
        let pointer = format!("{}/{step}", below.above.pointer());
        pointer.chars().take(POINTER_MOST).collect()
    }
}

/// The longest pointer, in characters.
const POINTER_MOST: usize = 200;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Json {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    Object(BTreeMap<Arc<str>, Node>),
}

/// Reads one JSON document and nothing after it.
pub(super) fn parse(bytes: &[u8]) -> Result<Node, Problem> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(Problem::new(Kind::Malformed, "the body is empty").at(""));
    }
    if let Err(error) = std::str::from_utf8(bytes) {
        let place = error.valid_up_to();
        let detail = format!("the body is not UTF-8: byte {place} begins no character");
        return Err(Problem::new(Kind::Malformed, detail));
    }
    let path = Path::default();
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let node = Seed { path: &path }.deserialize(&mut reader).and_then(|node| {
        reader.end()?;
        Ok(node)
    });
    node.map_err(|error| fault(&error, &path))
}

/// Where the reader stands. After an error it stands where the fault is.
#[derive(Default)]
struct Path(RefCell<Place>);

impl Path {
    fn within<T, E>(&self, step: Step, read: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let above = self.here();
        self.0.replace(above.below(step));
        let done = read()?;
        self.0.replace(above);
        Ok(done)
    }

    fn here(&self) -> Place {
        self.0.borrow().clone()
    }
}

fn fault(error: &serde_json::Error, path: &Path) -> Problem {
    // serde_json appends the place; our pointer says it better, except in broken text.
    let text = error.to_string();
    let bare = text.split(" at line ").next().unwrap_or(&text).to_owned();
    let (line, column) = (error.line(), error.column());
    let out_of_range = bare.contains("out of range");
    let problem = match error.classify() {
        Category::Data => Problem::new(Kind::Invalid, bare),
        Category::Syntax if out_of_range => {
            Problem::new(Kind::Invalid, "the number is too large: it must be finite")
        }
        Category::Syntax | Category::Eof | Category::Io => {
            let detail = format!("the body is not JSON: {bare} (line {line}, column {column})");
            Problem::new(Kind::Malformed, detail)
        }
    };
    problem.at(path.here().pointer())
}

struct Seed<'p> {
    path: &'p Path,
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Node;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        let place = self.path.here();
        let value = deserializer.deserialize_any(self)?;
        Ok(Node { place, value })
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E: Error>(self, truth: bool) -> Result<Json, E> {
        Ok(Json::Bool(truth))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Json, E> {
        Ok(Json::Number(number.into()))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Json, E> {
        Ok(Json::Number(number.into()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Json, E> {
        let number = Number::from_f64(number).ok_or_else(|| E::custom("it must be finite"))?;
        Ok(Json::Number(number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Json, A::Error> {
        self.not_too_deep()?;
        let mut list = Vec::new();
        loop {
            let step = Step::Index(list.len());
            let seed = Seed { path: self.path };
            match self.path.within(step, || access.next_element_seed(seed))? {
                Some(node) => list.push(node),
                None => return Ok(Json::List(list)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Json, A::Error> {
        self.not_too_deep()?;
        let mut object = BTreeMap::new();
        while let Some(Key(key)) = access.next_key()? {
            let node = self.path.within(Step::Key(Arc::clone(&key)), || {
                if object.contains_key(&key) {
                    return Err(A::Error::custom("this key stands here twice"));
                }
                access.next_value_seed(Seed { path: self.path })
            })?;
            object.insert(key, node);
        }
        Ok(Json::Object(object))
    }
}

impl Seed<'_> {
    fn not_too_deep<E: Error>(&self) -> Result<(), E> {
        if self.path.here().depth() < DEPTH_MOST {
            return Ok(());
        }
        Err(E::custom(format!("nested more than {DEPTH_MOST} levels deep")))
    }
}

/// A key; a type of its own so that it is read as text and nothing else.
struct Key(Arc<str>);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(KeyText)
    }
}

struct KeyText;

impl Visitor<'_> for KeyText {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Key, E> {
        Ok(Key(text.into()))
    }
}

impl Json {
    fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "true or false",
            Self::Number(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        }
    }
}

impl Node {
    /// A fault of this value.
    pub(super) fn fault(&self, why: impl fmt::Display) -> Problem {
        Problem::new(Kind::Invalid, why.to_string()).at(self.place.pointer())
    }

    fn not(&self, wanted: &str) -> Problem {
        self.fault(format_args!("it must be {wanted}, and is {}", self.value.kind()))
    }

    pub(super) fn number(&self) -> Result<f64, Problem> {
        let Json::Number(number) = &self.value else { return Err(self.not("a number")) };
        number.as_f64().ok_or_else(|| self.not("a finite number"))
    }

    /// A whole number, written as one: `3`, not `3.0`.
    pub(super) fn whole(&self) -> Result<i64, Problem> {
        let Json::Number(number) = &self.value else { return Err(self.not("a whole number")) };
        let whole = number.as_i64();
        whole.ok_or_else(|| self.fault(format_args!("it must be a whole number, not {number}")))
    }

    pub(super) fn truth(&self) -> Result<bool, Problem> {
        let Json::Bool(truth) = self.value else { return Err(self.not("true or false")) };
        Ok(truth)
    }

    pub(super) fn text(&self) -> Result<&str, Problem> {
        let Json::Text(text) = &self.value else { return Err(self.not("a text")) };
        Ok(text)
    }

    /// A text without control characters, of 1 to `most` bytes.
    pub(super) fn printable(&self, most: usize) -> Result<&str, Problem> {
        let text = self.text()?;
        if !is_printable(text, most) {
            return Err(self.fault(format_args!("it must be 1 to {most} printable characters")));
        }
        Ok(text)
    }

    /// One of our names or ids. The rule is told, what was sent is not repeated: whoever
    /// puts a secret in the wrong place need not find it in a third one.
    pub(super) fn valid<T: FromStr<Err = InvalidId>>(&self) -> Result<T, Problem> {
        let made = self.text()?.parse();
        made.map_err(|e: InvalidId| self.fault(format_args!("it must be a {}: {}", e.what, e.rule)))
    }
}

pub(super) fn is_printable(text: &str, most: usize) -> bool {
    !text.trim().is_empty() && text.len() <= most && !text.chars().any(char::is_control)
}

/// The fields of an object, taken one by one; what is left over is a fault.
pub(super) struct Fields {
    place: Place,
    /// The names that may stand here.
    names: &'static [&'static str],
    left: BTreeMap<Arc<str>, Node>,
}

impl Fields {
    pub(super) fn of(node: Node, names: &'static [&'static str]) -> Result<Self, Problem> {
        let Json::Object(left) = node.value else { return Err(node.not("an object")) };
        let fields = Self { place: node.place, names, left };
        fields.known()?;
        Ok(fields)
    }

    fn known(&self) -> Result<(), Problem> {
        let unknown = self.left.iter().find(|(name, _)| !self.names.contains(&name.as_ref()));
        let Some((name, node)) = unknown else { return Ok(()) };
        let near = self
            .names
            .iter()
            .max_by(|a, b| strsim::jaro_winkler(a, name).total_cmp(&strsim::jaro_winkler(b, name)));
        let problem = node.fault("there is no such field");
        Err(match near.filter(|n| strsim::jaro_winkler(n, name) > 0.8) {
            Some(near) => problem.hint(format!("did you mean `{near}`?")),
            None => problem.hint(format!("the fields are {}", self.names.join(", "))),
        })
    }

    /// The field, if it is there and not null.
    pub(super) fn take(&mut self, name: &str) -> Option<Node> {
        self.left.remove(name).filter(|node| node.value != Json::Null)
    }

    pub(super) fn need(&mut self, name: &str) -> Result<Node, Problem> {
        self.take(name).ok_or_else(|| {
            let problem = Problem::new(Kind::Invalid, format!("the field `{name}` is missing"));
            problem.at(self.place.pointer())
        })
    }

    /// A fault of the object as a whole.
    pub(super) fn fault(&self, why: impl fmt::Display) -> Problem {
        Problem::new(Kind::Invalid, why.to_string()).at(self.place.pointer())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(body: &str) -> (Kind, String) {
        let problem = parse(body.as_bytes()).unwrap_err();
        (problem.kind, problem.pointer.unwrap_or_default())
    }

    #[test]
    fn faults_are_pointed_at() {
        let cases = [
            ("{\"a\": NaN}", Kind::Malformed, "/a"),
            ("{\"a\": [1, {\"b/c~\": tru}]}", Kind::Malformed, "/a/1/b~1c~0"),
            ("{\"a\": 1e400}", Kind::Invalid, "/a"),
            ("[1, 2, {\"x\": 1, \"x\": 2}]", Kind::Invalid, "/2/x"),
            ("[[[[[[[[[1]]]]]]]]]", Kind::Invalid, "/0/0/0/0/0/0/0/0"),
            ("{\"a\": 1} {}", Kind::Malformed, ""),
            ("{\"a\": 1", Kind::Malformed, ""),
            ("{a: 1}", Kind::Malformed, ""),
            ("", Kind::Malformed, ""),
            ("  \n", Kind::Malformed, ""),
        ];
        for (body, kind, pointer) in cases {
            assert_eq!(refused(body), (kind, pointer.to_owned()), "{body}");
        }
    }

    /// What a value takes, and all below it; a key's text is there once.
    fn held(node: &Node) -> usize {
        let below: usize = match &node.value {
            Json::List(nodes) => nodes.iter().map(held).sum(),
            Json::Object(fields) => fields.iter().map(|(key, n)| key.len() + held(n)).sum(),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::Text(_) => 0,
        };
        size_of::<Node>() + size_of::<Below>() + below
    }

    #[test]
    fn a_small_body_never_becomes_a_large_tree() {
        let body = format!("{{\"{}\": [{}1]}}", "k".repeat(32_000), "1,".repeat(16_000));
        let node = parse(body.as_bytes()).unwrap();
        assert!(held(&node) < 4_000_000, "{} bytes", held(&node));
        let Json::Object(fields) = &node.value else { panic!("no object") };
        let Json::List(list) = &fields.values().next().unwrap().value else { panic!("no list") };
        assert_eq!(list[15_999].place.pointer().chars().count(), POINTER_MOST);
    }

    #[test]
    fn no_depth_breaks_the_reader() {
        let deep = "[".repeat(60_000);
        assert_eq!(refused(&deep).0, Kind::Invalid);
    }

    #[test]
    fn text_that_is_not_utf_8_is_refused() {
        let problem = parse(b"{\"a\": \"\xff\"}").unwrap_err();
        assert_eq!(problem.kind, Kind::Malformed);
        assert!(problem.detail.contains("byte 7"), "{}", problem.detail);
    }

    #[test]
    fn unknown_fields_are_refused_with_the_nearest_name() {
        let node = parse(b"{\"nmae\": 1}").unwrap();
        let problem = Fields::of(node, &["name", "value"]).err().unwrap();
        assert_eq!(problem.pointer.as_deref(), Some("/nmae"));
        assert_eq!(problem.hint.as_deref(), Some("did you mean `name`?"));
    }

    #[test]
    fn whole_numbers_are_written_whole() {
        for bad in ["3.0", "3.5", "\"3\"", "true", "1e2", "9223372036854775808"] {
            assert!(parse(bad.as_bytes()).unwrap().whole().is_err(), "{bad}");
        }
        assert_eq!(parse(b"-3").unwrap().whole().unwrap(), -3);
    }
}
