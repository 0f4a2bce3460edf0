//! Settings and credentials for AWS, as users have them.
//!
//! The sources and their order are those of the AWS CLI:
//! <https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-files.html>. What would need
//! requests to other services than the store, such as roles and single sign-on, is refused.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

mod credentials;
mod error;
mod ini;
mod process;
#[cfg(test)]
mod tests;

pub use credentials::AwsCredentials;
pub use error::{ProfileError, ProfileProblem};

use credentials::{is_token, parse_time};
use error::Place;
use ini::{Found, Ini};

/// The variables that name the profile. If both are set, the AWS CLI takes the first.
const PROFILE_VARIABLES: [&str; 2] = ["AWS_DEFAULT_PROFILE", "AWS_PROFILE"];

/// Settings of a profile that need requests to other services for credentials.
const ROLE: &str = "role_arn";
const WEB_IDENTITY: &str = "web_identity_token_file";
const SINGLE_SIGN_ON: [&str; 2] = ["sso_account_id", "sso_role_name"];
const LOGIN: &str = "login_session";

/// Settings for AWS, and for stores that speak the protocol of S3.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AwsSettings {
    /// The credentials. `None` if neither the environment nor the profile has any: a machine in
    /// the cloud gets them from its surroundings, and a public bucket needs none.
    pub credentials: Option<AwsCredentials>,
    /// The region, such as `eu-central-1`.
    pub region: Option<String>,
    /// The URL of the store, if it is not that of AWS.
    pub endpoint: Option<String>,
    /// The command that has fetched the credentials, and can fetch others when they expire.
    pub credential_process: Option<String>,
}

impl AwsSettings {
    /// Reads the settings of the profile that the environment names, or of the profile `default`:
    ///
    /// - The profile is named by `AWS_PROFILE` (or `AWS_DEFAULT_PROFILE`). Its settings stand in
    ///   `~/.aws/config` (or `AWS_CONFIG_FILE`) below `[profile NAME]` or `[default]`, and in
    ///   `~/.aws/credentials` (or `AWS_SHARED_CREDENTIALS_FILE`) below `[NAME]`. The latter file
    ///   comes first.
    /// - Credentials come from `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and
    ///   `AWS_SESSION_TOKEN`, from keys in the credentials file, from `credential_process`, or
    ///   from keys in the configuration, in this order.
    /// - The region comes from `AWS_REGION`, `AWS_DEFAULT_REGION`, or the profile.
    /// - The endpoint comes from `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`, the section
    ///   `[services …]` that the profile names, or the profile, unless
    ///   `AWS_IGNORE_CONFIGURED_ENDPOINT_URLS` or the profile says that it is to be ignored.
    ///
    /// `variable` returns the value of an environment variable. What is
    /// empty, there or in a file, counts as not set. A credential process is run, for 60 seconds
    /// at most, if the open file that names it `is_trusted`.
    ///
    /// # Errors
    ///
    /// If a file cannot be read or parsed, if the named profile does not exist, if a setting is
    /// invalid or half a pair, if the credentials would need other requests, or if the credential
    /// process fails.
    pub fn load(
        variable: impl Fn(&str) -> Option<OsString>,
        is_trusted: impl Fn(&Path, &File) -> bool,
    ) -> Result<Self, ProfileError> {
        let environment = Environment { variable: &variable };
        let profile = Profile::load(&environment, is_trusted)?;
        let region = match environment.first_of(&["AWS_REGION", "AWS_DEFAULT_REGION"])? {
            Some((_, region)) => Some(region),
            None => profile.plain("region")?,
        };
        let (credentials, credential_process) = credentials(&environment, &profile)?;
        let endpoint = endpoint(&environment, &profile)?;
        Ok(Self { region, endpoint, credentials, credential_process })
    }
}

fn endpoint(
    environment: &Environment<'_>,
    profile: &Profile,
) -> Result<Option<String>, ProfileError> {
    let is_ignored = match environment.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")? {
        Some(value) => Some(value),
        None => profile.plain("ignore_configured_endpoint_urls")?,
    };
    if is_ignored.is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return Ok(None);
    }
    if let Some((_, url)) = environment.first_of(&["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"])? {
        return Ok(Some(url));
    }
    match profile.service_endpoint()? {
        Some(url) => Ok(Some(url)),
        None => profile.plain("endpoint_url"),
    }
}

/// The credentials, and the command that has fetched them.
fn credentials(
    environment: &Environment<'_>,
    profile: &Profile,
) -> Result<(Option<AwsCredentials>, Option<String>), ProfileError> {
    if let Some(credentials) = environment.credentials()? {
        return Ok((Some(credentials), None));
    }
    if profile.get(WEB_IDENTITY).is_none() {
        profile.refuse(ROLE)?;
    }
    if environment.get("AWS_WEB_IDENTITY_TOKEN_FILE")?.is_some() {
        return Ok((None, None));
    }
    profile.refuse(WEB_IDENTITY)?;
    SINGLE_SIGN_ON.into_iter().try_for_each(|key| profile.refuse(key))?;
    if let Some(keys) = profile.keys(Profile::in_credentials)? {
        return Ok((Some(keys), None));
    }
    profile.refuse(LOGIN)?;
    if let Some(command) = profile.get("credential_process") {
        if !command.is_trusted {
            return Err(ProfileError::new(command.place, ProfileProblem::Untrusted));
        }
        let credentials = run_credential_process(command.value, None)
            .map_err(|problem| ProfileError::new(command.place, problem))?;
        return Ok((Some(credentials), Some(command.value.to_owned())));
    }
    Ok((profile.keys(Profile::in_config)?, None))
}

/// Runs a credential process, with this environment or that of this process.
pub(crate) fn run_credential_process(
    command: &str,
    environment: Option<&[(String, String)]>,
) -> Result<AwsCredentials, ProfileProblem> {
    process::run(command, environment, process::TIME_LIMIT)
}

/// The environment variables.
struct Environment<'a> {
    variable: &'a dyn Fn(&str) -> Option<OsString>,
}

impl Environment<'_> {
    fn get(&self, name: &'static str) -> Result<Option<String>, ProfileError> {
        let Some(value) = self.raw(name) else { return Ok(None) };
        value.into_string().map(Some).map_err(|_| Self::invalid(name))
    }

    fn raw(&self, name: &str) -> Option<OsString> {
        (self.variable)(name).filter(|value| !value.is_empty())
    }

    fn invalid(name: &'static str) -> ProfileError {
        ProfileError::new(Place::Environment, ProfileProblem::Value(name))
    }

    /// The first of several variables that is set, with its name.
    fn first_of(
        &self,
        names: &[&'static str],
    ) -> Result<Option<(&'static str, String)>, ProfileError> {
        for &name in names {
            if let Some(value) = self.get(name)? {
                return Ok(Some((name, value)));
            }
        }
        Ok(None)
    }

    /// A variable whose value has to be free of spaces.
    fn token(&self, name: &'static str) -> Result<Option<Zeroizing<String>>, ProfileError> {
        let value = self.get(name)?.map(Zeroizing::new);
        match value {
            Some(value) if !is_token(&value) => Err(Self::invalid(name)),
            value => Ok(value),
        }
    }

    fn credentials(&self) -> Result<Option<AwsCredentials>, ProfileError> {
        const KEYS: (&str, &str) = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY");
        const EXPIRATION: &str = "AWS_CREDENTIAL_EXPIRATION";
        let Some(access_key_id) = self.token(KEYS.0)? else { return Ok(None) };
        let secret_access_key = self.token(KEYS.1)?.ok_or_else(|| {
            ProfileError::new(Place::Environment, ProfileProblem::Incomplete(KEYS.0, KEYS.1))
        })?;
        let session_token = match self.token("AWS_SESSION_TOKEN")? {
            Some(token) => Some(token),
            None => self.token("AWS_SECURITY_TOKEN")?,
        };
        let expires = match self.get(EXPIRATION)? {
            Some(text) => Some(parse_time(&text).ok_or_else(|| Self::invalid(EXPIRATION))?),
            None => None,
        };
        let access_key_id = access_key_id.to_string();
        Ok(Some(AwsCredentials { access_key_id, secret_access_key, session_token, expires }))
    }

    /// The path in `variable`, where `~/` stands for the home folder, or that of `name` in `.aws`
    /// in the home folder.
    fn path(&self, variable: &str, name: &str) -> Option<PathBuf> {
        let home = self.raw("HOME").map(PathBuf::from);
        match self.raw(variable).map(PathBuf::from) {
            Some(path) => match (path.strip_prefix("~"), home) {
                (Ok(below_home), Some(home)) => Some(home.join(below_home)),
                _ => Some(path),
            },
            None => Some(home?.join(".aws").join(name)),
        }
    }
}

/// A profile, as both files have it.
struct Profile {
    name: String,
    config: Ini,
    credentials: Ini,
}

impl Profile {
    fn load(
        environment: &Environment<'_>,
        is_trusted: impl Fn(&Path, &File) -> bool,
    ) -> Result<Self, ProfileError> {
        let read = |variable, name| match environment.path(variable, name) {
            Some(path) => Ini::read(&path, &is_trusted),
            None => Ok(Ini::default()),
        };
        let named = environment.first_of(&PROFILE_VARIABLES)?;
        let (variable, name) =
            named.map_or((None, "default".to_owned()), |(variable, name)| (Some(variable), name));
        let config = read("AWS_CONFIG_FILE", "config")?;
        let credentials = read("AWS_SHARED_CREDENTIALS_FILE", "credentials")?;
        let profile = Self { name, config, credentials };
        let exists = profile.config.has(|header| profile.is_config_header(header))
            || profile.credentials.has(|header| header == profile.name);
        match variable {
            Some(variable) if !exists => {
                let problem = ProfileProblem::NoProfile(variable, profile.name);
                Err(ProfileError::new(Place::Environment, problem))
            }
            _ => Ok(profile),
        }
    }

    fn is_config_header(&self, header: &str) -> bool {
        (header == "default" && self.name == header) || is_header(header, "profile", &self.name)
    }

    fn in_config(&self, key: &str) -> Option<Found<'_>> {
        self.config.get(|header| self.is_config_header(header), key)
    }

    fn in_credentials(&self, key: &str) -> Option<Found<'_>> {
        self.credentials.get(|header| header == self.name, key)
    }

    fn get(&self, key: &str) -> Option<Found<'_>> {
        self.in_credentials(key).or_else(|| self.in_config(key))
    }

    fn plain(&self, key: &'static str) -> Result<Option<String>, ProfileError> {
        self.get(key).map(|found| Ok(found.plain(key)?.to_owned())).transpose()
    }

    /// Fails if `key` is set, since it is the way to get credentials and not supported.
    fn refuse(&self, key: &'static str) -> Result<(), ProfileError> {
        let Some(found) = self.get(key) else { return Ok(()) };
        let problem = ProfileProblem::Unsupported { profile: self.name.clone(), key };
        Err(ProfileError::new(found.place, problem))
    }

    /// The `endpoint_url` for `s3` in the section `[services …]` that the profile names.
    fn service_endpoint(&self) -> Result<Option<String>, ProfileError> {
        let Some(found) = self.get("services") else { return Ok(None) };
        let name = found.value;
        let is_wanted = |header: &str| is_header(header, "services", name);
        if !self.config.has(is_wanted) {
            let problem = ProfileProblem::NoServices(name.to_owned());
            return Err(ProfileError::new(found.place, problem));
        }
        self.config
            .get(is_wanted, "s3")
            .and_then(|settings| settings.nested("endpoint_url"))
            .map(|found| Ok(found.plain("endpoint_url")?.to_owned()))
            .transpose()
    }

    /// The keys in one of the files.
    fn keys<'a>(
        &'a self,
        in_file: impl Fn(&'a Self, &str) -> Option<Found<'a>>,
    ) -> Result<Option<AwsCredentials>, ProfileError> {
        const KEYS: (&str, &str) = ("aws_access_key_id", "aws_secret_access_key");
        let get = |key| in_file(self, key).map(|found| found.plain(key)).transpose();
        let Some(id) = in_file(self, KEYS.0) else { return Ok(None) };
        let secret = get(KEYS.1)?.ok_or_else(|| {
            ProfileError::new(id.place.clone(), ProfileProblem::Incomplete(KEYS.0, KEYS.1))
        })?;
        let token = match get("aws_session_token")? {
            Some(token) => Some(token),
            None => get("aws_security_token")?,
        };
        Ok(Some(AwsCredentials {
            access_key_id: id.plain(KEYS.0)?.to_owned(),
            secret_access_key: Zeroizing::new(secret.to_owned()),
            session_token: token.map(|token| Zeroizing::new(token.to_owned())),
            expires: None,
        }))
    }
}

/// Whether `header` is `kind` and `name`, which may be quoted.
fn is_header(header: &str, kind: &str, name: &str) -> bool {
    header.starts_with(kind) && shlex::split(header).is_some_and(|words| words == [kind, name])
}
