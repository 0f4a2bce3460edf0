//! Credentials from another program.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{MemfdFlags, memfd_create};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::credentials::{AwsCredentials, parse_time};
use super::error::ProfileProblem;

/// How long a credential process may take. It may ask for a token on the terminal.
pub(super) const TIME_LIMIT: Duration = Duration::from_secs(60);

/// The most that it may write to standard output, in bytes.
const MAX_OUTPUT_LEN: u64 = 64 << 10;

/// How much of its standard error is shown, in bytes.
const MAX_STDERR_LEN: u64 = 4 << 10;

/// How often it is asked whether the process has ended.
const TICK: Duration = Duration::from_millis(5);

/// Runs `command` as AWS documents it for [`credential_process`]: without a shell, split at
/// spaces outside of quotes. Standard input is empty, since it may hold the data.
///
/// Standard output and standard error are files in memory, so that nothing waits for descendants
/// of the process, which may live on.
///
/// [`credential_process`]: https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html
pub(super) fn run(
    command: &str,
    environment: Option<&[(String, String)]>,
    limit: Duration,
) -> Result<AwsCredentials, ProfileProblem> {
    let words = shlex::split(command).unwrap_or_default();
    let (program, arguments) = words.split_first().ok_or(ProfileProblem::Command)?;
    let (stdout, stderr, mut child) =
        start(program, arguments, environment).map_err(ProfileProblem::Run)?;
    let status = wait(&mut child, limit).inspect_err(|_| {
        // Fails only if the process has ended meanwhile.
        let _ = child.kill();
        let _ = child.wait();
    })?;
    if !status.success() {
        let stderr = read_end(stderr, MAX_STDERR_LEN).map_err(ProfileProblem::Run)?;
        let stderr = String::from_utf8_lossy(&stderr).into_owned();
        return Err(ProfileProblem::Failed { status, stderr });
    }
    let output = read_end(stdout, MAX_OUTPUT_LEN + 1).map_err(ProfileProblem::Run)?;
    if output.len() as u64 > MAX_OUTPUT_LEN {
        return Err(ProfileProblem::Output("it is too long".to_owned()));
    }
    parse(&output)
}

fn start(
    program: &str,
    arguments: &[String],
    environment: Option<&[(String, String)]>,
) -> io::Result<(File, File, Child)> {
    let stdout = File::from(memfd_create("stdout", MemfdFlags::CLOEXEC)?);
    let stderr = File::from(memfd_create("stderr", MemfdFlags::CLOEXEC)?);
    let mut command = Command::new(program);
    if let Some(environment) = environment {
        // The variable PATH in it is where the program is looked for.
        command.env_clear().envs(environment.iter().map(|(name, value)| (name, value)));
    }
    let child = command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(stdout.try_clone()?)
        .stderr(stderr.try_clone()?)
        .spawn()?;
    Ok((stdout, stderr, child))
}

fn wait(child: &mut Child, limit: Duration) -> Result<ExitStatus, ProfileProblem> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait().map_err(ProfileProblem::Run)? {
            return Ok(status);
        }
        if Instant::now() >= deadline {
            return Err(ProfileProblem::Timeout(limit.as_secs()));
        }
        thread::sleep(TICK);
    }
}

/// The last bytes of `file`, at most `max`.
fn read_end(mut file: File, max: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    let len = file.metadata()?.len();
    let mut content = Zeroizing::new(Vec::with_capacity(max.min(len) as usize + 1));
    file.seek(io::SeekFrom::Start(len.saturating_sub(max)))?;
    file.take(max).read_to_end(&mut content)?;
    Ok(content)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Printed {
    version: u32,
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
    expiration: Option<String>,
}

fn parse(output: &[u8]) -> Result<AwsCredentials, ProfileProblem> {
    let wrong = |what: &str| ProfileProblem::Output(what.to_owned());
    // The parser's own message may contain a value.
    let printed: Printed = serde_json::from_slice(output).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        ProfileProblem::Output(match error.classify() {
            serde_json::error::Category::Data => {
                format!("a key is missing or has a wrong type (line {line}, column {column})")
            }
            _ => format!("it is not JSON (line {line}, column {column})"),
        })
    })?;
    let secret_access_key = Zeroizing::new(printed.secret_access_key);
    let session_token = printed.session_token.map(Zeroizing::new);
    if printed.version != 1 {
        return Err(wrong("Version is not 1"));
    }
    let expires = match printed.expiration {
        Some(text) => Some(parse_time(&text).ok_or_else(|| wrong("Expiration is not a time"))?),
        None => None,
    };
    let access_key_id = printed.access_key_id;
    let credentials = AwsCredentials { access_key_id, secret_access_key, session_token, expires };
    match credentials.invalid() {
        Some(name) => Err(wrong(&format!("{name} has an invalid value"))),
        None => Ok(credentials),
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    const PRINTED: &str = r#""Version": 1, "AccessKeyId": "id", "SecretAccessKey": "a/b+c""#;

    fn run_shell(script: &str) -> Result<AwsCredentials, ProfileProblem> {
        run(&format!("sh -c '{script}'"), None, TIME_LIMIT)
    }

    fn message(result: Result<AwsCredentials, ProfileProblem>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn credentials_are_read_from_standard_output() {
        let credentials = run_shell(&format!("echo noise >&2; printf %s \"$0\"' '{{{PRINTED}}}"));
        let credentials = credentials.unwrap();
        assert_eq!(credentials.access_key_id, "id");
        assert_eq!(*credentials.secret_access_key, "a/b+c");
        assert_eq!(credentials.session_token, None);
        assert_eq!(credentials.expires, None);

        let text = format!(
            r#"{{{PRINTED}, "SessionToken": "t==", "Expiration": "2030-01-02T03:04:05.5+01:00",
            "AccountId": "1"}}"#
        );
        let credentials = parse(text.as_bytes()).unwrap();
        assert_eq!(credentials.session_token.unwrap().as_str(), "t==");
        let expires = UNIX_EPOCH + Duration::from_millis(1_893_549_845_500);
        assert_eq!(credentials.expires, Some(expires));
    }

    #[test]
    fn arguments_are_split_as_a_shell_does_but_not_expanded() {
        let script = r#"sh -c 'test "$#,$1,$2" = "2,a b,$HOME"' sh "a b" '$HOME'"#;
        assert!(message(run(script, None, TIME_LIMIT)).contains("(exit status: 1)"));
        let script = r#"sh -c 'test "$#,$1,$2" = "2,a b,\$HOME"' sh "a b" '$HOME'"#;
        assert!(
            message(run(script, None, TIME_LIMIT)).contains("it is not JSON (line 1, column 0)")
        );
        for command in ["", "  ", "x 'y"] {
            assert!(
                matches!(run(command, None, TIME_LIMIT), Err(ProfileProblem::Command)),
                "{command}"
            );
        }
        let missing = message(run("/nonexistent/program", None, TIME_LIMIT));
        assert!(missing.starts_with("credential_process cannot be run: No such file"), "{missing}");
    }

    #[test]
    fn failures_show_standard_error_and_never_standard_output() {
        let failed = message(run_shell("echo hidden; echo no token >&2; exit 3"));
        assert_eq!(failed, "credential_process failed (exit status: 3): no token");
        let silent = message(run_shell("exit 3"));
        assert_eq!(silent, "credential_process failed (exit status: 3): it did not say why");
        let long = message(run_shell("head -c 9999 /dev/zero | tr \"\\0\" x >&2; exit 1"));
        assert_eq!(long.matches('x').count() as u64, MAX_STDERR_LEN + 1);
        let long = message(run_shell("head -c 65537 /dev/zero"));
        assert!(long.ends_with("it is too long"), "{long}");
        for (text, reason) in [
            ("hidden", "it is not JSON (line 1, column 1)"),
            (
                r#"{"Version": "hidden"}"#,
                "a key is missing or has a wrong type (line 1, column 20)",
            ),
            (r#"{"Version": 1}"#, "a key is missing or has a wrong type (line 1, column 14)"),
            (
                &format!("{{{PRINTED}, \"SessionToken\": \"hid\\nden\"}}"),
                "SessionToken has an invalid value",
            ),
            (&format!("{{{PRINTED}, \"Expiration\": \"hidden\"}}"), "Expiration is not a time"),
            (&format!("{{{}}}", PRINTED.replace('1', "2")), "Version is not 1"),
        ] {
            let message = message(parse(text.as_bytes()));
            assert!(message.ends_with(&format!("AWS defines them: {reason}")), "{message}");
        }
    }

    #[test]
    fn a_process_that_does_not_end_is_killed_but_its_descendants_are_not_waited_for() {
        let limit = Duration::from_millis(20);
        assert!(matches!(run("sleep 60", None, limit), Err(ProfileProblem::Timeout(0))));
        let daemon = message(run_shell("sleep 60 & exit 4"));
        assert!(daemon.contains("exit status: 4"), "{daemon}");
    }
}
