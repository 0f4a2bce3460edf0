//! Any bytes as a header: no panic, no disagreement with the reference, and a
//! header that is there in full does not depend on what follows it.
#![no_main]

use cryptstream_format::{Format, Header};
use cryptstream_reference::{RefStanza, parse_header};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let expected = parse_header(input);
    match Header::parse(input) {
        // The reference knows the native format only.
        Ok(Some(header)) if header.format() != Format::Native => {}
        Ok(Some(header)) => {
            let expected = expected.expect("the product accepts, the reference refuses");
            assert_eq!(header.len(), expected.len);
            let stanzas = header.stanzas().iter().map(|stanza| RefStanza {
                args: stanza.args().map(str::to_owned).collect(),
                body: stanza.body(),
            });
            assert!(stanzas.eq(expected.stanzas), "the stanzas differ");

            let text = &input[..header.len()];
            assert_eq!(Header::parse(text), Ok(Some(header.clone())));
            // All cuts of a short header, 64 of a long one.
            for len in (0..text.len()).step_by(text.len().div_ceil(64)) {
                assert_eq!(Header::parse(&text[..len]), Ok(None), "cut to {len} bytes");
            }
        }
        Ok(None) => {
            assert!(expected.is_err(), "the reference accepts, the product asks for more");
        }
        Err(error) => {
            assert!(expected.is_err(), "the reference accepts, the product refuses");
            // More bytes cannot mend it.
            let more = [input, b"\n--- \n"].concat();
            assert_eq!(Header::parse(&more), Err(error));
        }
    }
});
