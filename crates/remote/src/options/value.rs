//! The values of options.

/// What the values of an option are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// Anything but nothing.
    Text,
    /// Without spaces.
    Word,
    /// The same, and nobody may see it.
    Secret,
    Path,
    /// Of a server: `https://…` or `http://…`.
    Url,
    /// The same, perhaps with a password.
    Proxy,
    /// `true` or `false`.
    Switch,
    /// The same, or `requester`.
    Payer,
    OneOf(&'static [&'static str]),
    /// From 1 on.
    Number {
        max: u64,
    },
    /// A number of seconds, perhaps with a unit.
    Seconds,
}

/// What a value must be. It does not contain the value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be {0}")]
pub struct StoreValueError(String);

impl Kind {
    /// The value as the transport gets it.
    pub(super) fn normalized(self, value: &str, opposite: bool) -> Result<String, StoreValueError> {
        let value = value.trim();
        let is_word = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic());
        let has_server = |schemes: &[&str]| {
            is_word
                && schemes
                    .iter()
                    .any(|scheme| value.len() > scheme.len() && value.starts_with(scheme))
        };
        let value = match self {
            Self::Text | Self::Path if !value.is_empty() && !value.contains('\n') => {
                Some(value.to_owned())
            }
            Self::Word | Self::Secret if is_word => Some(value.to_owned()),
            Self::Url if has_server(&["https://", "http://"]) => {
                Some(value.trim_end_matches('/').to_owned())
            }
            Self::Proxy if has_server(&["https://", "http://"]) => Some(value.to_owned()),
            Self::Payer if value.eq_ignore_ascii_case("requester") => Some("true".to_owned()),
            Self::Switch | Self::Payer => {
                switch(value).map(|is_on| (is_on != opposite).to_string())
            }
            Self::OneOf(values) => {
                let found = values.iter().find(|other| other.eq_ignore_ascii_case(value));
                found.map(|value| (*value).to_owned())
            }
            Self::Number { max } => {
                let number = value.parse().ok().filter(|number| (1..=max).contains(number));
                number.map(|number| number.to_string())
            }
            Self::Seconds => seconds(value).map(|seconds| seconds.to_string()),
            _ => None,
        };
        value.ok_or_else(|| StoreValueError(self.expected()))
    }

    fn expected(self) -> String {
        match self {
            Self::Text | Self::Path => "one line of text".to_owned(),
            Self::Word | Self::Secret => "a word of ASCII characters".to_owned(),
            Self::Url | Self::Proxy => "a URL: https://SERVER or http://SERVER".to_owned(),
            Self::Switch => "true or false".to_owned(),
            Self::Payer => "true, false or requester".to_owned(),
            Self::OneOf(values) => format!("one of {}", values.join(", ")),
            Self::Number { max } => format!("a number from 1 to {max}"),
            Self::Seconds => "a number of seconds from 1 on, or with a unit: 90s, 2m".to_owned(),
        }
    }
}

/// The words that the stores' own programs take.
fn switch(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "1" | "true" | "on" | "yes" | "y" => Some(true),
        "0" | "false" | "off" | "no" | "n" => Some(false),
        _ => None,
    }
}

fn seconds(value: &str) -> Option<u64> {
    let digits = value.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit = match value[digits.len()..].trim() {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return None,
    };
    let number: u32 = digits.trim().parse().ok().filter(|number| *number > 0)?;
    Some(u64::from(number) * unit)
}

/// Whether the value is a URL with a password.
pub(super) fn has_password(value: &str) -> bool {
    let authority = value.split_once("://").map(|(_, rest)| rest.split(['/', '?', '#']).next());
    authority.flatten().is_some_and(|authority| authority.contains('@'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_checked_and_normalized() {
        let normalized = |kind: Kind, value: &str| kind.normalized(value, false).ok();
        for (kind, value, wanted) in [
            (Kind::Switch, "Yes", Some("true")),
            (Kind::Switch, "0", Some("false")),
            (Kind::Switch, "maybe", None),
            (Kind::Payer, "requester", Some("true")),
            (Kind::Word, "eu-central-1", Some("eu-central-1")),
            (Kind::Word, "two words", None),
            (Kind::Word, "", None),
            (Kind::Url, "http://localhost:9000/", Some("http://localhost:9000")),
            (Kind::Url, "https://", None),
            (Kind::Url, "localhost", None),
            (Kind::OneOf(&["AES256"]), "aes256", Some("AES256")),
            (Kind::OneOf(&["AES256"]), "des", None),
            (Kind::Number { max: 9 }, "9", Some("9")),
            (Kind::Number { max: 9 }, "0", None),
            (Kind::Number { max: 9 }, "10", None),
            (Kind::Seconds, "90", Some("90")),
            (Kind::Seconds, "2m", Some("120")),
            (Kind::Seconds, "2 d", None),
            (Kind::Seconds, "0", None),
            (Kind::Text, "a\nb", None),
        ] {
            assert_eq!(normalized(kind, value).as_deref(), wanted, "{value:?}");
        }
        assert_eq!(Kind::Switch.normalized("true", true).unwrap(), "false");
    }

    #[test]
    fn passwords_in_urls_are_noticed() {
        assert!(has_password("http://me:word@proxy:8080"));
        assert!(!has_password("http://proxy:8080/@"));
        assert!(!has_password("me@home"));
    }
}
