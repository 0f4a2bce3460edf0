//! A parser process that lies: main accepts no answer that does not fit the bytes that it has sent.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use cryptstream_format::x25519::SecretKey;
use cryptstream_format::{
    FileKey, Format, Header, Padding, PayloadCipher, Recipient, build_header,
};

use super::*;

/// A parser whose process gives these answers, after it has put `output` into memory. No
/// other can be started.
fn lying(answers: Vec<Vec<u8>>, output: &[u8]) -> Parser {
    let region = Region::create(INPUT_LEN + OUTPUT_LEN).unwrap();
    region.copy_in(INPUT_LEN, output);
    let (mut channel, theirs) = Channel::pair().unwrap();
    channel.set_timeout(Some(ANSWER_TIMEOUT)).unwrap();
    thread::spawn(move || {
        for answer in answers {
            if !matches!(theirs.receive(), Ok(Some(_))) || theirs.send(&answer, &[]).is_err() {
                break;
            }
        }
    });
    let child = Command::new("sleep").arg("1000").stdin(Stdio::null()).spawn().unwrap();
    let program = PathBuf::from("/nonexistent");
    let options = EngineOptions { program: Some(program.into()), ..EngineOptions::default() };
    let processes = ParserProcesses { options, idle: Mutex::default() };
    processes.put_back(Process { child, channel, region });
    Parser(Some(Arc::new(processes)))
}

/// A header, and its table.
fn header() -> (Vec<u8>, Vec<u8>) {
    let secret = SecretKey::generate().unwrap();
    let public = secret.to_public();
    let recipients: [&dyn Recipient; 1] = [&public];
    let file_key = FileKey::generate().unwrap();
    let bytes = build_header(Format::Native, &file_key, &recipients, Padding::None).unwrap();
    let table = HeaderOffsets::parse(&bytes).unwrap().unwrap().encode();
    (bytes, table)
}

fn with_number(code: u8, number: u64) -> Vec<u8> {
    [&[code][..], &number.to_le_bytes()].concat()
}

#[test]
fn no_answer_is_taken_that_does_not_fit_the_question() {
    let path = Path::new("file");
    let (bytes, table) = header();
    for answer in [
        vec![],
        vec![99],
        vec![2],
        with_number(2, u64::MAX),
        with_number(2, OUTPUT_LEN as u64 + 1),
        with_number(2, 0),
        with_number(6, 0),
        with_number(7, 5),
        vec![5],
        vec![3],
        [&[3][..], &[255; 100]].concat(),
    ] {
        let parser = lying(vec![answer.clone()], &table);
        assert!(parser.begin(path, &bytes, true).is_err(), "{answer:?}");
    }
    let file_key = FileKey::generate().unwrap();
    let cipher = PayloadCipher::generate(Format::Native, &file_key).unwrap().into_chunks();
    let part = Segment::last(Format::Native, 0, 10).unwrap();
    let (sealed, mut plain) = (vec![0; part.sealed_len()], vec![0; part.plaintext_len()]);
    for answer in [vec![0], with_number(6, 7), with_number(6, u64::MAX), with_number(2, 10)] {
        let parser = lying(vec![answer.clone()], &[]);
        assert!(parser.open(path, &cipher, &part, &sealed, &mut plain).is_err(), "{answer:?}");
    }
}

/// Main refuses every table but the one of the bytes.
#[test]
fn a_table_that_is_not_that_of_the_bytes_is_refused() {
    let path = Path::new("file");
    let (bytes, table) = header();
    let begin = |table: &[u8]| {
        let parser = lying(vec![with_number(2, table.len() as u64)], table);
        match parser.begin(path, &bytes, true) {
            Ok(Beginning::Header(offsets)) => {
                let is_within = offsets.len() <= bytes.len();
                is_within.then(|| Header::new(bytes.clone(), &offsets)).flatten()
            }
            _ => None,
        }
    };
    assert!(begin(&table).is_some());
    for at in 0..table.len() {
        for bit in [1, 0x80] {
            let mut wrong = table.clone();
            wrong[at] ^= bit;
            assert!(begin(&wrong).is_none(), "byte {at} of {table:?}");
        }
    }
    for len in 0..table.len() {
        assert!(begin(&table[..len]).is_none(), "{len} bytes");
    }
}
