//! Secrets that change during a run: this process reads them again, or has them fetched, and passes
//! them on to the transport, which can do neither.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use cryptstream_engine::program::{SandboxedProcess, SandboxedTask};
use cryptstream_shm::Channel;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use crate::profile::{AwsCredentials, run_credential_process};

/// The first argument of a process that is to fetch credentials.
pub const CREDENTIALS_ARGUMENT: &str = "__credentials";

/// The longest token that is read, in bytes.
const MAX_TOKEN_LEN: u64 = 64 << 10;
/// How often files are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// Credentials are fetched again so long before they expire, or when half of their time is over.
const MARGIN: Duration = Duration::from_secs(300);
/// The pause after a failure.
const PAUSE: Duration = Duration::from_secs(30);
/// At once.
const NOW: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };
/// Variables that a credential process does not get, as they are this program's.
const OWN_VARIABLES: &str = "CRYPTSTREAM_";

/// Names and values of settings.
pub(crate) type Values = Vec<(String, String)>;

/// A file with a token, which another program replaces from time to time.
#[derive(Clone, Debug)]
pub struct TokenFile {
    setting: &'static str,
    path: PathBuf,
    seen: Option<Stamp>,
}

/// What tells that a file is another one, or was written to: device, inode, length and time.
type Stamp = (u64, u64, u64, i64, i64);

impl TokenFile {
    /// Reads the file for the first time. The transport knows the token by the name `setting`.
    ///
    /// # Errors
    ///
    /// If it cannot be read, is too long, or is not one line of text.
    pub fn read(setting: &'static str, path: &Path) -> io::Result<(Self, Zeroizing<String>)> {
        let mut file = Self { setting, path: path.to_owned(), seen: None };
        let token = file.read_if_changed()?.unwrap_or_default();
        Ok((file, token))
    }

    /// The token, if the file has been replaced or written to. Links on the way are followed anew.
    fn read_if_changed(&mut self) -> io::Result<Option<Zeroizing<String>>> {
        let stamp = stamp(&std::fs::metadata(&self.path)?);
        if self.seen == Some(stamp) {
            return Ok(None);
        }
        let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
        let file = File::open(&self.path)?;
        let mut token = Zeroizing::new(String::with_capacity(MAX_TOKEN_LEN as usize + 1));
        file.take(MAX_TOKEN_LEN + 1).read_to_string(&mut token)?;
        if token.len() as u64 > MAX_TOKEN_LEN {
            return Err(wrong("it is too long for a token"));
        }
        let token = Zeroizing::new(token.trim().to_owned());
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
            return Err(wrong("it is not a token"));
        }
        self.seen = Some(stamp);
        Ok(Some(token))
    }
}

fn stamp(file: &std::fs::Metadata) -> Stamp {
    (file.dev(), file.ino(), file.len(), file.mtime(), file.mtime_nsec())
}

/// A program that has fetched credentials, and fetches others before these expire.
#[derive(Clone, Debug)]
pub struct CredentialProcess {
    /// The command, as the profile has it.
    pub command: String,
    /// When the credentials expire.
    pub expires: SystemTime,
}

/// What has to be renewed during a run.
#[derive(Clone, Debug, Default)]
pub struct Renewals {
    /// Files with tokens.
    pub token_files: Vec<TokenFile>,
    /// What fetches credentials.
    pub credential_process: Option<CredentialProcess>,
}

/// Renews secrets while the transport works.
pub(crate) struct Renewer {
    token_files: Vec<TokenFile>,
    helper: Option<Helper>,
    looked: Instant,
    /// What has changed since the beginning.
    changed: Values,
    on_failure: fn(&str),
}

impl Renewer {
    /// Starts what fetches credentials, which ends with this thread. It has the network, and no key:
    /// so it must be another process, and this one must still have the network itself.
    pub(crate) fn start(
        renewals: &Renewals,
        program: &Path,
        on_failure: fn(&str),
    ) -> io::Result<Self> {
        let helper = renewals.credential_process.as_ref();
        let helper = helper.map(|process| Helper::start(process, program)).transpose()?;
        let token_files = renewals.token_files.clone();
        Ok(Self { token_files, helper, looked: Instant::now(), changed: Vec::new(), on_failure })
    }

    /// What has changed since the beginning, for a transport that takes over.
    pub(crate) fn all(&self) -> Values {
        self.changed.clone()
    }

    /// What has changed since the last call.
    pub(crate) fn look(&mut self) -> Values {
        if self.looked.elapsed() < LOOK {
            return Vec::new();
        }
        self.looked = Instant::now();
        let mut new = Values::new();
        for file in &mut self.token_files {
            // While it is replaced it may be missing.
            if let Ok(Some(token)) = file.read_if_changed() {
                new.push((file.setting.to_owned(), token.to_string()));
            }
        }
        match self.helper.as_mut().and_then(Helper::look) {
            Some(Ok(values)) => new.extend(values),
            Some(Err(message)) => (self.on_failure)(&message),
            None => {}
        }
        for (name, value) in &new {
            self.changed.retain(|(other, _)| other != name);
            self.changed.push((name.clone(), value.clone()));
        }
        new
    }
}

impl Drop for Renewer {
    fn drop(&mut self) {
        self.changed.iter_mut().for_each(|(_, value)| value.zeroize());
    }
}

/// The process that runs the credential process again.
struct Helper {
    process: SandboxedProcess,
    channel: Channel,
    due: SystemTime,
    is_asked: bool,
}

/// What the helper gets first.
#[derive(Serialize, Deserialize)]
struct Task {
    command: String,
    /// The environment.
    variables: Values,
}

/// What the helper answers: credentials and when they expire, in seconds since 1970, or what was
/// wrong.
#[derive(Serialize, Deserialize)]
struct Fetched {
    id: String,
    key: String,
    token: Option<String>,
    expires: Option<u64>,
}

type Answer = Result<Fetched, String>;

impl Helper {
    fn start(process: &CredentialProcess, program: &Path) -> io::Result<Self> {
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, _)| !name.starts_with(OWN_VARIABLES));
        let task = Task { command: process.command.clone(), variables: variables.collect() };
        let helper = SandboxedProcess::start_alone(program, CREDENTIALS_ARGUMENT)?;
        helper.send(&Zeroizing::new(serde_json::to_vec(&task)?), &[])?;
        let channel = helper.channel()?;
        Ok(Self { channel, process: helper, due: due(process.expires), is_asked: false })
    }

    /// Asks for new credentials when it is time, and takes them when they come.
    fn look(&mut self) -> Option<Result<Values, String>> {
        if !self.is_asked {
            if SystemTime::now() < self.due {
                return None;
            }
            self.is_asked = true;
            return match self.channel.send(b"again", &[]) {
                Ok(()) => None,
                Err(error) => Some(Err(self.failed(error.to_string()))),
            };
        }
        let mut fds = [PollFd::new(&self.channel, PollFlags::IN)];
        if !matches!(poll(&mut fds, Some(&NOW)), Ok(ready) if ready > 0) {
            return None;
        }
        self.is_asked = false;
        let answer = match self.channel.receive() {
            Ok(Some(message)) => serde_json::from_slice::<Answer>(&Zeroizing::new(message.bytes))
                .unwrap_or_else(|error| Err(error.to_string())),
            Ok(None) => Err("the process that runs it has ended".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        Some(match answer {
            Ok(Fetched { id, key, token, expires }) => {
                let expires =
                    expires.map(|time| SystemTime::UNIX_EPOCH + Duration::from_secs(time));
                // Those that last are not fetched again.
                let never = SystemTime::now() + Duration::from_secs(u32::MAX.into());
                self.due = expires.map_or(never, due);
                Ok(vec![
                    ("AWS_ACCESS_KEY_ID".to_owned(), id),
                    ("AWS_SECRET_ACCESS_KEY".to_owned(), key),
                    ("AWS_SESSION_TOKEN".to_owned(), token.unwrap_or_default()),
                ])
            }
            Err(message) => Err(self.failed(message)),
        })
    }

    fn failed(&mut self, message: String) -> String {
        self.due = SystemTime::now() + PAUSE;
        message
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        self.process.kill();
    }
}

/// When credentials are to be fetched again.
fn due(expires: SystemTime) -> SystemTime {
    let left = expires.duration_since(SystemTime::now()).unwrap_or_default();
    expires - MARGIN.min(left / 2)
}

/// The main function of a process that was started with [`CREDENTIALS_ARGUMENT`]: it runs a
/// credential process whenever it is asked to. It has the network, since this process needs it, and
/// neither keys nor descriptors of the one that has started it.
#[must_use]
pub fn credentials_main() -> ExitCode {
    if serve().is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn serve() -> io::Result<()> {
    let SandboxedTask { bytes, stream, .. } = SandboxedTask::receive()?;
    let Task { command, variables } = serde_json::from_slice(&Zeroizing::new(bytes))?;
    let channel = Channel::from(std::os::fd::OwnedFd::from(stream));
    while channel.receive()?.is_some() {
        let answer: Answer = match run_credential_process(&command, Some(&variables)) {
            Ok(AwsCredentials { access_key_id, secret_access_key, session_token, expires }) => {
                let seconds = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).ok();
                Ok(Fetched {
                    id: access_key_id,
                    key: secret_access_key.to_string(),
                    token: session_token.map(|token| token.to_string()),
                    expires: expires.and_then(seconds).map(|time| time.as_secs()),
                })
            }
            Err(problem) => Err(problem.to_string()),
        };
        channel.send(&Zeroizing::new(serde_json::to_vec(&answer)?), &[])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_token_is_read_again_when_a_link_leads_elsewhere() {
        // As Kubernetes does it.
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for (folder, token) in [("1", "one"), ("2", "two\n")] {
            std::fs::create_dir(at(folder)).unwrap();
            std::fs::write(at(folder).join("token"), token).unwrap();
        }
        symlink("1", at("..data")).unwrap();
        symlink("..data/token", at("token")).unwrap();
        let (mut file, token) = TokenFile::read("token", &at("token")).unwrap();
        assert_eq!(*token, "one");
        assert_eq!(file.read_if_changed().unwrap(), None);
        symlink("2", at("..new")).unwrap();
        std::fs::rename(at("..new"), at("..data")).unwrap();
        assert_eq!(file.read_if_changed().unwrap().unwrap().as_str(), "two");
        assert_eq!(file.read_if_changed().unwrap(), None);
        std::fs::remove_file(at("2/token")).unwrap();
        assert!(file.read_if_changed().is_err());
        std::fs::write(at("2/token"), "a\nb").unwrap();
        assert!(file.read_if_changed().is_err());
    }

    #[test]
    fn credentials_are_due_before_they_expire() {
        let now = SystemTime::now();
        let hour = Duration::from_secs(3600);
        assert_eq!(due(now + hour), now + hour - MARGIN);
        let soon = due(now + Duration::from_secs(60));
        assert!(soon > now && soon < now + Duration::from_secs(31));
        assert!(due(now - hour) <= now);
    }
}
