//! Large age files, for which OpenSSL is loaded where it is there and faster.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::fs::File;
use std::os::unix::fs::FileExt;

use common::{Fixture, watched};
use cryptstream_engine::{Encrypt, OutputFormat, Source};
use cryptstream_format::Format;

/// From 128 MiB on.
const LEN: u64 = (128 << 20) + 12_345;

#[test]
fn large_age_files_pass_through_workers_and_main() {
    watched(|| {
        let fixture = Fixture::new();
        let file = File::create(fixture.path("plain")).unwrap();
        file.set_len(LEN).unwrap();
        for place in (0..LEN).step_by(3 << 20) {
            file.write_all_at(&place.to_ne_bytes(), place).unwrap();
        }
        let mut engine = fixture.engine(2, "intact");
        let mut source = Source::open(&fixture.path("plain")).unwrap();
        let recipients = fixture.recipients();
        let request = Encrypt::source(&mut source).target(fixture.target("encrypted"));
        let request = request.recipients(&recipients);
        engine.encrypt(request.format(OutputFormat::Binary(Format::Age))).unwrap();
        let mut engine = fixture.engine(0, "intact");
        fixture.decrypt(&mut engine, "encrypted", "decrypted").unwrap();
        assert!(fixture.read("decrypted") == fixture.read("plain"));
    });
}
