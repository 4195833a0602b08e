//! A body of one thing, of a list of them, or of an object that has the list under its key.

use super::json::{Fields, Json, Node, parse};
use crate::http::error::{Kind, Problem};

/// What it is of, and under which key.
pub(super) struct Several {
    pub(super) one: &'static str,
    pub(super) many: &'static str,
    pub(super) key: &'static [&'static str; 1],
    /// So many are taken at a time.
    pub(super) most: usize,
}

impl Several {
    /// All of them, valid each, or none.
    pub(super) fn read<T>(
        &self,
        body: &[u8],
        each: impl Fn(Node) -> Result<T, Problem>,
    ) -> Result<Vec<T>, Problem> {
        let Self { one, many, key: [key], .. } = self;
        let node = parse(body)?;
        match &node.value {
            Json::List(_) => self.list(node, each),
            Json::Object(fields) if fields.contains_key(*key) => {
                self.list(Fields::of(node, self.key)?.need(key)?, each)
            }
            Json::Object(_) => Ok(vec![each(node)?]),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::Text(_) => {
                let forms = format!("one {one}, a list of {many}, or {{\"{key}\": […]}}");
                Err(node.fault(format_args!("a body is {forms}")))
            }
        }
    }

    fn list<T>(
        &self,
        node: Node,
        each: impl Fn(Node) -> Result<T, Problem>,
    ) -> Result<Vec<T>, Problem> {
        let pointer = node.place.pointer();
        let Json::List(nodes) = node.value else {
            return Err(Problem::new(Kind::Invalid, "it must be a list").at(pointer));
        };
        let (n, most) = (nodes.len(), self.most);
        if n == 0 {
            return Err(Problem::new(Kind::Invalid, "the list is empty").at(pointer));
        }
        if n > most {
            let detail = format!("{n} {} are more than {most} at a time", self.many);
            let hint = "send them in several requests";
            return Err(Problem::new(Kind::Limit, detail).at(pointer).hint(hint));
        }
        nodes.into_iter().map(each).collect()
    }
}
