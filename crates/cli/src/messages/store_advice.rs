//! What to do about what a store has refused.

use cryptstream_engine::StoreRequest;

/// A difference of the clocks that is worth a word, in seconds. Stores accept 15 minutes.
const CLOCK_TOLERANCE: u64 = 240;

/// What to do about the refusal of a request for an object of `bucket`, if its code tells it.
pub(super) fn advice(request: &StoreRequest, bucket: &str) -> Option<String> {
    let clock = clock(request);
    match request.code.as_deref() {
        Some("RequestTimeTooSkewed") => Some(clock.unwrap_or_else(|| {
            "set the clock of this machine (timedatectl set-ntp true), then try again".to_owned()
        })),
        Some("ExpiredToken" | "TokenRefreshRequired") => Some(
            "the temporary credentials have expired: get new ones (such as `aws sso login`), and \
             set AWS_SESSION_TOKEN or the profile again"
                .to_owned(),
        ),
        Some("InvalidToken") => Some(
            "AWS_SESSION_TOKEN does not belong to AWS_ACCESS_KEY_ID, or is cut off: set both again"
                .to_owned(),
        ),
        Some("InvalidAccessKeyId") => Some(
            "the store does not know AWS_ACCESS_KEY_ID: is it of another store (AWS_ENDPOINT_URL), \
             or was it deleted?"
                .to_owned(),
        ),
        Some("SignatureDoesNotMatch") => Some(clock.unwrap_or_else(|| {
            "AWS_SECRET_ACCESS_KEY does not belong to AWS_ACCESS_KEY_ID: set both again".to_owned()
        })),
        Some("InvalidObjectState") => {
            Some("the object is archived: have the store restore it, and wait".to_owned())
        }
        Some(
            "PermanentRedirect"
            | "TemporaryRedirect"
            | "AuthorizationHeaderMalformed"
            | "IllegalLocationConstraintException",
        ) => region(request, bucket),
        Some("AccessDenied" | "AllAccessDisabled") => Some(permission(request, bucket)),
        // The answer to HEAD has no body.
        None if request.status == Some(403) => Some(permission(request, bucket)),
        None if matches!(request.status, Some(301 | 307)) => region(request, bucket),
        _ => None,
    }
}

fn region(request: &StoreRequest, bucket: &str) -> Option<String> {
    let region = request.region.as_deref().filter(|region| {
        !region.is_empty()
            && region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    })?;
    Some(format!(
        "the bucket {bucket} is in the region {region}: set AWS_REGION={region}, or add \
         --storage-option region={region}"
    ))
}

fn permission(request: &StoreRequest, bucket: &str) -> String {
    let action = request.action.as_deref().or_else(|| action(&request.operation));
    let Some(action) = action else {
        return format!("ask whoever manages the bucket {bucket} what these credentials permit");
    };
    let whom = match action.split(':').next() {
        Some("kms") => "the key that the bucket is encrypted with".to_owned(),
        _ => format!("the bucket {bucket}"),
    };
    let missing = match request.operation.as_str() {
        // Without the right to list, a store does not tell that there is none.
        "HeadObject" | "GetObject" => ", if there is such an object",
        _ => "",
    };
    format!(
        "these credentials (AWS_ACCESS_KEY_ID or AWS_PROFILE) lack {action} for {whom}{missing}: ask \
         whoever manages it to permit that, or use others"
    )
}

/// What has to be permitted for an operation.
fn action(operation: &str) -> Option<&'static str> {
    Some(match operation {
        "HeadObject" | "GetObject" => "s3:GetObject",
        "PutObject" | "CreateMultipartUpload" | "UploadPart" | "CompleteMultipartUpload" => {
            "s3:PutObject"
        }
        "UploadPartCopy" => "s3:GetObject and s3:PutObject",
        "ListObjectsV2" => "s3:ListBucket",
        "ListMultipartUploads" => "s3:ListBucketMultipartUploads",
        "AbortMultipartUpload" => "s3:AbortMultipartUpload",
        "DeleteObject" => "s3:DeleteObject",
        _ => return None,
    })
}

/// That the clock of this machine is wrong, if it is.
fn clock(request: &StoreRequest) -> Option<String> {
    let ahead = request.clock_ahead?;
    let seconds = ahead.unsigned_abs();
    if seconds < CLOCK_TOLERANCE {
        return None;
    }
    let direction = if ahead > 0 { "behind" } else { "ahead of" };
    let minutes = seconds.div_ceil(60);
    Some(format!(
        "the clock of this machine is {minutes} minutes {direction} that of the store: set it \
         (timedatectl set-ntp true), then try again"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: &str, operation: &str) -> StoreRequest {
        let (code, operation) = (Some(code.to_owned()), operation.to_owned());
        StoreRequest { code, operation, status: Some(403), ..StoreRequest::default() }
    }

    #[test]
    fn each_refusal_has_its_advice() {
        let says = |request: &StoreRequest, words: &str| {
            let advice = advice(request, "mine").unwrap_or_default();
            assert!(advice.contains(words), "{request:?}: {advice}");
        };
        says(&refused("AccessDenied", "GetObject"), "lack s3:GetObject for the bucket mine, if");
        says(&refused("AccessDenied", "UploadPart"), "lack s3:PutObject for the bucket mine:");
        says(&refused("AccessDenied", "ListObjectsV2"), "lack s3:ListBucket");
        says(&refused("AccessDenied", "AbortMultipartUpload"), "s3:AbortMultipartUpload");
        says(&refused("AccessDenied", "Other"), "manages the bucket mine");
        let action = Some("kms:GenerateDataKey".to_owned());
        let encrypted = StoreRequest { action, ..refused("AccessDenied", "PutObject") };
        says(&encrypted, "lack kms:GenerateDataKey for the key");
        says(&refused("ExpiredToken", "GetObject"), "have expired");
        let late = StoreRequest { clock_ahead: Some(3601), ..refused("RequestTimeTooSkewed", "x") };
        says(&late, "61 minutes behind");
        let early =
            StoreRequest { clock_ahead: Some(-3600), ..refused("SignatureDoesNotMatch", "x") };
        says(&early, "60 minutes ahead of");
        says(&refused("SignatureDoesNotMatch", "x"), "does not belong");
        let region = Some("eu-west-9".to_owned());
        let elsewhere = StoreRequest { region, ..refused("PermanentRedirect", "x") };
        says(&elsewhere, "set AWS_REGION=eu-west-9");
        let region = Some("\u{1b}[2J".to_owned());
        let hostile = StoreRequest { region, ..refused("PermanentRedirect", "x") };
        assert_eq!(advice(&hostile, "mine"), None);
        let head = StoreRequest { code: None, ..refused("", "HeadObject") };
        says(&head, "s3:GetObject");
    }
}
