//! Errors of stores in words.

use cryptstream_engine::ObjectErrorKind;
use object_store::Error;
use object_store::client::HttpError;

use super::no_credentials::NoCredentials;

/// Where machines in the cloud ask for credentials.
const METADATA_SERVICE: &str = "169.254.169.254";

/// What an error means, and what to tell the user: the store's own code and words if it has sent
/// some.
pub(super) fn translate(error: &Error) -> (ObjectErrorKind, String) {
    if let Some(reason) = no_credentials(error) {
        return (ObjectErrorKind::Denied, reason);
    }
    let text = full_text(error);
    let kind = element(&text, "Code").and_then(by_code).unwrap_or_else(|| by_type(error, &text));
    if kind == ObjectErrorKind::Changed {
        return (kind, in_words(kind, &text));
    }
    (kind, explanation(&text).map_or_else(|| in_words(kind, &text), |(_, message)| message))
}

/// What a code of S3, Google Cloud Storage or Azure means.
fn by_code(code: &str) -> Option<ObjectErrorKind> {
    Some(match code {
        "NoSuchKey" | "NoSuchBucket" | "NoSuchVersion" | "BlobNotFound" | "ContainerNotFound"
        | "ResourceNotFound" => ObjectErrorKind::NotFound,
        "BlobAlreadyExists" => ObjectErrorKind::Exists,
        // Blocks are lost when another program writes the same blob.
        "ConditionNotMet" | "TargetConditionNotMet" | "InvalidBlockList" => {
            ObjectErrorKind::Changed
        }
        "AuthenticationFailed"
        | "AuthenticationRequired"
        | "AuthorizationFailure"
        | "AuthorizationPermissionMismatch"
        | "AuthorizationProtocolMismatch"
        | "AuthorizationResourceTypeMismatch"
        | "AuthorizationServiceMismatch"
        | "AuthorizationSourceIPMismatch"
        | "AccountIsDisabled"
        | "InsufficientAccountPermissions"
        | "InvalidAuthenticationInfo"
        | "KeyBasedAuthenticationNotPermitted"
        | "NoAuthenticationInformation"
        | "PublicAccessNotPermitted" => ObjectErrorKind::Denied,
        "InvalidBucketName" | "InvalidResourceName" | "UserProjectMissing" => {
            ObjectErrorKind::Settings
        }
        "ContainerBeingDeleted"
        | "LeaseIdMissing"
        | "OperationTimedOut"
        | "ServerBusy"
        | "TooManyRequests" => ObjectErrorKind::Unavailable,
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
        | "NotSignedUp" => ObjectErrorKind::Denied,
        "PermanentRedirect"
        | "AuthorizationHeaderMalformed"
        | "IllegalLocationConstraintException" => ObjectErrorKind::Settings,
        "SlowDown"
        | "InternalError"
        | "ServiceUnavailable"
        | "RequestTimeout"
        | "OperationAborted"
        | "ConditionalRequestConflict" => ObjectErrorKind::Unavailable,
        "NotImplemented" | "MethodNotAllowed" => ObjectErrorKind::Unsupported,
        _ => return None,
    })
}

/// What has kept a request from being answered.
pub(super) fn translate_http(error: &HttpError) -> (ObjectErrorKind, String) {
    let kind = ObjectErrorKind::Unavailable;
    (kind, in_words(kind, &full_text(error)))
}

/// The store's own words and code in an answer, if it has sent some, and what the code means.
pub(super) fn explanation(answer: &str) -> Option<(Option<ObjectErrorKind>, String)> {
    let code = element(answer, "Code")?;
    // Google names the permission that is missing in the details.
    let message = match element(answer, "Details").or_else(|| element(answer, "Message")) {
        // Azure adds lines with a number and the time.
        Some(message) => {
            let words = message.split_once("\nRequestId:").map_or(message, |(words, _)| words);
            format!("{} ({code})", words.trim_end())
        }
        None => code.to_owned(),
    };
    Some((by_code(code), message))
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
        // Where credentials are exchanged for a token.
        _ if text.contains("token request") && text.contains("status code: 4") => {
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
            "there are no credentials, neither in the environment nor in a file of settings, and no \
             metadata service that has some"
                .to_owned()
        }
        ObjectErrorKind::Denied if text.contains("token request") => {
            let reason = ["error_description", "error"].into_iter();
            let reason = reason.filter_map(|name| json_text(text, name)).next();
            format!(
                "the credentials were refused when they were exchanged for a token: {}",
                reason.unwrap_or("no reason was given")
            )
        }
        ObjectErrorKind::Unavailable if text.contains("invalid peer certificate") => {
            let reason = text.rsplit(": ").next().unwrap_or(text);
            format!(
                "the certificate of the server is not trusted ({reason}); AWS_CA_BUNDLE or \
                 SSL_CERT_FILE can name a file with its authority"
            )
        }
        ObjectErrorKind::Unavailable if text.contains("(Connect)") => {
            // The innermost cause comes last.
            format!("the server cannot be reached: {}", text.rsplit(": ").next().unwrap_or(text))
        }
        // A presigned URL is a secret.
        _ => text.split('?').next().unwrap_or_default().to_owned(),
    }
}

/// Why there were no credentials to sign with, if that is it.
fn no_credentials(error: &Error) -> Option<String> {
    let mut error: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(one) = error {
        if let Some(reason) = one.downcast_ref::<NoCredentials>() {
            return Some(reason.to_string());
        }
        error = one.source();
    }
    None
}

/// The error and what has caused it, without repetitions.
fn full_text(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
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

/// The text with this name in JSON, up to the first character that is escaped.
fn json_text<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(&format!("\"{name}\""))?;
    let rest = rest.trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?;
    rest.split(['"', '\\']).next()
}

/// The content of the first XML element with this name.
fn element<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(content, _)| content)
}
