//! Numbers of seven bits a byte, from the lowest; and reads within bounds.

/// Appends a number: one to ten bytes.
pub(super) fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(low_byte(number) | 0x80);
        number >>= 7;
    }
    out.push(low_byte(number));
}

/// Appends bytes after their length.
pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// The bytes that are left to parse. Nothing is allocated for a length that they claim.
pub(super) struct Input<'a>(pub(super) &'a [u8]);

impl<'a> Input<'a> {
    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// Returns a number of at most ten bytes.
    pub(super) fn number(&mut self) -> Option<u64> {
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

    /// Returns bytes after their length.
    pub(super) fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        self.take(length)
    }

    /// Returns text after its length.
    pub(super) fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }
}

fn low_byte(number: u64) -> u8 {
    number.to_le_bytes()[0] & 0x7f
}

#[cfg(test)]
mod tests {
    use super::{Input, put, put_bytes};

    #[test]
    fn numbers_and_bytes_come_back() {
        let mut out = Vec::new();
        let edges = [0, 1, 127, 128, 300, 1 << 35, u64::MAX];
        for number in edges {
            put(&mut out, number);
        }
        put_bytes(&mut out, b"soup");
        let mut input = Input(&out);
        assert!(edges.iter().all(|&number| input.number() == Some(number)));
        assert_eq!((input.text(), input.0.len()), (Some("soup"), 0));
    }

    #[test]
    fn what_has_no_end_is_nothing() {
        assert_eq!(Input(&[0xff; 20]).number(), None);
        assert_eq!(Input(&[5, 1, 2]).bytes(), None);
        assert_eq!(Input(&[0xff, 0xff, 0xff, 0xff, 0x0f, 1]).bytes(), None);
    }
}
