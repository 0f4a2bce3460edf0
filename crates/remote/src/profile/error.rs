//! What is wrong with the settings for AWS.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

/// Settings for AWS that cannot be used: where, and why. The message never contains a value of a
/// file, an environment variable or a credential process.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct ProfileError {
    place: Place,
    problem: ProfileProblem,
}

impl ProfileError {
    pub(super) fn new(place: Place, problem: ProfileProblem) -> Self {
        Self { place, problem }
    }

    /// What is wrong.
    pub fn problem(&self) -> &ProfileProblem {
        &self.problem
    }

    /// What the user can do about it, where the message does not say so.
    pub fn help(&self) -> Option<String> {
        let profile = match &self.problem {
            ProfileProblem::Unsupported { profile, .. } => profile,
            ProfileProblem::Untrusted => {
                let help = "let nobody but you write to it (chmod go-w), or set AWS_ACCESS_KEY_ID \
                            and AWS_SECRET_ACCESS_KEY";
                return Some(help.to_owned());
            }
            _ => return None,
        };
        let profile = shlex::try_quote(profile).ok()?;
        Some(format!(
            "add a profile with `credential_process = aws configure export-credentials --profile \
             {profile} --format process` (AWS CLI version 2), and name it in AWS_PROFILE"
        ))
    }
}

/// Where a setting comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Environment,
    File(PathBuf),
    Line(PathBuf, usize),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment => write!(f, "environment"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Line(path, line) => write!(f, "{}:{line}", path.display()),
        }
    }
}

/// What is wrong with settings for AWS.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProfileProblem {
    /// The file cannot be opened or read.
    #[error("cannot be read: {0}")]
    Read(io::Error),
    /// The file is a folder, a pipe or a device.
    #[error("is not a regular file")]
    NotRegular,
    /// The file is longer than any that people write. Contains the limit in bytes.
    #[error("has more than {0} bytes")]
    TooLong(usize),
    /// A line is not UTF-8.
    #[error("is not UTF-8")]
    NotUtf8,
    /// A line is neither a section, nor a setting within one.
    #[error("is neither `[SECTION]` nor `KEY = VALUE` in a section")]
    Syntax,
    /// The named profile is neither in the configuration nor in the credentials file. Contains the
    /// variable and the name.
    #[error("{0} names the profile `{1}`, which does not exist")]
    NoProfile(&'static str, String),
    /// The profile refers to a section that is not in the file.
    #[error("there is no section `[services {0}]`")]
    NoServices(String),
    /// One half of a pair of settings is missing. Contains both names.
    #[error("{0} is set, but {1} is not")]
    Incomplete(&'static str, &'static str),
    /// A value has characters that it cannot have, such as spaces. Contains the name of the setting
    /// or the variable.
    #[error("{0} has an invalid value")]
    Value(&'static str),
    /// Getting the credentials would need other requests than those to the store.
    #[error("the profile `{profile}` has `{key}`, which is not supported")]
    Unsupported {
        /// The name of the profile.
        profile: String,
        /// The setting that says how to get credentials.
        key: &'static str,
    },
    /// Whoever can write to the file could have a command of theirs run.
    #[error("credential_process is not run, since another user can change this file")]
    Untrusted,
    /// The credential process has unbalanced quotes, or no command.
    #[error("credential_process is not a command")]
    Command,
    /// The credential process could not be started, or not be waited for.
    #[error("credential_process cannot be run: {0}")]
    Run(io::Error),
    /// The credential process did not end in time. Contains the limit in seconds.
    #[error("credential_process did not end within {0} seconds, and was killed")]
    Timeout(u64),
    /// The credential process failed.
    #[error("credential_process failed ({status}): {}", or_silence(stderr))]
    Failed {
        /// How it ended.
        status: ExitStatus,
        /// The end of what it wrote to standard error.
        stderr: String,
    },
    /// The credential process wrote something else than AWS documents. Contains what is wrong.
    #[error("credential_process did not print credentials as AWS defines them: {0}")]
    Output(String),
}

fn or_silence(stderr: &str) -> &str {
    match stderr.trim() {
        "" => "it did not say why",
        text => text,
    }
}
