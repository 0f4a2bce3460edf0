//! PAX records: `LENGTH KEY=VALUE\n`. The length counts the whole record, so a value may be any
//! bytes.

/// Calls `take` with the key and value of each record. `None` if a record is malformed.
pub(crate) fn parse<'a>(
    mut bytes: &'a [u8],
    mut take: impl FnMut(&'a [u8], &'a [u8]),
) -> Option<()> {
    while !bytes.is_empty() {
        // Some programs fill the block with zeros.
        if bytes.iter().all(|byte| *byte == 0) {
            break;
        }
        let space = bytes.iter().take(20).position(|byte| *byte == b' ')?;
        let digits = std::str::from_utf8(&bytes[..space]).ok()?;
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let record = bytes.get(space + 1..digits.parse().ok()?)?;
        let (newline, record) = record.split_last()?;
        let equals = record.iter().position(|byte| *byte == b'=')?;
        if *newline != b'\n' || equals == 0 {
            return None;
        }
        take(&record[..equals], &record[equals + 1..]);
        bytes = &bytes[space + 1 + record.len() + 1..];
    }
    Some(())
}

/// Appends a record.
pub(crate) fn push(to: &mut Vec<u8>, key: &str, value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    // The length counts its own digits.
    let mut len = rest + 1;
    while rest + len.to_string().len() != len {
        len = rest + len.to_string().len();
    }
    to.extend_from_slice(format!("{len} {key}=").as_bytes());
    to.extend_from_slice(value);
    to.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back() {
        let mut bytes = Vec::new();
        let values: Vec<Vec<u8>> = (0..1200).map(|len| vec![b"x\n=\xff"[len % 4]; len]).collect();
        for value in &values {
            push(&mut bytes, "path", value);
        }
        let mut records = Vec::new();
        parse(&bytes, |key, value| records.push((key, value))).unwrap();
        assert_eq!(records.len(), values.len());
        assert!(records.iter().zip(&values).all(|((_, read), value)| read == value));
    }

    #[test]
    fn malformed_ones_are_refused() {
        for good in [&b""[..], b"6 a=b\n", b"5 a=\n", b"6 a=b\n\0\0\0"] {
            assert!(parse(good, |_, _| {}).is_some(), "{good:?}");
        }
        for bad in [
            &b"6 a=b"[..],
            b"7 a=b\n",
            b"5 a=b\n",
            b"6 aab\n",
            b"5 =b\n",
            b" a=b\n",
            b"-6 a=b\n",
            b"0 a=b\n",
            b"1 a=b\n",
            b"3 \n",
            b"99999999999999999999 a=b\n",
            b"6 a=b\nx",
        ] {
            assert_eq!(parse(bad, |_, _| {}), None, "{bad:?}");
        }
    }
}
