//! Numbers of seven bits a byte, from the lowest, and readers of them within bounds.

/// Appends a number: one to ten bytes.
pub(crate) fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(low_byte(number) | 0x80);
        number >>= 7;
    }
    out.push(low_byte(number));
}

/// Appends a number with a sign, small if it is near zero.
pub(crate) fn put_signed(out: &mut Vec<u8>, number: i64) {
    put(out, ((number << 1) ^ (number >> 63)).cast_unsigned());
}

/// The bytes that are not parsed yet.
pub(crate) struct Input<'a>(pub(crate) &'a [u8]);

impl<'a> Input<'a> {
    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    /// Reads a number of at most ten bytes.
    pub(crate) fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    pub(crate) fn signed(&mut self) -> Option<i64> {
        let number = self.number()?.cast_signed();
        Some((number.cast_unsigned() >> 1).cast_signed() ^ -(number & 1))
    }
}

fn low_byte(number: u64) -> u8 {
    number.to_le_bytes()[0] & 0x7f
}

#[cfg(test)]
mod tests {
    use super::{Input, put, put_signed};

    #[test]
    fn numbers_come_back() {
        let edges = [0, 1, 63, 64, 127, 128, 300, 1 << 35, u64::MAX >> 1, u64::MAX];
        for number in edges {
            let mut out = Vec::new();
            put(&mut out, number);
            put_signed(&mut out, number.cast_signed());
            put_signed(&mut out, number.cast_signed().wrapping_neg());
            let mut input = Input(&out);
            assert_eq!(input.number(), Some(number));
            assert_eq!(input.signed(), Some(number.cast_signed()));
            assert_eq!(input.signed(), Some(number.cast_signed().wrapping_neg()));
            assert!(input.0.is_empty());
        }
    }

    #[test]
    fn what_has_no_end_is_no_number() {
        assert_eq!(Input(&[0xff; 20]).number(), None);
        assert_eq!(Input(&[0x80]).number(), None);
        assert_eq!(Input(&[]).number(), None);
    }
}
