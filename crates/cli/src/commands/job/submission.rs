//! What an engine is to run, as words for its scripts.

use std::path::Path;

use crate::args::{EngineOption, JobSubmit};
use crate::commands::session::Session;
use crate::messages::{self, Failure};

/// What an engine is to run.
pub(super) struct Submission {
    /// The id of the job.
    pub(super) id: String,
    pub(super) shards: u32,
    /// The command of a shard, without its number.
    pub(super) run: Vec<String>,
    /// The command that finishes the job.
    pub(super) finish: Vec<String>,
    /// What the user wants of the engine.
    pub(super) options: Vec<EngineOption>,
}

impl Submission {
    pub(super) fn new(
        args: &JobSubmit,
        session: &Session,
        id: String,
        shards: u32,
    ) -> Result<Self, Failure> {
        let program = match &args.program {
            Some(program) => printable(program)?,
            None => own_program()?,
        };
        let job = absolute(&args.name.job)?;
        let command = |action: &str| {
            let command = [&program, "job", action, "--job", &job].map(str::to_owned);
            let no_config = session.no_config.then(|| "--no-config".to_owned());
            command.into_iter().chain(no_config).collect::<Vec<_>>()
        };
        let mut run = command("run");
        for identity in &args.identity {
            run.extend(["-i".to_owned(), absolute(identity)?]);
        }
        run.extend(["--progress", "never"].map(str::to_owned));
        let options = args.options.clone();
        Ok(Self { id, shards, run, finish: command("finish"), options })
    }

    /// The name that people see in the lists of an engine.
    pub(super) fn name(&self) -> String {
        format!("cryptstream-{}", self.id.get(..8).unwrap_or(&self.id))
    }
}

/// This program, under the name that it has on this machine.
fn own_program() -> Result<String, Failure> {
    let program = std::env::current_exe();
    let program = program.map_err(|error| messages::submit::no_program(&error))?;
    printable(&program)
}

fn absolute(path: &Path) -> Result<String, Failure> {
    let absolute = std::path::absolute(path);
    printable(&absolute.map_err(|error| messages::job::no_absolute(path, &error))?)
}

/// A name that can stand in a script.
fn printable(path: &Path) -> Result<String, Failure> {
    let text = path.to_str().filter(|text| !text.chars().any(char::is_control));
    text.map(str::to_owned).ok_or_else(|| messages::submit::unprintable(path))
}

/// A command as the shell reads it.
pub(super) fn shell_words<'a>(words: impl IntoIterator<Item = &'a String>) -> String {
    let quoted = |word: &String| {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_./=:,@%+-".contains(&byte);
        match !word.is_empty() && word.bytes().all(is_plain) {
            true => word.clone(),
            false => format!("'{}'", word.replace('\'', r"'\''")),
        }
    };
    words.into_iter().map(quoted).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shell_reads_the_words_that_were_meant() {
        let words = ["plain", "", "a b", "it's", "$(rm)", "--a=b"].map(str::to_owned);
        assert_eq!(shell_words(&words), r"plain '' 'a b' 'it'\''s' '$(rm)' --a=b");
    }
}
