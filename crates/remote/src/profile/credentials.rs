//! The credentials that requests to S3 are signed with.

use std::fmt;
use std::time::SystemTime;

use chrono::DateTime;
use zeroize::Zeroizing;

/// What requests to S3 are signed with.
#[derive(Clone, PartialEq, Eq)]
pub struct AwsCredentials {
    /// The name of the key, which is no secret.
    pub access_key_id: String,
    /// The key.
    pub secret_access_key: Zeroizing<String>,
    /// The token that belongs to a temporary key.
    pub session_token: Option<Zeroizing<String>>,
    /// When a temporary key expires, if that is known.
    pub expires: Option<SystemTime>,
}

impl AwsCredentials {
    /// The name of a value that no header of a request can contain, as the JSON of a credential
    /// process has it.
    pub(super) fn invalid(&self) -> Option<&'static str> {
        let token = self.session_token.as_deref().map_or("-", String::as_str);
        [
            ("AccessKeyId", self.access_key_id.as_str()),
            ("SecretAccessKey", &self.secret_access_key),
            ("SessionToken", token),
        ]
        .into_iter()
        .find(|(_, value)| !is_token(value))
        .map(|(name, _)| name)
    }
}

/// Whether `value` is neither empty nor has spaces, control characters or other characters than
/// those of ASCII.
pub(super) fn is_token(value: &str) -> bool {
    !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic())
}

/// A time as in RFC 3339, with any offset.
pub(super) fn parse_time(text: &str) -> Option<SystemTime> {
    DateTime::parse_from_rfc3339(text).ok().map(SystemTime::from)
}

/// Without the secrets.
impl fmt::Debug for AwsCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsCredentials")
            .field("access_key_id", &self.access_key_id)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}
