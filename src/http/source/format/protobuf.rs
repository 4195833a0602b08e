//! The protobuf wire format, as far as metrics need it: fields, read where they lie.
//!
//! Messages are not built. A body of empty elements, two bytes each, would become thirty times as
//! large in memory, and of most of what senders of metrics send only the name is looked at.
//! Source: protobuf.dev, "Encoding".

/// One field of a message.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Field<'a> {
    pub(super) number: u32,
    pub(super) value: Wire<'a>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Wire<'a> {
    Varint(u64),
    Fixed64(u64),
    /// A message, a text, bytes.
    Span(&'a [u8]),
    Fixed32(u32),
}

/// These bytes are no message, or not the one that was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Broken;

/// The fields of a message in the order in which they lie there; nothing follows a fault.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn of(message: &'a [u8]) -> Self {
        Self(message)
    }

    fn field(&mut self) -> Result<Field<'a>, Broken> {
        let key = u32::try_from(self.varint()?).map_err(|_| Broken)?;
        let value = match key & 7 {
            0 => Wire::Varint(self.varint()?),
            1 => Wire::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| Broken)?;
                Wire::Span(self.take(length)?)
            }
            5 => Wire::Fixed32(u32::from_le_bytes(self.array()?)),
            // Groups, which no message of metrics has had.
            _ => return Err(Broken),
        };
        let number = key >> 3;
        if number == 0 { Err(Broken) } else { Ok(Field { number, value }) }
    }

    fn varint(&mut self) -> Result<u64, Broken> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(Broken);
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Broken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Broken> {
        self.take(N)?.try_into().map_err(|_| Broken)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Broken> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Broken)?;
        self.0 = rest;
        Ok(taken)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, Broken>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

impl<'a> Wire<'a> {
    pub(super) fn span(self) -> Result<&'a [u8], Broken> {
        if let Self::Span(bytes) = self { Ok(bytes) } else { Err(Broken) }
    }

    pub(super) fn text(self) -> Result<&'a str, Broken> {
        std::str::from_utf8(self.span()?).map_err(|_| Broken)
    }

    pub(super) fn varint(self) -> Result<u64, Broken> {
        if let Self::Varint(value) = self { Ok(value) } else { Err(Broken) }
    }

    pub(super) fn fixed64(self) -> Result<u64, Broken> {
        if let Self::Fixed64(value) = self { Ok(value) } else { Err(Broken) }
    }

    pub(super) fn double(self) -> Result<f64, Broken> {
        self.fixed64().map(f64::from_bits)
    }
}

/// Writes a field that holds a number.
pub(super) fn put_varint(number: u32, value: u64, into: &mut Vec<u8>) {
    raw_varint(u64::from(number << 3), into);
    raw_varint(value, into);
}

/// Writes a field that holds bytes.
pub(super) fn put_span(number: u32, bytes: &[u8], into: &mut Vec<u8>) {
    raw_varint(u64::from(number << 3 | 2), into);
    raw_varint(bytes.len() as u64, into);
    into.extend_from_slice(bytes);
}

fn raw_varint(mut value: u64, into: &mut Vec<u8>) {
    while value >= 0x80 {
        into.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    into.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Result<Vec<Field<'_>>, Broken> {
        Fields::of(bytes).collect()
    }

    #[test]
    fn fields_are_read_as_the_encoding_has_them() {
        // The page's own examples: field 1 is 150, field 2 is "testing".
        let bytes = b"\x08\x96\x01\x12\x07testing\x19\0\0\0\0\0\0\xf0\x3f\x25\x01\0\0\0";
        let found = all(bytes).unwrap();
        let values = [
            (1, Wire::Varint(150)),
            (2, Wire::Span(b"testing")),
            (3, Wire::Fixed64(0x3ff0_0000_0000_0000)),
            (4, Wire::Fixed32(1)),
        ];
        assert_eq!(found, values.map(|(number, value)| Field { number, value }));
        assert_eq!(found[2].value.double(), Ok(1.0));
        assert_eq!(found[0].value.text(), Err(Broken), "of another type");
        let minus_one = [&[0x08][..], &[0xff; 9], &[0x01]].concat();
        assert_eq!(all(&minus_one).unwrap()[0].value, Wire::Varint(u64::MAX));
    }

    #[test]
    fn what_is_no_message_is_none_and_never_more_than_its_bytes() {
        let eleven = [&[0x08][..], &[0xff; 10], &[0x01]].concat();
        let too_large = [&[0x08][..], &[0xff; 9], &[0x02]].concat();
        let bad: [&[u8]; 9] = [
            b"\x08",
            b"\x80",
            b"\x12\x08testing",
            b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
            b"\x19\0\0",
            b"\x0b",
            b"\x00\x01",
            &eleven,
            &too_large,
        ];
        for bytes in bad {
            assert_eq!(all(bytes), Err(Broken), "{bytes:?}");
            assert_eq!(Fields::of(bytes).count(), 1, "nothing follows a fault: {bytes:?}");
        }
    }

    #[test]
    fn what_is_written_reads_the_same() {
        let mut bytes = Vec::new();
        put_varint(1, u64::MAX, &mut bytes);
        put_span(2, &[7; 300], &mut bytes);
        let values: Vec<_> = all(&bytes).unwrap().iter().map(|field| field.value).collect();
        assert_eq!(values, [Wire::Varint(u64::MAX), Wire::Span(&[7; 300])]);
    }
}
