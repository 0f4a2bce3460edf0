//! The header block of a member, as forty years of programs have written it.

/// The length of a tar block in bytes.
pub(crate) const BLOCK: usize = 512;

/// A header with a valid checksum.
pub(crate) struct Header<'a>(&'a [u8; BLOCK]);

// The fields of a header.
const NAME: Field = (0, 100);
const MODE: Field = (100, 8);
const SIZE: Field = (124, 12);
const MTIME: Field = (136, 12);
const CHECKSUM: Field = (148, 8);
const KIND: usize = 156;
const LINK: Field = (157, 100);
const MAGIC: Field = (257, 6);
const PREFIX: Field = (345, 155);

/// Offset and length.
pub(crate) type Field = (usize, usize);

impl<'a> Header<'a> {
    /// `None` if the checksum is wrong. Old programs sum up signed bytes, which makes a difference
    /// for names that are not ASCII.
    pub(crate) fn new(block: &'a [u8; BLOCK]) -> Option<Self> {
        let header = Self(block);
        let stored = header.number(CHECKSUM)?;
        let (mut unsigned, mut signed) = (0i64, 0i64);
        for (at, byte) in block.iter().enumerate() {
            let is_own = (CHECKSUM.0..CHECKSUM.0 + CHECKSUM.1).contains(&at);
            let byte = if is_own { b' ' } else { *byte };
            unsigned += i64::from(byte);
            signed += i64::from(byte as i8);
        }
        (stored == unsigned || stored == signed).then_some(header)
    }

    /// The type flag of the member.
    pub(crate) fn kind(&self) -> u8 {
        self.0[KIND]
    }

    /// Whether this is a format of star, in which two times follow a shorter prefix.
    pub(crate) fn is_star(&self) -> bool {
        &self.0[508..] == b"tar\0"
    }

    pub(crate) fn path(&self) -> Vec<u8> {
        let name = until_nul(self.field(NAME));
        // Some programs leave the version out.
        if self.field(MAGIC) != b"ustar\0" {
            return name.to_vec();
        }
        let (from, len) = PREFIX;
        let prefix = until_nul(self.field((from, if self.is_star() { 131 } else { len })));
        match prefix {
            [] => name.to_vec(),
            prefix => [prefix, b"/", name].concat(),
        }
    }

    pub(crate) fn link(&self) -> Vec<u8> {
        until_nul(self.field(LINK)).to_vec()
    }

    pub(crate) fn mode(&self) -> Option<u32> {
        // Some programs store the type of the file too.
        self.number(MODE).map(|mode| (mode & 0o7777) as u32)
    }

    pub(crate) fn size(&self) -> Option<u64> {
        self.unsigned(SIZE)
    }

    pub(crate) fn mtime(&self) -> Option<i64> {
        self.number(MTIME)
    }

    /// The number in a field; `None` if it is negative.
    pub(crate) fn unsigned(&self, field: Field) -> Option<u64> {
        self.number(field).and_then(|number| number.try_into().ok())
    }

    pub(crate) fn bytes(&self) -> &[u8; BLOCK] {
        self.0
    }

    fn number(&self, field: Field) -> Option<i64> {
        number(self.field(field))
    }

    fn field(&self, (from, len): Field) -> &[u8] {
        &self.0[from..from + len]
    }
}

/// A number: octal digits between blanks, or binary if the first bit is set. An empty field is
/// zero.
pub(crate) fn number(field: &[u8]) -> Option<i64> {
    match field {
        [first @ (0x80 | 0xff), rest @ ..] => {
            let sign = if *first == 0xff { -1 } else { 0 };
            rest.iter().try_fold(sign, |sum: i64, byte| {
                sum.checked_mul(256)?.checked_add(i64::from(*byte))
            })
        }
        _ => {
            let text = until_nul(field).trim_ascii();
            text.iter().try_fold(0i64, |sum, byte| match byte {
                b'0'..=b'7' => sum.checked_mul(8)?.checked_add(i64::from(byte - b'0')),
                _ => None,
            })
        }
    }
}

fn until_nul(field: &[u8]) -> &[u8] {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    &field[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_every_notation() {
        for (field, value) in [
            (&b"0000644\0"[..], 0o644),
            (b"   644 \0", 0o644),
            (b"644\0junk", 0o644),
            (b"100644 \0", 0o10_0644),
            (b"77777777", 0o7777_7777),
            (b"\0\0\0\0\0\0\0\0", 0),
            (b"        ", 0),
            (b"\x80\0\0\0\0\0\0\0\0\0\x01\0", 256),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe", -2),
            (b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", i64::MAX),
            (b"\xff\xff\xff\xff\x80\0\0\0\0\0\0\0", i64::MIN),
        ] {
            assert_eq!(number(field), Some(value), "{field:?}");
        }
        for field in [
            &b"00000008"[..],
            b"-1\0\0\0\0\0\0",
            b"1 1\0\0\0\0\0",
            b"\x81\0\0\0\0\0\0\0",
            b"\x80\0\0\0\x80\0\0\0\0\0\0\0",
        ] {
            assert_eq!(number(field), None, "{field:?}");
        }
    }

    #[test]
    fn checksums_of_signed_bytes_are_right_too() {
        let mut block = [0; BLOCK];
        block[..4].copy_from_slice("öä".as_bytes());
        let rest = 8 * i64::from(b' ');
        let bytes = || block[..4].iter().copied();
        let unsigned = rest + bytes().map(i64::from).sum::<i64>();
        let signed = rest + bytes().map(|byte| i64::from(byte as i8)).sum::<i64>();
        for (sum, is_right) in
            [(unsigned, true), (signed.max(0), signed >= 0), (unsigned + 1, false)]
        {
            block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            assert_eq!(Header::new(&block).is_some(), is_right, "{sum}");
        }
    }
}
