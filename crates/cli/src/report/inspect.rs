//! The report of `inspect`.

use std::collections::HashMap;

use cryptstream_engine::{Extent, Inspection};
use cryptstream_format::{Format, Header, KeyDerivation, Stanza};
use indicatif::{HumanBytes, HumanCount};
use serde_json::{Value, json};

use super::{ReportWriter, Status, format_name, input_label, name_file_event, wants_json};
use crate::args::ReportOptions;
use crate::messages::Failure;
use crate::request::Input;

/// The most kinds of recipients to show to people, and the most characters of each, since they are
/// text from the file.
const MAX_SHOWN: usize = 8;
const MAX_SHOWN_LEN: usize = 32;

/// The report of inspected files, in their order.
pub(crate) struct InspectReport {
    options: ReportOptions,
    writer: ReportWriter,
    status: Status,
    files: u64,
    failed: u64,
}

impl InspectReport {
    pub(crate) fn new(options: ReportOptions) -> Self {
        let (writer, status) = Default::default();
        Self { options, writer, status, files: 0, failed: 0 }
    }

    /// Reports one file. One whose length is impossible has an inspection and a failure.
    pub(crate) fn record(
        &mut self,
        input: &Input,
        inspection: Option<&Inspection>,
        failure: Option<Failure>,
    ) {
        if self.options.json {
            let mut object = inspection.map_or_else(|| json!({}), object);
            name_file_event(&mut object, "inspect", input);
            if let Some(failure) = &failure {
                object["error"] = failure.json();
            }
            self.writer.print_object(&object, &mut self.status);
        } else if let (Some(inspection), false) = (inspection, self.options.quiet) {
            let gap = if self.files == 0 { "" } else { "\n" };
            let text = text(&input_label(input), inspection);
            self.writer.print(&format!("{gap}{text}"), &mut self.status);
        }
        self.files += 1;
        if let Some(failure) = failure {
            self.failed += 1;
            self.status.fail(&failure, self.options.json);
        }
    }

    /// Whether nobody reads the report any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.writer.is_closed()
    }

    /// Reports the totals.
    pub(crate) fn end(mut self) -> Status {
        if wants_json(self.options) {
            let totals = json!({ "files": self.files, "failed": self.failed });
            self.writer.end(totals, self.options, &mut self.status);
        }
        self.status
    }
}

/// For people, in aligned lines.
fn text(name: &str, inspection: &Inspection) -> String {
    let header = &inspection.header;
    let Extent { is_armored, encrypted_len, file_len, .. } = inspection.extent;
    let mut text = format!("{name}\n");
    let mut line = |label, value: &str| text.push_str(&format!("  {label:<16}{value}\n"));
    line("format", &format!("{} ({})", format_name(header.format()), version(header)));
    line("armor", if is_armored { "yes" } else { "no" });
    line("recipients", &recipients_text(header));
    if let Some(derivation) = derivation(header) {
        line("key derivation", &derivation_text(derivation));
    }
    line(
        "post-quantum",
        match strength(header) {
            Some(Strength::Passphrase) => "yes (a passphrase, no public key)",
            Some(Strength::PostQuantum) => "yes",
            Some(Strength::Classical) => "no",
            None => "unknown for some recipients",
        },
    );
    line("header", &header_text(header));
    let (Some(encrypted_len), Some(payload_len)) = (encrypted_len, inspection.payload_len()) else {
        line("size", "unknown: only the header is read from a stream");
        return text;
    };
    if is_armored && let Some(len) = file_len {
        line("armored size", &bytes(len));
    }
    line("size", &bytes(encrypted_len));
    line("payload", &bytes(payload_len));
    match inspection.layout() {
        Some(Ok(layout)) => {
            let plaintext = layout.plaintext_len();
            line("overhead", &bytes(encrypted_len.saturating_sub(plaintext)));
            line("chunks", &HumanCount(layout.chunks()).to_string());
            line(
                "plaintext",
                &format!("{}, from the file size (not authenticated)", bytes(plaintext)),
            );
        }
        _ => line("plaintext", "unknown: no encrypted file has this size"),
    }
    text
}

/// For programs.
fn object(inspection: &Inspection) -> Value {
    let header = &inspection.header;
    let Extent { is_armored, encrypted_len, file_len, .. } = inspection.extent;
    let layout = inspection.layout();
    let possible = layout.and_then(Result::ok);
    let plaintext_len = possible.map(|layout| layout.plaintext_len());
    let overhead = |(encrypted, plaintext): (u64, u64)| encrypted.saturating_sub(plaintext);
    let recipients: Vec<_> = recipients(header)
        .into_iter()
        .map(|(tag, count)| json!({ "type": tag, "count": count }))
        .collect();
    json!({
        "format": format_name(header.format()),
        "version": version(header),
        "armored": is_armored,
        "recipients": recipients,
        "key_derivation": derivation(header).map(derivation_object),
        "post_quantum": strength(header).map(|strength| strength != Strength::Classical),
        "header_bytes": header.len(),
        "padding_bytes": header.padding_len(),
        "file_bytes": file_len,
        "sealed_bytes": encrypted_len,
        "payload_bytes": inspection.payload_len(),
        "overhead_bytes": encrypted_len.zip(plaintext_len).map(overhead),
        "chunks": possible.map(|layout| layout.chunks()),
        "plaintext_bytes": plaintext_len,
        "length_possible": layout.map(|layout| layout.is_ok()),
        "authenticated": false,
    })
}

fn version(header: &Header) -> String {
    String::from_utf8_lossy(header.format().version_line()).into_owned()
}

/// A number of bytes, exactly, and in larger units if it is large.
fn bytes(count: u64) -> String {
    match count {
        1 => "1 byte".to_owned(),
        0..1024 => format!("{count} bytes"),
        _ => format!("{} bytes ({})", HumanCount(count), HumanBytes(count)),
    }
}

fn header_text(header: &Header) -> String {
    let len = bytes(header.len() as u64);
    match header.padding_len() {
        0 => len,
        padding => format!("{len}, {} of them padding", HumanCount(padding as u64)),
    }
}

/// The kinds of recipients and how many there are of each, in the order of
/// their first appearance.
fn recipients(header: &Header) -> Vec<(&str, usize)> {
    let mut places = HashMap::new();
    let mut found: Vec<(&str, usize)> = Vec::new();
    for stanza in header.key_stanzas() {
        let place = *places.entry(stanza.tag()).or_insert(found.len());
        match found.get_mut(place) {
            Some((_, count)) => *count += 1,
            None => found.push((stanza.tag(), 1)),
        }
    }
    found
}

fn recipients_text(header: &Header) -> String {
    let found = recipients(header);
    let total: usize = found.iter().map(|(_, count)| count).sum();
    let kind = |(tag, count): &(&str, usize)| {
        let tag: String = tag.chars().take(MAX_SHOWN_LEN).collect();
        if *count == 1 { tag } else { format!("{tag} ({count})") }
    };
    let mut kinds: Vec<_> = found.iter().take(MAX_SHOWN).map(kind).collect();
    if found.len() > MAX_SHOWN {
        kinds.push(format!("and {} other kinds", found.len() - MAX_SHOWN));
    }
    format!("{total}: {}", kinds.join(", "))
}

/// How the key is derived, if it is from a passphrase: then there is no other
/// stanza that carries it.
fn derivation(header: &Header) -> Option<KeyDerivation> {
    header.key_stanzas().find_map(|stanza| derivation_of(header, stanza))
}

/// A type means what it means in its format.
fn derivation_of(header: &Header, stanza: &Stanza) -> Option<KeyDerivation> {
    stanza.key_derivation().filter(|derivation| {
        let is_native = matches!(derivation, KeyDerivation::Argon2id(_));
        is_native == (header.format() == Format::Native)
    })
}

fn derivation_text(derivation: KeyDerivation) -> String {
    match derivation {
        KeyDerivation::Argon2id(_) => format!("Argon2id, {derivation}"),
        KeyDerivation::Scrypt { log_n } => {
            format!("{derivation} ({})", HumanBytes(scrypt_kib(log_n).saturating_mul(1024)))
        }
        other => other.to_string(),
    }
}

fn derivation_object(derivation: KeyDerivation) -> Value {
    match derivation {
        KeyDerivation::Argon2id(cost) => json!({
            "name": "argon2id",
            "memory_kib": cost.memory_kib,
            "passes": cost.passes,
            "lanes": cost.lanes,
        }),
        KeyDerivation::Scrypt { log_n } => {
            json!({ "name": "scrypt", "log_n": log_n, "memory_kib": scrypt_kib(log_n) })
        }
        other => json!({ "name": other.to_string() }),
    }
}

/// With r = 8 each of the N blocks has 1 KiB.
fn scrypt_kib(log_n: u8) -> u64 {
    1u64.checked_shl(log_n.into()).unwrap_or(u64::MAX)
}

/// What a recipient's key withstands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Strength {
    Classical,
    PostQuantum,
    /// As much as the passphrase does; no computer is better at it than others.
    Passphrase,
}

/// What the weakest recipient withstands; `None` where that is not known of
/// some, and none is known to be weak.
fn strength(header: &Header) -> Option<Strength> {
    let strengths: Vec<_> = header
        .key_stanzas()
        // Carries nothing: implementations of age write some, so that all get
        // used to types that they do not know.
        .filter(|stanza| !stanza.tag().ends_with("-grease"))
        .map(|stanza| strength_of(header, stanza))
        .collect();
    if strengths.contains(&Some(Strength::Classical)) {
        return Some(Strength::Classical);
    }
    strengths.into_iter().min().flatten()
}

fn strength_of(header: &Header, stanza: &Stanza) -> Option<Strength> {
    if stanza.is_post_quantum() {
        return Some(Strength::PostQuantum);
    }
    if derivation_of(header, stanza).is_some() {
        return Some(Strength::Passphrase);
    }
    let is_classical =
        matches!(stanza.tag(), "X25519" | "ssh-ed25519" | "ssh-rsa" | "piv-p256" | "p256tag");
    is_classical.then_some(Strength::Classical)
}
