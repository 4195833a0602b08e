//! Formulas over signals: numbers, names, `+ - * /`, comparisons and a few functions.
//!
//! The parser is exmex, with operators of our own: nothing loops, nothing is called, and one
//! evaluation costs as much as the text is long. A comparison is 1 where it holds and else 0, so
//! `20 * (queue > 500)` asks for 20 servers above 500.

use std::fmt;

use exmex::{BinOp, Express, FlatEx, MakeOperators, MatchLiteral, Operator};

use super::id::{InvalidId, SignalName};

/// The longest text.
pub const TEXT_MOST: usize = 512;

/// A formula that reads, with the signals that it names.
#[derive(Clone)]
pub struct Formula {
    text: String,
    parsed: FlatEx<f64, Operators, Number>,
    signals: Vec<SignalName>,
}

/// Why a text is no formula.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidFormula {
    #[error("it is longer than {TEXT_MOST} characters")]
    TooLong,
    #[error("it does not read: {0}")]
    Unreadable(String),
    #[error(transparent)]
    Name(#[from] InvalidId),
    #[error("it names no signal: a number that never changes is a base, or a schedule's capacity")]
    NoSignal,
}

impl Formula {
    /// Signals are named as they are, or in braces where a name has `.`, `:` or `-`.
    pub fn parse(text: &str) -> Result<Self, InvalidFormula> {
        if text.len() > TEXT_MOST {
            return Err(InvalidFormula::TooLong);
        }
        let parsed: FlatEx<f64, Operators, Number> = FlatEx::parse(&plain(text)?)
            .map_err(|why| InvalidFormula::Unreadable(why.to_string()))?;
        let names = parsed.var_names().iter();
        let signals: Vec<SignalName> =
            names.map(|name| SignalName::new(name.as_str())).collect::<Result<_, _>>()?;
        if signals.is_empty() {
            return Err(InvalidFormula::NoSignal);
        }
        Ok(Self { text: text.to_owned(), parsed, signals })
    }

    /// Each once, in the order in which [`Self::value`] takes their values.
    pub fn signals(&self) -> &[SignalName] {
        &self.signals
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// What the formula comes to; none where that is no number, as by a division by zero.
    pub fn value(&self, values: &[f64]) -> Option<f64> {
        self.parsed.eval(values).ok().filter(|value| value.is_finite())
    }
}

impl fmt::Debug for Formula {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Formula({})", self.text)
    }
}

impl PartialEq for Formula {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

/// The text as the parser takes it without fail: every name in braces, for it takes what begins
/// like a function, as `minutes` does, for the function; and `max(a, b)` as `((a) max (b))`, for it
/// reads no call within a call.
fn plain(text: &str) -> Result<String, InvalidFormula> {
    let unreadable = |why: String| InvalidFormula::Unreadable(why);
    let (mut told, mut rest) = (String::new(), text);
    // Of each parenthesis that is open, whose it is and how many commas it has.
    let (mut open, mut called): (Vec<(Option<&str>, usize)>, _) = (Vec::new(), None);
    while let Some(first) = rest.chars().next() {
        let part = part(rest).ok_or_else(|| unreadable(format!("it has {first:?}")))?;
        rest = &rest[part.len()..];
        match part {
            " " => told.push(' '),
            "(" => {
                open.push((called, 0));
                told.push_str(if called.take().is_some() { "((" } else { "(" });
            }
            _ if called.is_some() => {
                return Err(unreadable("min and max stand before parentheses".to_owned()));
            }
            "max" | "min" => called = Some(part),
            "," => match open.last_mut() {
                Some((Some(function), commas)) => {
                    *commas += 1;
                    told.extend([") ", *function, " ("]);
                }
                Some((None, _)) | None => {
                    return Err(unreadable("a comma stands in min or max only".to_owned()));
                }
            },
            ")" => match open.pop() {
                Some((Some(function), 0)) => {
                    return Err(unreadable(format!("{function} takes two numbers or more")));
                }
                Some((Some(_), _)) => told.push_str("))"),
                Some((None, _)) | None => told.push(')'),
            },
            "ceil" | "floor" | "round" | "abs" => told.push_str(part),
            name if name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') => {
                told.extend(["{", name, "}"]);
            }
            other => told.push_str(other),
        }
    }
    if called.is_some() {
        return Err(unreadable("min and max stand before parentheses".to_owned()));
    }
    Ok(told)
}

/// The first name, number or sign of a text that is not empty; none if it is nothing of these.
fn part(text: &str) -> Option<&str> {
    let first = text.chars().next()?;
    if first == '{' {
        return text.find('}').map(|end| &text[..=end]);
    }
    if first.is_ascii_alphabetic() || first == '_' {
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        return Some(text.find(|c| !word(c)).map_or(text, |end| &text[..end]));
    }
    Number::is_literal(text).or_else(|| text.get(..1).filter(|sign| " ()+-*/<>=,".contains(sign)))
}

/// Numbers as they are written in JSON, without a sign.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
struct Number;

impl MatchLiteral for Number {
    fn is_literal(text: &str) -> Option<&str> {
        let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        let mut end = digits(text);
        if end == 0 {
            return None;
        }
        if let Some(part) = text[end..].strip_prefix('.').filter(|part| digits(part) > 0) {
            end += 1 + digits(part);
        }
        if let Some(power) = text[end..].strip_prefix(['e', 'E']) {
            let sign = usize::from(power.starts_with(['+', '-']));
            let power = digits(&power[sign..]);
            end += if power > 0 { 1 + sign + power } else { 0 };
        }
        Some(&text[..end])
    }
}

/// What may stand between and before names and numbers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
struct Operators;

impl MakeOperators<f64> for Operators {
    fn make<'a>() -> Vec<Operator<'a, f64>> {
        let bin = |apply: fn(f64, f64) -> f64, prio| BinOp { apply, prio, is_commutative: false };
        vec![
            Operator::make_bin(">=", bin(|a, b| told(a, b, f64::from(a >= b)), 1)),
            Operator::make_bin("<=", bin(|a, b| told(a, b, f64::from(a <= b)), 1)),
            Operator::make_bin(">", bin(|a, b| told(a, b, f64::from(a > b)), 1)),
            Operator::make_bin("<", bin(|a, b| told(a, b, f64::from(a < b)), 1)),
            Operator::make_bin("max", bin(|a, b| told(a, b, a.max(b)), 0)),
            Operator::make_bin("min", bin(|a, b| told(a, b, a.min(b)), 0)),
            Operator::make_bin_unary("+", bin(|a, b| a + b, 2), |a| a),
            Operator::make_bin_unary("-", bin(|a, b| a - b, 2), |a| -a),
            Operator::make_bin("*", bin(|a, b| a * b, 3)),
            Operator::make_bin("/", bin(|a, b| a / b, 4)),
            Operator::make_unary("ceil", f64::ceil),
            Operator::make_unary("floor", f64::floor),
            Operator::make_unary("round", f64::round),
            Operator::make_unary("abs", f64::abs),
        ]
    }
}

/// What is told by two numbers; where one of them is none, nothing is.
fn told(a: f64, b: f64, says: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { says }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str, values: &[f64]) -> Option<f64> {
        Formula::parse(text).unwrap().value(values)
    }

    #[test]
    fn formulas_come_to_what_they_say() {
        let cases: [(&str, &[f64], f64); 18] = [
            ("queue / 100", &[250.0], 2.5),
            ("ceil(queue / 100) + 1", &[250.0], 4.0),
            ("max(queue / 10, cpu)", &[7.0, 50.0], 7.0),
            ("min(queue, 3) * 2", &[9.0], 6.0),
            ("8 - 2 - q", &[1.0], 5.0),
            ("16 / 4 / q", &[2.0], 2.0),
            ("2 + 3 * q", &[4.0], 14.0),
            ("20 * (q > 500)", &[501.0], 20.0),
            ("20 * (q > 500)", &[500.0], 0.0),
            ("{queue.depth} + {web:cpu}", &[2.0, 3.0], 5.0),
            ("-q + 4", &[1.0], 3.0),
            ("1e1 * q + 1.5E+0", &[2.0], 21.5),
            ("max(a, min(b, c))", &[1.0, 9.0, 4.0], 4.0),
            ("max(min(a, b), c) + 1", &[1.0, 9.0, 4.0], 5.0),
            ("max(ceil(a / 2), b) * max(b, c)", &[9.0, 2.0, 4.0], 20.0),
            ("minutes + max_load", &[1.0, 2.0], 3.0),
            ("max((a + b) * 2, (c))", &[1.0, 2.0, 4.0], 6.0),
            ("max(a, b, c) + max(max(a, b), c)", &[1.0, 2.0, 4.0], 8.0),
        ];
        for (text, values, expected) in cases {
            assert_eq!(value(text, values), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_number_is_unknown() {
        assert_eq!(value("10 / q", &[0.0]), None);
        assert_eq!(value("q / q", &[0.0]), None);
        assert_eq!(value("q * 1e308 * 10", &[1e10]), None);
        for text in ["max(q / q, 5)", "min(5, q / q)", "7 * (q / q > 1)"] {
            assert_eq!(value(text, &[0.0]), None, "{text}");
        }
    }

    #[test]
    fn signals_are_named_once() {
        let formula = Formula::parse("b + a * b").unwrap();
        let names: Vec<&str> = formula.signals().iter().map(SignalName::as_str).collect();
        assert_eq!(names, ["a", "b"]);
    }

    #[test]
    fn what_does_not_read_is_refused() {
        for text in ["{a", "é + a", "a ^ 2", "a = b", "1e5x", "max(a)", "max", "max a"] {
            assert!(Formula::parse(text).is_err(), "{text}");
        }
        for text in ["", "queue /", "queue cpu", "(queue", "queue)", "sin(queue)", "5", "{a b}"] {
            assert!(Formula::parse(text).is_err(), "{text}");
        }
        assert_eq!(Formula::parse(&"q+".repeat(400)), Err(InvalidFormula::TooLong));
        let long = "q + ".repeat(100) + "q";
        assert_eq!(value(&long, &[1.0]), Some(101.0));
        let deep = format!("{}q{}", "(".repeat(250), ")".repeat(250));
        assert_eq!(value(&deep, &[3.0]), Some(3.0));
    }

    proptest::proptest! {
        #[test]
        fn no_text_is_too_much(
            parts in proptest::collection::vec(
                proptest::sample::select(vec![
                    "a", "bc", "{d.e}", "1", "2.5", "1e3", " ", "(", ")", "+", "-", "*", "/", "<",
                    ">=", ",", "max", "min(", "ceil", "{", "}", ".", "e", "é", "=",
                ]),
                0..40,
            ),
        ) {
            if let Ok(formula) = Formula::parse(&parts.concat()) {
                let values = vec![2.0; formula.signals().len()];
                let _value = formula.value(&values);
            }
        }
    }
}
