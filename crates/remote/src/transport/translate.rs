//! Errors of stores in words.

use cryptstream_engine::ObjectErrorKind;
use object_store::Error;

/// Where machines in the cloud ask for credentials.
const METADATA_SERVICE: &str = "169.254.169.254";

/// What an error means, and what to tell the user: the store's own code and words if it has sent
/// some.
pub(super) fn translate(error: &Error) -> (ObjectErrorKind, String) {
    let text = full_text(error);
    let code = element(&text, "Code");
    let kind = match code {
        Some("NoSuchKey" | "NoSuchBucket" | "NoSuchVersion") => ObjectErrorKind::NotFound,
        Some(
            "AccessDenied"
            | "InvalidAccessKeyId"
            | "SignatureDoesNotMatch"
            | "ExpiredToken"
            | "InvalidToken"
            | "TokenRefreshRequired"
            | "RequestTimeTooSkewed"
            | "AccountProblem"
            | "AllAccessDisabled"
            | "InvalidSecurity"
            | "NotSignedUp",
        ) => ObjectErrorKind::Denied,
        Some(
            "PermanentRedirect"
            | "AuthorizationHeaderMalformed"
            | "IllegalLocationConstraintException",
        ) => ObjectErrorKind::Settings,
        Some(
            "SlowDown"
            | "InternalError"
            | "ServiceUnavailable"
            | "RequestTimeout"
            | "OperationAborted"
            | "ConditionalRequestConflict",
        ) => ObjectErrorKind::Unavailable,
        Some("NotImplemented" | "MethodNotAllowed") => ObjectErrorKind::Unsupported,
        _ => by_type(error, &text),
    };
    if kind == ObjectErrorKind::Changed {
        return (kind, in_words(kind, &text));
    }
    let message = match (code, element(&text, "Message")) {
        (Some(code), Some(message)) => format!("{message} ({code})"),
        (Some(code), None) => code.to_owned(),
        (None, _) => in_words(kind, &text),
    };
    (kind, message)
}

fn by_type(error: &Error, text: &str) -> ObjectErrorKind {
    match error {
        Error::NotFound { .. } => ObjectErrorKind::NotFound,
        Error::AlreadyExists { .. } => ObjectErrorKind::Exists,
        Error::Precondition { .. } => ObjectErrorKind::Changed,
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => ObjectErrorKind::Denied,
        Error::InvalidPath { .. }
        | Error::NotSupported { .. }
        | Error::UnknownConfigurationKey { .. } => ObjectErrorKind::Settings,
        _ if text.contains("LOCATION") => ObjectErrorKind::Settings,
        _ if text.contains("nstance credentials") || text.contains(METADATA_SERVICE) => {
            ObjectErrorKind::Denied
        }
        _ if ["status code: 5", "status code: 429", "HTTP error", "error sending request"]
            .iter()
            .any(|sign| text.contains(sign)) =>
        {
            ObjectErrorKind::Unavailable
        }
        _ => ObjectErrorKind::Other,
    }
}

/// Words for what the store has not explained.
fn in_words(kind: ObjectErrorKind, text: &str) -> String {
    match kind {
        ObjectErrorKind::NotFound => "there is no such object".to_owned(),
        ObjectErrorKind::Exists => "there is an object of this name".to_owned(),
        ObjectErrorKind::Changed => "the object has been replaced".to_owned(),
        _ if text.contains("LOCATION") => {
            "the bucket is in another region than AWS_REGION says".to_owned()
        }
        ObjectErrorKind::Denied if text.contains(METADATA_SERVICE) => {
            "there are no credentials, neither in the environment nor in a profile, and no metadata \
             service that has some"
                .to_owned()
        }
        ObjectErrorKind::Unavailable if text.contains("invalid peer certificate") => {
            let reason = text.rsplit(": ").next().unwrap_or(text);
            format!(
                "the certificate of the store is not trusted ({reason}); AWS_CA_BUNDLE can name a \
                 file with its authority"
            )
        }
        ObjectErrorKind::Unavailable if text.contains("(Connect)") => {
            // The innermost cause comes last.
            format!("the store cannot be reached: {}", text.rsplit(": ").next().unwrap_or(text))
        }
        // A presigned URL is a secret.
        _ => text.split('?').next().unwrap_or_default().to_owned(),
    }
}

/// The error and what has caused it, without repetitions.
fn full_text(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        source = error.source();
    }
    text
}

/// The content of the first XML element with this name.
fn element<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(content, _)| content)
}
