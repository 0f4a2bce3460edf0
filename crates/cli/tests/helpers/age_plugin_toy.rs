//! A toy plugin for tests. It speaks age's plugin protocol (C2SP `age-plugin.md`)
//! and shares no code with the program.
//!
//! A key is 16 bytes, the same in `age1toy1…` and `AGE-PLUGIN-TOY-1…`, and a file
//! key is wrapped by XOR, which protects nothing. `AGE_PLUGIN_TOY` names a way to
//! misbehave; see [`Mode`].

use std::io::{self, BufRead, Error, StdinLock, StdoutLock, Write};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use base64ct::{Base64Unpadded, Encoding};

const KEY_LEN: usize = 16;
/// The right answer in [`Mode::Ask`].
const WORD: &str = "sesame";

/// What the plugin does in addition to its work, or instead of it.
#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Well,
    /// Exits before it reads anything.
    Crash,
    /// Exits in the middle of an answer.
    CrashMidway,
    /// Does nothing for ever, whatever happens to its streams.
    Hang,
    /// Reads everything, then does nothing for ever.
    HangMidway,
    /// Answers with something that is not a stanza.
    Garbage,
    /// Reports an error.
    Error,
    /// Sends neither an answer nor an error.
    Nothing,
    /// Asks for a word.
    Ask,
    /// Asks whether to continue.
    Confirm,
    /// Takes a while, but reports progress.
    Slow,
    /// Requires that its recipients are not mixed with others.
    Labels,
    /// Returns a file key that is too short.
    ShortKey,
    /// Returns a wrong file key.
    WrongKey,
    /// Takes only one file, like simple plugins.
    OneFile,
}

const MODES: [(&str, Mode); 15] = [
    ("", Mode::Well),
    ("crash", Mode::Crash),
    ("crash-midway", Mode::CrashMidway),
    ("hang", Mode::Hang),
    ("hang-midway", Mode::HangMidway),
    ("garbage", Mode::Garbage),
    ("error", Mode::Error),
    ("nothing", Mode::Nothing),
    ("ask", Mode::Ask),
    ("confirm", Mode::Confirm),
    ("slow", Mode::Slow),
    ("labels", Mode::Labels),
    ("short-key", Mode::ShortKey),
    ("wrong-key", Mode::WrongKey),
    ("one-file", Mode::OneFile),
];

/// A command or an answer.
struct Stanza {
    args: Vec<String>,
    body: Vec<u8>,
}

impl Stanza {
    fn is(&self, tag: &str) -> bool {
        self.args.first().is_some_and(|first| first == tag)
    }
}

/// The two streams to the program that uses the plugin.
struct Wire {
    input: StdinLock<'static>,
    output: StdoutLock<'static>,
}

impl Wire {
    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.input.read_line(&mut line)?;
        match line.pop() {
            Some('\n') => Ok(line),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    fn receive(&mut self) -> io::Result<Stanza> {
        let line = self.line()?;
        let args = line.strip_prefix("-> ").ok_or_else(|| Error::other("no stanza"))?;
        let args = args.split(' ').map(str::to_owned).collect();
        let mut body = Vec::new();
        loop {
            let line = self.line()?;
            body.extend(Base64Unpadded::decode_vec(&line).map_err(Error::other)?);
            if line.len() < 64 {
                return Ok(Stanza { args, body });
            }
        }
    }

    fn send(&mut self, args: &[&str], body: &[u8]) -> io::Result<()> {
        let mut text = format!("-> {}\n", args.join(" "));
        // A full last line is followed by an empty one.
        for line in body.chunks(48) {
            text += &format!("{}\n", Base64Unpadded::encode_string(line));
        }
        if body.len().is_multiple_of(48) {
            text.push('\n');
        }
        self.output.write_all(text.as_bytes())?;
        self.output.flush()
    }

    /// Sends a command and returns the answer.
    fn ask(&mut self, args: &[&str], body: &[u8]) -> io::Result<Stanza> {
        self.send(args, body)?;
        self.receive()
    }
}

fn main() -> ExitCode {
    let name = std::env::var("AGE_PLUGIN_TOY").unwrap_or_default();
    let mode = MODES.iter().find(|(known, _)| *known == name).map(|(_, mode)| *mode);
    let machine = std::env::args().nth(1).unwrap_or_default();
    let wire = Wire { input: io::stdin().lock(), output: io::stdout().lock() };
    let done = match (mode, machine.as_str()) {
        (Some(Mode::Crash), _) => return ExitCode::FAILURE,
        (Some(Mode::Hang), _) => hang(),
        (Some(mode), "--age-plugin=recipient-v1") => wrap(wire, mode),
        (Some(mode), "--age-plugin=identity-v1") => unwrap(wire, mode),
        _ => Err(Error::other("usage: --age-plugin=recipient-v1 or --age-plugin=identity-v1")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("age-plugin-toy: {error}");
            ExitCode::FAILURE
        }
    }
}

fn hang() -> ! {
    loop {
        thread::sleep(Duration::from_secs(1000));
    }
}

/// Acts on the mode after everything was sent. Returns `false` if no answer follows.
fn behave(wire: &mut Wire, mode: Mode) -> io::Result<bool> {
    match mode {
        Mode::HangMidway => hang(),
        Mode::CrashMidway => {
            wire.output.write_all(b"-> recipient-stanza 0 toy")?;
            wire.output.flush()?;
            return Err(Error::other("crashed, as it was asked to"));
        }
        Mode::Garbage => {
            wire.output.write_all(b"\0\xffthis is no stanza\n\n\n")?;
            return Ok(false);
        }
        Mode::Error => {
            wire.ask(&["error", "internal"], b"the toy is broken")?;
        }
        Mode::Nothing => {}
        Mode::Ask => {
            let answer = wire.ask(&["request-secret"], b"What is the word?")?;
            if answer.is("ok") && answer.body == WORD.as_bytes() {
                return Ok(true);
            }
            wire.ask(&["error", "internal"], b"this is not the word")?;
        }
        Mode::Confirm => {
            let [yes, no] =
                ["go on", "stop"].map(|text| Base64Unpadded::encode_string(text.as_bytes()));
            let answer = wire.ask(&["confirm", &yes, &no], b"Shall the toy go on?")?;
            if answer.is("ok") && answer.args.get(1).is_some_and(|arg| arg == "yes") {
                return Ok(true);
            }
            wire.ask(&["error", "internal"], b"the toy was stopped")?;
        }
        Mode::Slow => {
            for _ in 0..40 {
                wire.ask(&["msg"], b"the toy thinks")?;
                thread::sleep(Duration::from_millis(100));
            }
            return Ok(true);
        }
        Mode::Well
        | Mode::Crash
        | Mode::Hang
        | Mode::Labels
        | Mode::ShortKey
        | Mode::WrongKey
        | Mode::OneFile => return Ok(true),
    }
    wire.send(&["done"], b"")?;
    Ok(false)
}

fn wrap(mut wire: Wire, mode: Mode) -> io::Result<()> {
    let (mut keys, mut file_keys, mut wants_labels) = (Vec::new(), Vec::new(), false);
    loop {
        let stanza = wire.receive()?;
        match (stanza.args[0].as_str(), stanza.args.get(1)) {
            ("add-recipient", Some(text)) => keys.push(key(text, "age1toy")?),
            ("add-identity", Some(text)) => keys.push(key(text, "age-plugin-toy-")?),
            ("wrap-file-key", _) => file_keys.push(stanza.body),
            ("extension-labels", _) => wants_labels = true,
            ("done", _) => break,
            _ => {}
        }
    }
    refuse_several(mode, file_keys.len() > 1)?;
    if !behave(&mut wire, mode)? {
        return Ok(());
    }
    if wants_labels && mode == Mode::Labels {
        wire.ask(&["labels", "toys-only"], b"")?;
    }
    for (number, file_key) in file_keys.iter().enumerate() {
        for key in &keys {
            let args = ["recipient-stanza", &number.to_string(), "toy", &tag(key)];
            wire.ask(&args, &xor(file_key, key))?;
        }
    }
    wire.send(&["done"], b"")
}

fn unwrap(mut wire: Wire, mode: Mode) -> io::Result<()> {
    let (mut keys, mut stanzas) = (Vec::new(), Vec::new());
    loop {
        let stanza = wire.receive()?;
        match (stanza.args[0].as_str(), stanza.args.get(1)) {
            ("add-identity", Some(text)) => keys.push(key(text, "age-plugin-toy-")?),
            ("recipient-stanza", _) => stanzas.push(stanza),
            ("done", _) => break,
            _ => {}
        }
    }
    refuse_several(mode, stanzas.iter().any(|stanza| stanza.args[1] != "0"))?;
    if !behave(&mut wire, mode)? {
        return Ok(());
    }
    let mut opened = Vec::new();
    for stanza in &stanzas {
        let [_, file, kind, tag_of_key] = &stanza.args[..] else { continue };
        let key = keys.iter().find(|key| tag(key) == *tag_of_key);
        if let (Some(key), "toy", false) = (key, kind.as_str(), opened.contains(file)) {
            let mut file_key = xor(&stanza.body, key);
            match mode {
                Mode::ShortKey => file_key.truncate(15),
                Mode::WrongKey => file_key[0] ^= 1,
                _ => {}
            }
            wire.ask(&["file-key", file], &file_key)?;
            opened.push(file.clone());
        }
    }
    wire.send(&["done"], b"")
}

fn refuse_several(mode: Mode, are_several: bool) -> io::Result<()> {
    match mode == Mode::OneFile && are_several {
        true => Err(Error::other("this is more than one file")),
        false => Ok(()),
    }
}

/// The key in a recipient or an identity.
fn key(text: &str, prefix: &str) -> io::Result<Vec<u8>> {
    let (hrp, key) = bech32::decode(text).map_err(Error::other)?;
    if hrp.to_lowercase() != prefix || key.len() != KEY_LEN {
        return Err(Error::other("this is no key of the toy"));
    }
    Ok(key)
}

/// The tag of the key that a stanza is for.
fn tag(key: &[u8]) -> String {
    Base64Unpadded::encode_string(&key[..4])
}

fn xor(a: &[u8], b: &[u8]) -> Vec<u8> {
    a.iter().zip(b).map(|(a, b)| a ^ b).collect()
}
