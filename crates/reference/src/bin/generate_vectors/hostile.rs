//! Headers that must be refused, each with one fault and otherwise right (the
//! MAC included), and headers at the edge that must be accepted.

use cryptstream_reference::{
    Cost, MAX_HEADER_LEN, RefStanza, argon2id_stanza, base64_encode, encode_stanza,
    encrypt_payload, finish_header, pad_stanza, x25519_public_key, x25519_stanza,
};
use serde_json::{Value, json};

use crate::encoding::{bech32, bytes, hex};

const VERSION: &str = "cryptstream/v1\n";
const PASSPHRASE: &str = "hostile";
/// The cheapest that Argon2id allows with 4 lanes.
const CHEAP: Cost = Cost { memory_kib: 32, passes: 1, lanes: 4 };

/// The content of `vectors/hostile.json`.
pub(crate) fn headers() -> Value {
    let mut list = List::new();
    first_lines(&mut list);
    stanza_lines(&mut list);
    bodies(&mut list);
    ends(&mut list);
    x25519_stanzas(&mut list);
    argon2id_stanzas(&mut list);
    combinations(&mut list);
    limits(&mut list);
    edges(&mut list);
    json!({
        "file_key": hex(&list.file_key),
        "identity": bech32("age-secret-key-", &list.secret).to_uppercase(),
        "identity_secret": hex(&list.secret),
        "passphrase": PASSPHRASE,
        "payload": hex(&encrypt_payload(list.file_key, bytes("hostile", "payload salt"), b"")),
        "refused": list.refused,
        "accepted": list.accepted,
    })
}

struct List {
    file_key: [u8; 16],
    secret: [u8; 32],
    /// A good X25519 stanza as text.
    x25519: String,
    /// A good argon2id stanza as text.
    argon2id: String,
    refused: Vec<Value>,
    accepted: Vec<Value>,
}

impl List {
    fn new() -> Self {
        let (file_key, secret) = (bytes("hostile", "file key"), bytes("hostile", "identity"));
        let x25519 =
            x25519_stanza(file_key, x25519_public_key(secret), bytes("hostile", "ephemeral"));
        let (salt, nonce) = (bytes("hostile", "salt"), bytes("hostile", "nonce"));
        let argon2id = argon2id_stanza(file_key, PASSPHRASE.as_bytes(), salt, CHEAP, nonce);
        let (x25519, argon2id) = (text(&x25519), text(&argon2id));
        Self { file_key, secret, x25519, argon2id, refused: vec![], accepted: vec![] }
    }

    /// The lines, then a last line whose MAC is right for them.
    fn finish(&self, lines: &str) -> String {
        let header = finish_header(self.file_key, lines.as_bytes().to_vec());
        String::from_utf8(header).expect("the lines were text")
    }

    /// A header with these lines between its first and last.
    fn refuse(&mut self, reason: &str, name: &str, lines: &str) {
        let header = self.finish(&format!("{VERSION}{lines}"));
        self.refuse_header(reason, name, &header);
    }

    fn refuse_header(&mut self, reason: &str, name: &str, header: &str) {
        self.refused.push(json!({ "name": name, "reason": reason, "header": header }));
    }

    /// A header with `repeat` so often that only the count is stored.
    fn repeated(&self, name: &str, before: &str, repeat: &str, count: usize, after: &str) -> Value {
        let before = format!("{VERSION}{}{before}", self.x25519);
        let header = self.finish(&format!("{before}{}{after}", repeat.repeat(count)));
        let then = &header[before.len() + repeat.len() * count..];
        json!({ "name": name, "header": before, "repeat": repeat, "count": count, "then": then })
    }

    fn accept(&mut self, name: &str, lines: &str) {
        let header = self.finish(&format!("{VERSION}{lines}"));
        self.accepted.push(json!({ "name": name, "header": header }));
    }
}

fn text(stanza: &RefStanza) -> String {
    String::from_utf8(encode_stanza(stanza)).expect("a stanza is ASCII")
}

fn stanza(args: &[&str], body_len: usize) -> String {
    let args = args.iter().map(|arg| (*arg).to_owned()).collect();
    text(&RefStanza { args, body: vec![7; body_len] })
}

fn first_lines(list: &mut List) {
    let x25519 = list.x25519.clone();
    for (name, line) in [
        ("age's version line", "age-encryption.org/v1\n"),
        ("a later version", "cryptstream/v2\n"),
        ("a longer version", "cryptstream/v10\n"),
        ("a version line in other letters", "CryptStream/v1\n"),
        ("a space after the version", "cryptstream/v1 \n"),
        ("CR LF after the version", "cryptstream/v1\r\n"),
        ("a byte order mark", "\u{feff}cryptstream/v1\n"),
        ("an empty line first", "\ncryptstream/v1\n"),
    ] {
        let header = list.finish(&format!("{line}{x25519}"));
        list.refuse_header("version", name, &header);
    }
    let header = list.finish(&format!("{VERSION}{x25519}")).replace('\n', "\r\n");
    list.refuse_header("version", "CR LF throughout", &header);
}

fn stanza_lines(list: &mut List) {
    let x25519 = list.x25519.clone();
    for (name, lines) in [
        ("an empty line between stanzas", "\n"),
        ("a stanza mark without its space", "->x\n\n"),
        ("a stanza mark alone", "->\n\n"),
        ("a space before the stanza mark", " -> x\n\n"),
        ("another arrow", "=> x\n\n"),
        ("two dashes", "--\n"),
    ] {
        list.refuse("line", name, &format!("{x25519}{lines}"));
    }
    for (name, line) in [
        ("no argument", "-> "),
        ("an empty argument at the start", "->  x"),
        ("an empty argument in the middle", "-> x  y"),
        ("an empty argument at the end", "-> x y "),
        ("a tab in an argument", "-> x\ty"),
        ("CR LF after the arguments", "-> x\r"),
        ("CR in an argument", "-> x\ry"),
        ("NUL in an argument", "-> x\0"),
        ("DEL in an argument", "-> x\u{7f}"),
        ("an argument outside ASCII", "-> \u{e9}"),
    ] {
        list.refuse("arguments", name, &format!("{x25519}{line}\n\n"));
    }
    list.refuse("no_stanza", "no stanza", "");
}

fn bodies(list: &mut List) {
    let x25519 = list.x25519.clone();
    let full = base64_encode(&[7; 48]);
    for (name, body) in [
        ("non-canonical base64, 2 spare bits", "AAB\n"),
        ("non-canonical base64, 4 spare bits", "AB\n"),
        ("base64 of an impossible length", "A\n"),
        ("padded base64", "AAA=\n"),
        ("padded base64, two signs", "AA==\n"),
        ("base64 in the alphabet for URLs", "AA-_\n"),
        ("a space in a body", "AAAA AAAA\n"),
        ("a space after a body", "AAAA \n"),
        ("CR LF after a body", "AAAA\r\n"),
        ("CR LF for an empty last line", "\r\n"),
        ("a missing empty body", ""),
        ("a missing empty last line", &format!("{full}\n")),
        ("65 columns", &format!("{full}A\n\n")),
        ("68 columns", &format!("{full}AAAA\n")),
        ("two full lines in one", &format!("{full}{full}\n\n")),
        ("a padded full line", &format!("{}B=\n\n", &full[..62])),
    ] {
        list.refuse("base64", name, &format!("{x25519}-> x\n{body}"));
    }
    for (name, body) in [
        ("a line after the short one", "AAAA\nAAAA\n".to_owned()),
        ("two empty last lines", format!("{full}\n\n\n")),
        ("63 columns and a second line", format!("{}\n{full}\n\n", &full[..60])),
    ] {
        list.refuse("line", name, &format!("{x25519}-> x\n{body}"));
    }
}

fn ends(list: &mut List) {
    let lines = format!("{VERSION}{}", list.x25519);
    let good = list.finish(&lines);
    let (body, mac) = good.trim_end().rsplit_once(' ').expect("the last line has a space");
    let last = mac.chars().next_back().expect("the MAC has 43 characters");
    // The last character carries 4 bits: the next one has a spare bit set.
    let spare = char::from(last as u8 + 1);
    for (name, end) in [
        ("a MAC of 42 characters", format!(" {}\n", &mac[..42])),
        ("a MAC of 31 bytes", format!(" {}\n", base64_encode(&[1; 31]))),
        ("a MAC of 33 bytes", format!(" {}\n", base64_encode(&[1; 33]))),
        ("a non-canonical MAC", format!(" {}{spare}\n", &mac[..42])),
        ("a padded MAC", format!(" {mac}=\n")),
        ("no space before the MAC", format!("{mac}\n")),
        ("two spaces before the MAC", format!("  {mac}\n")),
        ("a space after the MAC", format!(" {mac} \n")),
        ("CR LF after the MAC", format!(" {mac}\r\n")),
        ("no MAC", "\n".to_owned()),
        ("an empty MAC", " \n".to_owned()),
        ("a fourth dash", format!("- {mac}\n")),
    ] {
        list.refuse_header("base64", name, &format!("{body}{end}"));
    }
    for (name, header) in [
        ("nothing at all", String::new()),
        ("the version line alone", VERSION.to_owned()),
        ("no last line", lines.clone()),
        ("no line feed after the MAC", good.trim_end().to_owned()),
        ("cut off within a body", lines[..lines.len() - 9].to_owned()),
        ("cut off after the arguments", format!("{lines}-> x\n")),
    ] {
        list.refuse_header("incomplete", name, &header);
    }
    list.refuse_header("mac", "a MAC of zeros", &format!("{body} {}\n", base64_encode(&[0; 32])));
    let other = finish_header(bytes("hostile", "another file key"), lines.into_bytes());
    list.refuse_header("mac", "another file key's MAC", &String::from_utf8_lossy(&other));
    let added = good.replacen(VERSION, &format!("{VERSION}-> x\n\n"), 1);
    list.refuse_header("mac", "a stanza put in front", &added);
}

fn x25519_stanzas(list: &mut List) {
    let share = base64_encode(&x25519_public_key(bytes("hostile", "share")));
    let zero = base64_encode(&[0; 32]);
    let non_canonical = format!("{}B", &zero[..42]);
    for (name, args, body_len) in [
        ("X25519 without a share", vec!["X25519"], 32),
        ("X25519 with two shares", vec!["X25519", &share, &share], 32),
        ("X25519 with a share of 31 bytes", vec!["X25519", &base64_encode(&[9; 31])], 32),
        ("X25519 with a share of 33 bytes", vec!["X25519", &base64_encode(&[9; 33])], 32),
        ("X25519 with a non-canonical share", vec!["X25519", &non_canonical], 32),
        ("X25519 with a padded share", vec!["X25519", &format!("{share}=")], 32),
        ("X25519 with an empty body", vec!["X25519", &share], 0),
        ("X25519 with a body of 31 bytes", vec!["X25519", &share], 31),
        ("X25519 with a body of 33 bytes", vec!["X25519", &share], 33),
        ("X25519 with a body of 48 bytes", vec!["X25519", &share], 48),
    ] {
        // Behind a good stanza: what is known is checked even where unneeded.
        let lines = format!("{}{}", list.x25519, stanza(&args, body_len));
        list.refuse("malformed", name, &lines);
    }
    let one = base64_encode(&std::array::from_fn::<u8, 32, _>(|i| u8::from(i == 0)));
    for (name, share) in [("a share of zero", zero), ("a share of one", one)] {
        let lines = format!("{}{}", stanza(&["X25519", &share], 32), list.x25519);
        list.refuse("low_order", name, &lines);
    }
}

fn argon2id_stanzas(list: &mut List) {
    let salt = base64_encode(&[3; 16]);
    let argon2id = |m: &str, t: &str, p: &str| stanza(&["argon2id", &salt, m, t, p, &salt], 32);
    for (name, m, t, p) in [
        ("a leading zero in the memory", "065536", "3", "4"),
        ("a leading zero in the passes", "65536", "03", "4"),
        ("a leading zero in the lanes", "65536", "3", "04"),
        ("no memory", "0", "3", "4"),
        ("no passes", "65536", "0", "4"),
        ("no lanes", "65536", "3", "0"),
        ("a plus sign", "+65536", "3", "4"),
        ("a minus sign", "-65536", "3", "4"),
        ("a hexadecimal number", "0x10000", "3", "4"),
        ("a letter", "64K", "3", "4"),
        ("a number of 33 bits", "4294967296", "3", "4"),
        ("a number of 65 bits", "18446744073709551617", "3", "4"),
        ("less than 8 KiB a lane", "31", "3", "4"),
        ("more than 2^24 - 1 lanes", "4294967295", "1", "16777216"),
    ] {
        list.refuse("malformed", &format!("argon2id: {name}"), &argon2id(m, t, p));
    }
    let short = base64_encode(&[3; 15]);
    let long = base64_encode(&[3; 17]);
    let non_canonical = format!("{}B", &salt[..21]);
    for (name, args) in [
        ("a salt of 15 bytes", [&short, "65536", "3", "4", &salt].as_slice()),
        ("a salt of 17 bytes", &[&long, "65536", "3", "4", &salt]),
        ("a non-canonical salt", &[&non_canonical, "65536", "3", "4", &salt]),
        ("a nonce of 15 bytes", &[&salt, "65536", "3", "4", &short]),
        ("a nonce of 17 bytes", &[&salt, "65536", "3", "4", &long]),
        ("a non-canonical nonce", &[&salt, "65536", "3", "4", &non_canonical]),
        ("no nonce", &[&salt, "65536", "3", "4"]),
        ("an argument too many", &[&salt, "65536", "3", "4", &salt, "x"]),
        ("no argument", &[]),
    ] {
        let lines = stanza(&[&["argon2id"], args].concat(), 32);
        list.refuse("malformed", &format!("argon2id: {name}"), &lines);
    }
    for body_len in [0, 31, 33, 48] {
        let lines = stanza(&["argon2id", &salt, "65536", "3", "4", &salt], body_len);
        list.refuse("malformed", &format!("argon2id: a body of {body_len} bytes"), &lines);
    }
    for (name, m, t, p) in [
        ("more than 2 GiB", "2097153", "1", "4"),
        ("all the memory of 32 bits", "4294967295", "1", "4"),
        ("more than 16 passes", "65536", "17", "4"),
        ("all the passes of 32 bits", "65536", "4294967295", "4"),
        ("more than 16 lanes", "65536", "3", "17"),
        ("more than 8 GiB in all passes", "2097152", "5", "4"),
    ] {
        list.refuse("too_expensive", &format!("argon2id: {name}"), &argon2id(m, t, p));
    }
}

fn combinations(list: &mut List) {
    let (x25519, argon2id) = (list.x25519.clone(), list.argon2id.clone());
    for (name, lines) in [
        ("two argon2id stanzas", format!("{argon2id}{argon2id}")),
        ("argon2id before X25519", format!("{argon2id}{x25519}")),
        ("argon2id after X25519", format!("{x25519}{argon2id}")),
        ("argon2id beside an unknown stanza", format!("{argon2id}-> x\n\n")),
        ("argon2id, pad and X25519", format!("{argon2id}-> pad\n\n{x25519}")),
    ] {
        list.refuse("not_alone", name, &lines);
    }
    list.refuse("repeated_pad", "two pads", &format!("{x25519}-> pad\n\n-> pad\n\n"));
    list.refuse(
        "malformed",
        "a pad argument of 5 characters",
        &format!("{x25519}-> pad -----\n\n"),
    );
    list.refuse("malformed", "two pad arguments", &format!("{x25519}-> pad - -\n\n"));
}

fn limits(list: &mut List) {
    let line = format!("{}\n", "A".repeat(64));
    // What a header with a stanza of one long argument has besides it.
    let rest = list.finish(&format!("{VERSION}{}-> \n\n", list.x25519)).len();
    let room = MAX_HEADER_LEN - rest;
    for (reason, mut case) in [
        ("too_many_stanzas", list.repeated("1,025 stanzas", "", "-> x\n\n", 1024, "")),
        ("too_many_stanzas", list.repeated("2,000 stanzas", "", "-> x\n\n", 2000, "")),
        ("too_long", list.repeated("a body beyond 1 MiB", "-> x\n", &line, 17_000, "\n")),
        ("too_long", list.repeated("1 MiB and a byte", "-> ", "x", room + 1, "\n\n")),
    ] {
        case["reason"] = json!(reason);
        list.refused.push(case);
    }
    list.accepted.push(list.repeated("1 MiB", "-> ", "x", room, "\n\n"));
    list.accepted.push(list.repeated("1,024 stanzas", "", "-> x\n\n", 1023, ""));
}

fn edges(list: &mut List) {
    let (x25519, argon2id) = (list.x25519.clone(), list.argon2id.clone());
    let printable: String = (0x21..=0x7e).map(char::from).collect();
    for (name, lines) in [
        ("X25519 alone", x25519.clone()),
        ("argon2id alone", argon2id.clone()),
        ("argon2id and pad", format!("{argon2id}{}", text(&pad_stanza(None, 100)))),
        ("a pad with 4 characters", format!("{}{x25519}", text(&pad_stanza(Some("----"), 48)))),
        ("unknown stanzas on both sides", format!("-> a\n\n{x25519}-> b c\nAAAA\n")),
        ("all characters of an argument", format!("{x25519}-> {printable} {printable}\n\n")),
        ("a stanza type that looks like the end", format!("{x25519}-> --- -> x25519\n\n")),
        ("a body of one full line", format!("{x25519}{}", stanza(&["x"], 48))),
        ("a body of 47 bytes", format!("{x25519}{}", stanza(&["x"], 47))),
        ("another's X25519 stanza first", format!("{}{x25519}", another_x25519(list))),
    ] {
        list.accept(name, &lines);
    }
}

fn another_x25519(list: &List) -> String {
    let another = x25519_public_key(bytes("hostile", "another identity"));
    text(&x25519_stanza(list.file_key, another, bytes("hostile", "another ephemeral")))
}
