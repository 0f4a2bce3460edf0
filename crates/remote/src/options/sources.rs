//! Which source of an option counts.

use std::ffi::OsString;

use super::{KEYS, PROXY, STORE_OPTIONS, StoreOption, StoreOptionError, StoreOptions};

const PROFILE: &str = "profile";
/// Variables of the environment that belong to its credentials: after those of the keys, the file
/// with the token that is exchanged for some.
const MORE_OF_KEYS: [&str; 2] = ["AWS_CREDENTIAL_EXPIRATION", "AWS_WEB_IDENTITY_TOKEN_FILE"];

/// All that is said of stores but for the files of AWS, which come last: on the command line, in the
/// environment, and in the configuration file, in this order.
///
/// The credentials come from one source alone. A profile that is named has its own: if the command
/// line names it, those of the environment and of the configuration file do not count, and if the
/// environment does, those of the configuration file.
pub struct StoreSources<F> {
    flags: StoreOptions,
    file: StoreOptions,
    environment: F,
}

impl<F: Fn(&str) -> Option<OsString>> StoreSources<F> {
    /// `environment` returns the value of an environment variable.
    pub fn new(flags: StoreOptions, environment: F, file: StoreOptions) -> Self {
        Self { flags, file, environment }
    }

    /// The value of an environment variable, or what the other sources have in its place. What is
    /// empty counts as not set.
    pub fn variable(&self, name: &str) -> Option<OsString> {
        let Some(option) = STORE_OPTIONS.iter().find(|option| option.variables.contains(&name))
        else {
            return self.raw(name).filter(|_| !MORE_OF_KEYS.contains(&name) || self.has_own_keys());
        };
        let is_first = option.variables[0] == name;
        if option.is_secret() {
            return match self.has_own_keys() {
                true => self.raw(name),
                false => self.keys_in_file()?.get(option.name).filter(|_| is_first).map(Into::into),
            };
        }
        match self.flags.get(option.name) {
            Some(value) => is_first.then(|| value.into()),
            None if self.is_in_environment(option) => self.raw(name),
            None => self.file.get(option.name).filter(|_| is_first).map(Into::into),
        }
    }

    /// The endpoint that the command line names, which counts even where configured ones are ignored.
    pub fn flag_endpoint(&self) -> Option<&str> {
        self.flags.get("endpoint")
    }

    /// What the transport gets of the options, by the name of the first variable of each: of those for
    /// web servers alone, or of all. Credentials are not among them.
    ///
    /// # Errors
    ///
    /// If a variable has a value that its option cannot have, with the name of the variable.
    pub fn settings(
        &self,
        web_alone: bool,
    ) -> Result<Vec<(String, String)>, (&'static str, StoreOptionError)> {
        let mut settings = Vec::new();
        let options = STORE_OPTIONS.iter().filter(|it| !it.is_secret() && it.name != PROFILE);
        let options = options.filter(|it| !web_alone || it.is_of_web());
        for option in options {
            let mut set =
                |name: &str, value: &str| settings.push((name.to_owned(), value.to_owned()));
            if self.flags.get(option.name).is_none() && self.is_in_environment(option) {
                self.take_environment(option, &mut set)?;
            } else if let Some(value) = self.variable(option.variables[0]) {
                set(option.variables[0], &value.to_string_lossy());
            }
        }
        Ok(settings)
    }

    fn take_environment(
        &self,
        option: &'static StoreOption,
        set: &mut impl FnMut(&str, &str),
    ) -> Result<(), (&'static str, StoreOptionError)> {
        for &name in option.variables {
            let Some(value) = self.raw(name).and_then(|value| value.into_string().ok()) else {
                continue;
            };
            // There is one proxy for each kind of URL, and what has no scheme is also one.
            if option.variables == PROXY {
                set(name, &value);
                continue;
            }
            let value = option.kind.normalized(&value, false);
            let value =
                value.map_err(|error| (name, StoreOptionError::Value(option.name, error)))?;
            set(option.variables[0], &value);
            return Ok(());
        }
        Ok(())
    }

    /// Whether the credentials of the environment count.
    fn has_own_keys(&self) -> bool {
        self.flags.get(PROFILE).is_none()
            && (self.raw(KEYS[0]).is_some() || self.keys_in_file().is_none())
    }

    /// The configuration file, if its credentials may count.
    fn keys_in_file(&self) -> Option<&StoreOptions> {
        let names_profile = self.flags.get(PROFILE).is_some()
            || STORE_OPTIONS.iter().any(|it| it.name == PROFILE && self.is_in_environment(it));
        let has_keys = self.file.get("access-key-id").is_some();
        (!names_profile && has_keys).then_some(&self.file)
    }

    fn is_in_environment(&self, option: &StoreOption) -> bool {
        option.variables.iter().any(|name| self.raw(name).is_some())
    }

    fn raw(&self, name: &str) -> Option<OsString> {
        (self.environment)(name).filter(|value| !value.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(pairs: &[(&str, &str)]) -> StoreOptions {
        let mut options = StoreOptions::default();
        for (name, value) in pairs {
            options.set(name, value).unwrap();
        }
        options
    }

    type Pairs = &'static [(&'static str, &'static str)];

    fn sources(
        flags: Pairs,
        environment: Pairs,
        file: Pairs,
    ) -> StoreSources<impl Fn(&str) -> Option<OsString>> {
        let variable = |wanted: &str| {
            environment.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.into())
        };
        StoreSources::new(options(flags), variable, options(file))
    }

    #[test]
    fn flags_come_before_the_environment_and_this_before_the_file() {
        let flag: Pairs = &[("region", "flag")];
        let (first, second): (Pairs, Pairs) =
            (&[("AWS_REGION", "first")], &[("AWS_DEFAULT_REGION", "second"), ("AWS_REGION", "")]);
        let file: Pairs = &[("region", "file")];
        for (flags, environment, file, wanted) in [
            (flag, first, file, [Some("flag"), None]),
            (flag, second, file, [Some("flag"), None]),
            (&[], first, file, [Some("first"), None]),
            (&[], second, file, [None, Some("second")]),
            (&[], &[], file, [Some("file"), None]),
            (&[], &[], &[], [None, None]),
        ] {
            let sources = sources(flags, environment, file);
            let found = ["AWS_REGION", "AWS_DEFAULT_REGION"].map(|name| sources.variable(name));
            assert_eq!(
                found,
                wanted.map(|value| value.map(OsString::from)),
                "{flags:?} {environment:?} {file:?}"
            );
            let wanted = wanted.into_iter().flatten().next();
            let wanted = wanted.map(|value| ("AWS_REGION".to_owned(), value.to_owned()));
            assert_eq!(
                sources.settings(false).unwrap(),
                Vec::from_iter(wanted),
                "{flags:?} {environment:?} {file:?}"
            );
        }
    }

    #[test]
    fn credentials_come_from_one_source_alone() {
        const ENVIRONMENT: Pairs =
            &[("AWS_ACCESS_KEY_ID", "environment"), ("AWS_SECRET_ACCESS_KEY", "x")];
        const TOKEN: Pairs = &[("AWS_SESSION_TOKEN", "environment")];
        const FILE: Pairs = &[("access-key-id", "file"), ("secret-access-key", "x")];
        const NAMED: Pairs = &[("AWS_PROFILE", "p"), ("AWS_SESSION_TOKEN", "environment")];
        const BOTH: Pairs = &[
            ("AWS_PROFILE", "p"),
            ("AWS_ACCESS_KEY_ID", "environment"),
            ("AWS_SECRET_ACCESS_KEY", "x"),
        ];
        let flag: Pairs = &[("profile", "p")];
        for (flags, environment, file, id, token) in [
            (&[] as Pairs, ENVIRONMENT, FILE, Some("environment"), None),
            (&[], &[] as Pairs, FILE, Some("file"), None),
            // Half of them are none, and are not mixed with those of another source.
            (&[], TOKEN, FILE, Some("file"), None),
            (flag, ENVIRONMENT, FILE, None, None),
            (flag, TOKEN, FILE, None, None),
            (&[], NAMED, FILE, None, Some("environment")),
            (&[], BOTH, FILE, Some("environment"), None),
        ] {
            let sources = sources(flags, environment, file);
            let found = |name| sources.variable(name).map(|value| value.into_string().unwrap());
            assert_eq!(
                found("AWS_ACCESS_KEY_ID").as_deref(),
                id,
                "{flags:?} {environment:?} {file:?}"
            );
            // Without the other two it is nothing.
            assert_eq!(
                found("AWS_SESSION_TOKEN").as_deref(),
                token,
                "{flags:?} {environment:?} {file:?}"
            );
            assert!(
                sources.settings(false).unwrap().iter().all(|(name, _)| !KEYS.contains(&&**name))
            );
        }
    }

    #[test]
    fn a_profile_that_is_named_excludes_tokens_of_the_environment() {
        const TOKEN: Pairs = &[("AWS_WEB_IDENTITY_TOKEN_FILE", "/token")];
        assert!(sources(&[], TOKEN, &[]).variable("AWS_WEB_IDENTITY_TOKEN_FILE").is_some());
        let named = sources(&[("profile", "p")], TOKEN, &[]);
        assert_eq!(named.variable("AWS_WEB_IDENTITY_TOKEN_FILE"), None);
    }

    #[test]
    fn names_of_other_programs_are_understood_and_values_of_variables_checked() {
        for (name, value, wanted) in [
            ("aws_virtual_hosted_style_request", "1", ("virtual-host", "true")),
            ("path-style", "true", ("virtual-host", "false")),
            ("AWS_ENDPOINT_URL", "http://h/", ("endpoint", "http://h")),
            ("ANON", "true", ("skip-signature", "true")),
        ] {
            let options = options(&[(name, value)]);
            assert_eq!(options.get(wanted.0), Some(wanted.1));
        }
        let wrong = sources(&[], &[("AWS_REQUEST_PAYER", "me")], &[]).settings(false).unwrap_err();
        assert!(matches!(
            wrong,
            ("AWS_REQUEST_PAYER", StoreOptionError::Value("request-payer", _))
        ));
        let several: Pairs = &[("HTTP_PROXY", "a:1"), ("ALL_PROXY", "b:1")];
        assert_eq!(sources(&[], several, &[]).settings(false).unwrap().len(), 2);
        let file: Pairs = &[("proxy", "http://p")];
        assert_eq!(sources(&[], several, file).settings(false).unwrap().len(), 2);
        let all = sources(file, several, &[]).settings(false).unwrap();
        assert_eq!(all, [(PROXY[0].to_owned(), "http://p".to_owned())]);
        assert!(matches!(
            options(file).set("proxy-url", "http://q"),
            Err(StoreOptionError::Twice("proxy"))
        ));
        assert!(matches!(options(&[]).set("colour", "x"), Err(StoreOptionError::Unknown)));
    }
}
