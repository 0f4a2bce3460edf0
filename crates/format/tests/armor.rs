//! Armor: what is written can be read in pieces of any length, and only what age accepts is
//! accepted.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use cryptstream_format::armor::{
    BEGIN, Decoder, END, Encoder, MAX_WHITESPACE, armored_len, content_len, is_armored,
};
use cryptstream_format::{ArmorError, ArmorErrorKind};
use cryptstream_reference::age_vectors;
use proptest::prelude::*;

fn encode(bytes: &[u8]) -> Vec<u8> {
    encode_portions(&[bytes])
}

fn encode_portions(portions: &[&[u8]]) -> Vec<u8> {
    let (mut encoder, mut text) = (Encoder::new(), Vec::new());
    for portion in portions {
        let before = text.len();
        encoder.encode(portion, &mut text);
        assert!(text.len() - before <= Encoder::max_text_len(portion.len()));
    }
    let before = text.len();
    encoder.finish(&mut text);
    assert!(text.len() - before <= Encoder::max_text_len(0));
    text
}

/// Decodes the text in pieces of `portion` bytes, and checks that the decoder never returns more
/// than it may.
fn decode(text: &[u8], portion: usize) -> Result<Vec<u8>, ArmorError> {
    let (mut decoder, mut bytes) = (Decoder::new(), Vec::new());
    for part in text.chunks(portion) {
        let before = bytes.len();
        decoder.decode(part, &mut bytes)?;
        assert!(bytes.len() - before <= part.len() / 4 * 3 + 48);
    }
    decoder.finish().map(|()| bytes)
}

/// Decodes it in pieces of several lengths, which must make no difference.
#[track_caller]
fn decode_any(text: &[u8]) -> Result<Vec<u8>, ArmorError> {
    let whole = decode(text, text.len().max(1));
    for portion in [1, 7, 64, 65, 66, 1000] {
        assert_eq!(decode(text, portion), whole, "in portions of {portion}");
    }
    whole
}

fn content_len_of(text: &[u8]) -> Option<u64> {
    let edge = text.len().min(1024);
    content_len(text.len() as u64, &text[..edge], &text[text.len() - edge..])
}

fn with_crlf(text: &[u8]) -> Vec<u8> {
    String::from_utf8(text.to_vec()).unwrap().replace('\n', "\r\n").into_bytes()
}

#[test]
fn a_text_looks_as_it_should() {
    let text = |body: &str| {
        format!("-----BEGIN AGE ENCRYPTED FILE-----\n{body}-----END AGE ENCRYPTED FILE-----\n")
    };
    assert_eq!(encode(b""), text("").as_bytes());
    assert_eq!(encode(b"f"), text("Zg==\n").as_bytes());
    assert_eq!(encode(b"foobar"), text("Zm9vYmFy\n").as_bytes());
    let full = "QUFB".repeat(16);
    assert_eq!(encode(&[b'A'; 48]), text(&format!("{full}\n")).as_bytes());
    assert_eq!(encode(&[b'A'; 49]), text(&format!("{full}\nQQ==\n")).as_bytes());
}

#[test]
fn every_length_comes_back() {
    for len in (0..400).chain([48 * 64 - 1, 48 * 64, 48 * 64 + 1, 65_535, 65_536, 100_000]) {
        let bytes = common::paint(len);
        let text = encode(&bytes);
        assert_eq!(text.len() as u64, armored_len(len as u64));
        for text in [with_crlf(&text), text[..text.len() - 1].to_vec(), text] {
            assert!(is_armored(&text));
            assert_eq!(decode_any(&text).unwrap(), bytes);
            assert_eq!(content_len_of(&text), Some(len as u64), "{len}");
        }
    }
}

/// A text of three full lines and a short one. Line 0 is the first line.
fn lines() -> Vec<String> {
    let text = String::from_utf8(encode(&common::paint(3 * 48 + 10))).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[track_caller]
fn refused(lines: &[String], kind: ArmorErrorKind, offset: usize) {
    let text = lines.join("\n") + "\n";
    let error = ArmorError { offset: offset as u64, kind };
    assert_eq!(decode_any(text.as_bytes()), Err(error), "{text}");
}

#[test]
fn what_is_wrong_is_told_by_kind_and_byte() {
    use ArmorErrorKind::*;
    let changed = |line: usize, to: &dyn Fn(&str) -> String| {
        let mut lines = lines();
        lines[line] = to(&lines[line]);
        lines
    };
    // The offsets of the lines.
    let at = |line: usize| 35 + 65 * (line - 1);
    let with = |line: &str, column: usize, byte: &str| {
        format!("{}{byte}{}", &line[..column], &line[column + 1..])
    };

    refused(&changed(0, &|line| format!("{line} ")), Begin, 0);
    refused(&changed(0, &|line| format!(" {line}")), Begin, 1);
    refused(&changed(0, &|line| line.to_lowercase()), Begin, 0);
    refused(&changed(0, &|line| line.repeat(3)), Begin, 0);
    refused(&changed(0, &|_| "text".into()), Begin, 0);
    refused(&changed(0, &|line| format!("text\n{line}")), Begin, 0);

    refused(&changed(1, &|line| format!("Comment: x\n\n{line}")), Character, at(1) + 7);
    refused(&changed(1, &|line| format!("\n{line}")), EmptyLine, at(1));
    refused(&changed(2, &|line| format!("\n{line}")), EmptyLine, at(2));
    refused(&changed(5, &|line| format!("\n{line}")), EmptyLine, at(4) + 17);
    refused(&changed(2, &|line| line[..60].into()), ShortLine, at(2) + 60);
    refused(&changed(2, &|line| line[..61].into()), Padding, at(2) + 61);
    refused(&changed(2, &|line| format!("{}QUI=", &line[..60])), ShortLine, at(2) + 64);
    refused(&changed(2, &|line| format!("{}QUJ=", &line[..60])), NotCanonical, at(2) + 62);
    refused(&changed(2, &|line| format!("{line}AAAA")), LongLine, at(2));
    refused(&changed(2, &|line| format!("{line}{line}")), LongLine, at(2));
    refused(&changed(2, &|line| format!("{line}\r\r")), LongLine, at(2));
    refused(&changed(2, &|line| format!("{line} ")), LongLine, at(2));
    for byte in ["-", "_", " ", "\0", "*", "\r"] {
        refused(&changed(3, &|line| with(line, 17, byte)), Character, at(3) + 17);
    }
    refused(&changed(3, &|line| with(line, 17, "=")), Padding, at(3) + 17);
    refused(&changed(4, &|line| line.replace('=', "")), Padding, at(4) + 14);
    refused(&changed(4, &|line| line.replace("==", "=")), Padding, at(4) + 14);
    refused(&changed(4, &|line| format!("{line}=")), Padding, at(4) + 14);
    refused(&changed(4, &|line| format!("{line} ")), Character, at(4) + 16);
    refused(&changed(4, &|line| with(line, 13, "x")), NotCanonical, at(4) + 13);
    refused(&changed(4, &|line| format!("{line}\nAAAA")), ShortLine, at(4) + 16);

    let end = at(4) + 17;
    refused(&changed(5, &|_| "-----END AGE ENCRYPTED FILE----".into()), End, end);
    refused(&changed(5, &|line| format!("{line} ")), End, end);
    refused(&changed(5, &|line| format!("{line}\ntext")), Trailing, end + 33);
    refused(&changed(5, &|_| lines().join("\n")), End, end);
    refused(&changed(5, &|line| format!("{line}\n\n{}", lines().join("\n"))), Trailing, end + 34);
    refused(&lines()[..5], Cut, end);
    refused(&lines()[..1], Cut, at(1));
    refused(&[], Begin, 1);
}

#[test]
fn white_space_stands_outside_in_bounds() {
    let text = encode(b"content");
    let space = |len: usize| {
        let mut space: Vec<u8> = b" \t\r\x0b\x0c\n".iter().copied().cycle().take(len).collect();
        space.push(b'\n');
        space
    };
    for len in [0, 1, 5, 500, MAX_WHITESPACE - 1] {
        for text in [[&space(len), &text[..]].concat(), [&text[..], &space(len)].concat()] {
            assert!(is_armored(&text));
            assert_eq!(decode_any(&text).unwrap(), b"content");
            let is_in_reach = len < 900;
            assert_eq!(content_len_of(&text), is_in_reach.then_some(7), "{len}");
        }
    }
    let kind = |text: &[u8]| decode_any(text).unwrap_err().kind;
    let much = space(MAX_WHITESPACE);
    assert_eq!(kind(&[&much, &text[..]].concat()), ArmorErrorKind::Whitespace);
    assert_eq!(kind(&[&text[..], &much].concat()), ArmorErrorKind::Whitespace);
}

#[test]
fn a_byte_order_mark_may_come_first() {
    let (mark, text) = (b"\xef\xbb\xbf", encode(b"content"));
    for blank in [&b""[..], b"\n \r\n"] {
        let text = [mark, blank, &text].concat();
        assert!(is_armored(&text));
        assert_eq!(decode_any(&text).unwrap(), b"content");
        assert_eq!(content_len_of(&text), Some(7));
    }
    for before in [&mark[..1], &mark[..2], b"\n\xef\xbb\xbf", b"\xef\xbb\xbf\xef\xbb\xbf"] {
        assert!(decode_any(&[before, &text].concat()).is_err(), "{before:?}");
    }
}

#[test]
fn only_armors_are_taken_for_such() {
    for head in [&b""[..], b"\n\n", b"age-encryption.org/v1\n", b"-----BEGIN PGP MESSAGE-----\n"] {
        assert!(!is_armored(head));
        assert_eq!(content_len_of(head), None);
    }
    assert!(!is_armored(b"x-----BEGIN AGE ENCRYPTED FILE-----"));
    assert!(is_armored(b"-----BEGIN AGE ENCRYPTED FILE----\n"), "a damaged one");
    assert_eq!(content_len_of(&[BEGIN, b"\nZg=\n", END].concat()), None);
    assert_eq!(content_len_of(&[BEGIN, b"\nZg==", END].concat()), None);
    assert_eq!(content_len_of(&[BEGIN, b"\nZg==\n"].concat()), None);
    assert_eq!(content_len_of(BEGIN), None);
}

/// The test vectors of age (CCTV), which come with the crate `age`.
#[test]
fn vectors_of_age_are_judged_as_age_judges_them() {
    let mut count = [0, 0];
    for entry in std::fs::read_dir(age_vectors()).unwrap() {
        let path = entry.unwrap().path();
        if !path.file_name().unwrap().to_string_lossy().starts_with("armor") {
            continue;
        }
        let vector = std::fs::read(&path).unwrap();
        let blank = vector.windows(2).position(|bytes| bytes == b"\n\n").unwrap();
        let fields = std::str::from_utf8(&vector[..blank]).unwrap();
        let text = &vector[blank + 2..];
        if fields.contains("compressed: zlib") {
            continue;
        }
        let is_right = !fields.contains("expect: armor failure");
        count[usize::from(is_right)] += 1;
        let decoded = decode_any(text);
        assert_eq!(decoded.is_ok(), is_right, "{}: {decoded:?}", path.display());
        if let Ok(bytes) = decoded {
            assert!(is_armored(text));
            assert_eq!(content_len_of(text), Some(bytes.len() as u64), "{}", path.display());
        }
    }
    assert_eq!(count, [22, 8]);
}

proptest! {
    #[test]
    fn portions_make_no_difference(
        bytes in prop::collection::vec(any::<u8>(), 0..20_000),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
        is_crlf in any::<bool>(),
    ) {
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.sort_unstable();
        cuts.push(bytes.len());
        let mut from = 0;
        let portions: Vec<_> = cuts.iter().map(|to| {
            let portion = &bytes[from..*to];
            from = *to;
            portion
        }).collect();
        let text = encode_portions(&portions);
        prop_assert_eq!(&text, &encode(&bytes));
        let text = if is_crlf { with_crlf(&text) } else { text };
        prop_assert_eq!(content_len_of(&text), Some(bytes.len() as u64));
        let mut decoder = Decoder::new();
        let (mut decoded, mut from) = (Vec::new(), 0);
        for to in cuts {
            decoder.decode(&text[from..to], &mut decoded).unwrap();
            from = to;
        }
        decoder.decode(&text[from..], &mut decoded).unwrap();
        decoder.finish().unwrap();
        prop_assert_eq!(decoded, bytes);
    }

    /// A changed text is refused, or it encodes the same bytes (with other line ends or outer white
    /// space), or it is the encoding of other bytes.
    #[test]
    fn a_text_stands_for_one_content(
        len in 0usize..5000,
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0u8..4, any::<u8>()), 1..4),
    ) {
        let mut text = encode(&common::paint(len));
        for (at, how, byte) in changes {
            let at = at.index(text.len());
            match how {
                0 => text[at] = byte,
                1 => text.insert(at, byte),
                2 => text.insert(at, b'\n'),
                _ => drop(text.remove(at)),
            }
            if text.is_empty() {
                return Ok(());
            }
        }
        if let Ok(bytes) = decode_any(&text) {
            let plain = String::from_utf8(text).unwrap().replace("\r\n", "\n");
            let text = String::from_utf8(encode(&bytes)).unwrap();
            let is_space = |c: char| c.is_ascii_whitespace() || c == '\x0b';
            prop_assert_eq!(plain.trim_matches(is_space), text.trim_matches(is_space));
        }
    }
}
