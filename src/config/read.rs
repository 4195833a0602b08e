//! Takes typed values out of a parsed TOML document, and reports what does not fit.
//!
//! serde would stop at the first fault; this goes on. A [`section!`] declares the keys of one
//! table with their types: an unknown key, a wrong type and a number out of its type's range are
//! recorded, everything else is kept with the place where it stands.

use std::ops::{Deref, Range};
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use super::fault::{Sink, Spot};

/// A value with its place.
#[derive(Debug, Clone)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) spot: Spot,
}

impl<T> Deref for At<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: Read> At<T> {
    pub(super) fn read(raw: &Raw<'_>, spot: Spot, sink: &mut Sink) -> Option<Self> {
        Some(Self { value: T::read(raw, &spot, sink)?, spot })
    }
}

pub(super) type Raw<'i> = Spanned<DeValue<'i>>;

/// What can be read from a TOML value.
pub(super) trait Read: Sized {
    /// Lists of it are written as sections: `[[key]]`.
    const SECTION: bool = false;

    /// None if it did not fit; then a fault was recorded.
    fn read(raw: &Raw<'_>, spot: &Spot, sink: &mut Sink) -> Option<Self>;
}

/// Declares a table's keys. `field as "key": Type` where the key is a word of Rust.
macro_rules! section {
    (@key $field:ident) => { stringify!($field) };
    (@key $field:ident $key:literal) => { $key };
    ($(#[$doc:meta])* $name:ident { $($field:ident $(as $key:literal)? : $ty:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub(in crate::config) struct $name {
            $(pub(in crate::config) $field: Option<$crate::config::read::At<$ty>>,)*
        }

        impl $name {
            /// As if the section stood there without a key.
            pub(in crate::config) fn empty() -> Self {
                Self { $($field: None),* }
            }
        }

        impl $crate::config::read::Read for $name {
            const SECTION: bool = true;

            fn read(
                raw: &$crate::config::read::Raw<'_>,
                spot: &$crate::config::fault::Spot,
                sink: &mut $crate::config::fault::Sink,
            ) -> Option<Self> {
                let mut section = Self::empty();
                for (key, value) in $crate::config::read::table(raw, spot, sink)? {
                    match key.get_ref().as_ref() {
                        $(section!(@key $field $($key)?) => {
                            let spot = spot.child(key.get_ref(), value.span());
                            section.$field = $crate::config::read::At::read(value, spot, sink);
                        })*
                        other => {
                            let known = [$(section!(@key $field $($key)?)),*];
                            let at = spot.child(other, key.span());
                            $crate::config::read::unknown(other, &known, &at, sink);
                        }
                    }
                }
                Some(section)
            }
        }
    };
}
pub(super) use section;

/// The table at this place, if it is one.
pub(super) fn table<'a, 'i>(
    raw: &'a Raw<'i>,
    spot: &Spot,
    sink: &mut Sink,
) -> Option<&'a DeTable<'i>> {
    raw.get_ref().as_table().or_else(|| wrong(raw, "a table", spot, sink))
}

/// Refuses a value of another type.
pub(super) fn wrong<T>(raw: &Raw<'_>, wanted: &str, spot: &Spot, sink: &mut Sink) -> Option<T> {
    let (key, raw) = (&spot.key, raw.get_ref());
    sink.fault(spot, format!("`{key}` must be {wanted}, but it is {}", type_of(raw)));
    None
}

fn type_of(raw: &DeValue<'_>) -> &'static str {
    match raw {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// Refuses a key that nothing reads, and names the nearest one that something does.
pub(super) fn unknown(key: &str, known: &[&str], spot: &Spot, sink: &mut Sink) {
    let fault = sink.fault(spot, format!("`{}` is not a setting", spot.key));
    match nearest(key, known) {
        Some(near) => fault.hint(format!("did you mean `{near}`?")),
        None => fault.hint(format!("known here: {}", known.join(", "))),
    };
}

/// The word that was probably meant.
pub(super) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let word = word.to_ascii_lowercase().replace('-', "_");
    let far = |k: &&str| strsim::damerau_levenshtein(&word, k);
    let near = known.iter().copied().min_by_key(far)?;
    let close = far(&near) <= 1.max(near.len() / 3);
    let part = || {
        known
            .iter()
            .copied()
            .find(|k| k.len() > 3 && word.len() > 3 && (k.contains(&word) || word.contains(k)))
    };
    if close { Some(near) } else { part() }
}

impl Read for String {
    fn read(raw: &Raw<'_>, spot: &Spot, sink: &mut Sink) -> Option<Self> {
        let text = raw.get_ref().as_str().map(str::to_owned);
        text.or_else(|| wrong(raw, "a string", spot, sink))
    }
}

impl Read for bool {
    fn read(raw: &Raw<'_>, spot: &Spot, sink: &mut Sink) -> Option<Self> {
        raw.get_ref().as_bool().or_else(|| wrong(raw, "true or false", spot, sink))
    }
}

impl Read for u64 {
    fn read(raw: &Raw<'_>, spot: &Spot, sink: &mut Sink) -> Option<Self> {
        let DeValue::Integer(integer) = raw.get_ref() else {
            return wrong(raw, "a whole number", spot, sink);
        };
        let number = whole(integer);
        if number.is_none() {
            let key = &spot.key;
            sink.fault(spot, format!("`{key}` is {integer}, which is no number from 0 upwards"));
        }
        number
    }
}

fn whole(integer: &DeInteger<'_>) -> Option<u64> {
    u64::from_str_radix(integer.as_str().trim_start_matches('+'), integer.radix()).ok()
}

impl Read for i64 {
    fn read(raw: &Raw<'_>, spot: &Spot, sink: &mut Sink) -> Option<Self> {
        let DeValue::Integer(integer) = raw.get_ref() else {
            return wrong(raw, "a whole number", spot, sink);
        };
        let digits = integer.as_str().trim_start_matches('+');
        let number = Self::from_str_radix(digits, integer.radix()).ok();
        if number.is_none() {
            sink.fault(spot, format!("`{}` is {integer}, which is too large", spot.key));
        }
        number
    }
}

impl Read for f64 {
    fn read(raw: &Raw<'_>, spot: &Spot, sink: &mut Sink) -> Option<Self> {
        let text = if let DeValue::Integer(integer) = raw.get_ref() {
            whole(integer).map_or_else(|| integer.to_string(), |n| n.to_string())
        } else if let DeValue::Float(float) = raw.get_ref() {
            float.as_str().to_owned()
        } else {
            return wrong(raw, "a number", spot, sink);
        };
        let number = text.parse::<f64>().ok().filter(|n| n.is_finite());
        if number.is_none() {
            sink.fault(spot, format!("`{}` must be a finite number", spot.key));
        }
        number
    }
}

/// Text as jiff's friendly format has it (`90s`, `5m`, `1h 30m`, `2d`); a day has 24 hours.
impl Read for Duration {
    fn read(raw: &Raw<'_>, spot: &Spot, sink: &mut Sink) -> Option<Self> {
        let key = &spot.key;
        if let DeValue::Integer(n) = raw.get_ref() {
            let fault = sink.fault(spot, format!("`{key}` is a number without a unit"));
            fault.hint(format!("write \"{n}s\" for seconds, \"{n}m\" for minutes"));
            return None;
        }
        let Some(text) = raw.get_ref().as_str() else {
            return wrong(raw, "a span of time like \"90s\"", spot, sink);
        };
        let span = parse_span(text);
        if span.is_none() {
            let fault = sink.fault(spot, format!("`{key}` is not a span of time"));
            fault.hint("write \"90s\", \"5m\", \"1h 30m\" or \"2d\"");
        }
        span
    }
}

pub(super) fn parse_span(text: &str) -> Option<Duration> {
    let span = jiff::fmt::friendly::SpanParser::new().parse_span(text.trim()).ok()?;
    if span.get_years() != 0 || span.get_months() != 0 {
        return None;
    }
    let span = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).ok()?;
    Duration::try_from(span).ok()
}

/// A list; an element that does not fit leaves a fault and a gap.
impl<T: Read> Read for Vec<At<T>> {
    fn read(raw: &Raw<'_>, spot: &Spot, sink: &mut Sink) -> Option<Self> {
        if let (true, DeValue::Table(_)) = (T::SECTION, raw.get_ref()) {
            let key = &spot.key;
            let fault = sink.fault(spot, format!("`{key}` must be a list, but it is a table"));
            fault.hint(format!("write [[{key}]], with two brackets, once for each"));
            return None;
        }
        let DeValue::Array(items) = raw.get_ref() else {
            return wrong(raw, "a list", spot, sink);
        };
        let item = |(i, raw): (usize, &Raw<'_>)| {
            let key = format!("{}[{i}]", spot.key);
            At::read(raw, Spot { key, span: raw.span() }, sink)
        };
        Some(items.iter().enumerate().filter_map(item).collect())
    }
}

/// One text, or a list of them.
#[derive(Debug, Clone)]
pub(super) struct OneOrMore(pub(super) Vec<At<String>>);

impl Read for OneOrMore {
    fn read(raw: &Raw<'_>, spot: &Spot, sink: &mut Sink) -> Option<Self> {
        if raw.get_ref().is_str() {
            Some(Self(vec![At::read(raw, spot.clone(), sink)?]))
        } else if raw.get_ref().is_array() {
            Vec::read(raw, spot, sink).map(Self)
        } else {
            wrong(raw, "a string or a list of strings", spot, sink)
        }
    }
}

/// A table whose keys are names. In the order of the names.
#[derive(Debug, Clone)]
pub(super) struct Named<T>(pub(super) Vec<NamedEntry<T>>);

#[derive(Debug, Clone)]
pub(super) struct NamedEntry<T> {
    pub(super) name: String,
    pub(super) name_span: Range<usize>,
    pub(super) entry: At<T>,
}

impl<T: Read> Read for Named<T> {
    fn read(raw: &Raw<'_>, spot: &Spot, sink: &mut Sink) -> Option<Self> {
        let entries = table(raw, spot, sink)?.iter().filter_map(|(key, value)| {
            let name = key.get_ref().clone().into_owned();
            let entry = At::read(value, spot.child(&name, value.span()), sink)?;
            Some(NamedEntry { name, name_span: key.span(), entry })
        });
        Some(Self(entries.collect()))
    }
}
