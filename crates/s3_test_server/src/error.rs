//! The errors of S3, by their codes.

use crate::response::Response;
use crate::xml;

macro_rules! errors {
    ($($code:ident = $status:literal, $message:literal;)*) => {
        /// An error of S3. The name of the variant is the code in the answer.
        /// See <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs)]
        pub enum ErrorCode {
            $($code,)*
        }

        impl ErrorCode {
            /// The HTTP status.
            #[must_use]
            pub fn status(self) -> u16 {
                match self {
                    $(Self::$code => $status,)*
                }
            }

            /// The text for people.
            #[must_use]
            pub fn message(self) -> &'static str {
                match self {
                    $(Self::$code => $message,)*
                }
            }
        }
    };
}

errors! {
    PermanentRedirect = 301, "The bucket you are attempting to access must be addressed using the specified endpoint.";
    NotModified = 304, "Not Modified";
    AuthorizationHeaderMalformed = 400, "The authorization header is malformed; the region is wrong.";
    BadRequest = 400, "An error occurred when parsing the HTTP request.";
    EntityTooLarge = 400, "Your proposed upload exceeds the maximum allowed size.";
    EntityTooSmall = 400, "Your proposed upload is smaller than the minimum allowed size.";
    ExpiredToken = 400, "The provided token has expired.";
    IncompleteBody = 400, "You did not provide the number of bytes specified by the Content-Length HTTP header.";
    InvalidArgument = 400, "Invalid Argument";
    InvalidPart = 400, "One or more of the specified parts could not be found. The part might not have been uploaded, or the specified entity tag might not have matched the part's entity tag.";
    InvalidPartOrder = 400, "The list of parts was not in ascending order. Parts list must be specified in order by part number.";
    InvalidURI = 400, "Couldn't parse the specified URI.";
    KeyTooLongError = 400, "Your key is too long";
    MalformedXML = 400, "The XML you provided was not well-formed or did not validate against our published schema.";
    RequestTimeout = 400, "Your socket connection to the server was not read from or written to within the timeout period. Idle connections will be closed.";
    AccessDenied = 403, "Access Denied";
    InvalidAccessKeyId = 403, "The AWS Access Key Id you provided does not exist in our records.";
    RequestTimeTooSkewed = 403, "The difference between the request time and the server's time is too large.";
    SignatureDoesNotMatch = 403, "The request signature we calculated does not match the signature you provided.";
    NoSuchBucket = 404, "The specified bucket does not exist";
    NoSuchKey = 404, "The specified key does not exist.";
    NoSuchUpload = 404, "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.";
    MethodNotAllowed = 405, "The specified method is not allowed against this resource.";
    BucketAlreadyOwnedByYou = 409, "Your previous request to create the named bucket succeeded and you already own it.";
    BucketNotEmpty = 409, "The bucket you tried to delete is not empty";
    ConditionalRequestConflict = 409, "The conditional request cannot succeed due to a conflicting operation against this resource.";
    PreconditionFailed = 412, "At least one of the pre-conditions you specified did not hold";
    InvalidRange = 416, "The requested range is not satisfiable";
    InternalError = 500, "We encountered an internal error. Please try again.";
    NotImplemented = 501, "A header you provided implies functionality that is not implemented";
    ServiceUnavailable = 503, "Service is unable to handle request.";
    SlowDown = 503, "Please reduce your request rate.";
}

impl ErrorCode {
    /// The answer to a request for a resource, given as `/BUCKET/KEY`.
    pub(crate) fn response(self, resource: &str) -> Response {
        Response::xml(self.status(), &self.document(resource))
    }

    /// The same with another text for people.
    pub(crate) fn response_with(self, message: &str, resource: &str) -> Response {
        Response::xml(self.status(), &self.document_with(message, resource))
    }

    /// The content of the `Error` element, which some answers with status 200 have too.
    pub(crate) fn document(self, resource: &str) -> String {
        self.document_with(self.message(), resource)
    }

    fn document_with(self, message: &str, resource: &str) -> String {
        format!(
            "<Error><Code>{self:?}</Code><Message>{}</Message><Resource>{}</Resource>\
             <RequestId>4442587FB7D0A2F9</RequestId></Error>",
            xml::escape(message),
            xml::escape(resource)
        )
    }
}
