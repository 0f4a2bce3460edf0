//! What a request asks for.

use crate::request::Request;

/// An operation, by its name in the documentation of S3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Operation {
    CreateBucket,
    HeadBucket,
    DeleteBucket,
    ListObjectsV2,
    ListMultipartUploads,
    DeleteObjects,
    HeadObject,
    GetObject,
    PutObject,
    CopyObject,
    DeleteObject,
    CreateMultipartUpload,
    UploadPart,
    UploadPartCopy,
    CompleteMultipartUpload,
    AbortMultipartUpload,
    ListParts,
    /// A request to the service of a machine in the cloud: below `/latest/`.
    InstanceMetadata,
    /// A request to the service of a container: `/container-credentials`.
    ContainerCredentials,
    /// A request to the service that exchanges tokens for credentials: `POST /`.
    AssumeRoleWithWebIdentity,
    /// One that this server does not know.
    Unknown,
}

impl Operation {
    pub(crate) fn of(request: &Request) -> Self {
        let has = |name| request.parameter(name).is_some();
        let copies = request.header("x-amz-copy-source").is_some();
        match (request.method.as_str(), request.bucket.as_str()) {
            ("PUT" | "GET", "latest") => return Self::InstanceMetadata,
            ("GET", "container-credentials") => return Self::ContainerCredentials,
            ("POST", "") => return Self::AssumeRoleWithWebIdentity,
            _ => {}
        }
        if request.key.is_empty() {
            return match request.method.as_str() {
                _ if request.bucket.is_empty() => Self::Unknown,
                "PUT" => Self::CreateBucket,
                "HEAD" => Self::HeadBucket,
                "DELETE" => Self::DeleteBucket,
                "GET" if has("uploads") => Self::ListMultipartUploads,
                "GET" if request.parameter("list-type") == Some("2") => Self::ListObjectsV2,
                "POST" if has("delete") => Self::DeleteObjects,
                _ => Self::Unknown,
            };
        }
        match request.method.as_str() {
            "HEAD" => Self::HeadObject,
            "GET" if has("uploadId") => Self::ListParts,
            "GET" => Self::GetObject,
            "PUT" if has("uploadId") && copies => Self::UploadPartCopy,
            "PUT" if has("uploadId") => Self::UploadPart,
            "PUT" if copies => Self::CopyObject,
            "PUT" => Self::PutObject,
            "POST" if has("uploads") => Self::CreateMultipartUpload,
            "POST" if has("uploadId") => Self::CompleteMultipartUpload,
            "DELETE" if has("uploadId") => Self::AbortMultipartUpload,
            "DELETE" => Self::DeleteObject,
            _ => Self::Unknown,
        }
    }
}
