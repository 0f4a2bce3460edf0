//! Whoever sits at the terminal, for keys that ask.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};

use cryptstream_keys::Talk;
use zeroize::Zeroizing;

use crate::messages;

/// The terminal that the process belongs to, wherever its streams go.
pub(super) struct Terminal;

impl Terminal {
    fn open() -> Option<File> {
        OpenOptions::new().read(true).write(true).open("/dev/tty").ok()
    }
}

impl Talk for Terminal {
    fn say(&self, message: &str) {
        messages::note(&messages::from_key(message));
    }

    fn confirm(&self, message: &str, yes: &str, no: Option<&str>) -> Option<bool> {
        loop {
            let answer = self.ask(&messages::choice(message, yes, no))?;
            match answer.trim().to_lowercase().as_str() {
                "1" | "y" | "yes" => return Some(true),
                "2" | "n" | "no" | "" => return Some(false),
                _ => {}
            }
        }
    }

    fn ask(&self, message: &str) -> Option<String> {
        let mut terminal = Self::open()?;
        write!(terminal, "{} ", messages::from_key(message)).ok()?;
        let mut line = String::new();
        match BufReader::new(terminal).read_line(&mut line) {
            Ok(1..) => Some(line.trim_end_matches(['\r', '\n']).to_owned()),
            // The end of the input is no answer.
            Ok(0) | Err(_) => None,
        }
    }

    fn ask_secret(&self, message: &str) -> Option<Zeroizing<String>> {
        let prompt = format!("{} ", messages::from_key(message).trim_end());
        rpassword::prompt_password(prompt).ok().map(Zeroizing::new)
    }
}
