//! Hands each request to what answers it.

use crate::error::ErrorCode;
use crate::operation::Operation;
use crate::options::Options;
use crate::request::Request;
use crate::response::Response;
use crate::store::{Bucket, Store};
use crate::{google, list, multipart, objects, xml};

/// The longest key, in bytes.
const MAX_KEY: usize = 1024;

/// Does what is asked for, and answers.
pub(crate) fn handle(
    operation: Operation,
    mut request: Request,
    store: &mut Store,
    options: &Options,
) -> Response {
    let resource = format!("/{}/{}", request.bucket, request.key);
    let answer = if request.key.len() > MAX_KEY {
        Err(ErrorCode::KeyTooLongError)
    } else if options.is_google {
        let (bucket, key) = (request.bucket.clone(), request.key.clone());
        google::translate(operation, &mut request, store)
            .and_then(|()| dispatch(operation, request, store, options))
            .map(|response| {
                let object = store.bucket(&bucket).ok().and_then(|bucket| bucket.get(&key));
                google::answer(response, object)
            })
    } else {
        dispatch(operation, request, store, options)
    };
    answer.unwrap_or_else(|error| error.response(&resource))
}

fn dispatch(
    operation: Operation,
    request: Request,
    store: &mut Store,
    options: &Options,
) -> Result<Response, ErrorCode> {
    match operation {
        Operation::CreateBucket => create_bucket(&request, store),
        Operation::HeadBucket => store
            .bucket(&request.bucket)
            .map(|_| Response::empty(200).header("x-amz-bucket-region", &options.region)),
        Operation::DeleteBucket => delete_bucket(&request, store),
        Operation::ListObjectsV2 => list::objects(&request, store, options),
        Operation::ListMultipartUploads => list::uploads(&request, store),
        Operation::ListParts => list::parts(&request, store),
        Operation::HeadObject | Operation::GetObject => objects::get(&request, store),
        Operation::PutObject => objects::put(request, store, options),
        Operation::CopyObject => objects::copy(&request, store),
        Operation::DeleteObject => objects::delete(&request, store),
        Operation::DeleteObjects => delete_objects(&request, store),
        Operation::CreateMultipartUpload => multipart::create(&request, store),
        Operation::UploadPart => multipart::put_part(request, store, options),
        Operation::UploadPartCopy => multipart::copy_part(&request, store, options),
        Operation::CompleteMultipartUpload => multipart::complete(&request, store, options),
        Operation::AbortMultipartUpload => multipart::abort(&request, store),
        Operation::InstanceMetadata
        | Operation::ContainerCredentials
        | Operation::AssumeRoleWithWebIdentity
        | Operation::Unknown => Err(ErrorCode::MethodNotAllowed),
    }
}

fn create_bucket(request: &Request, store: &mut Store) -> Result<Response, ErrorCode> {
    if store.buckets.contains_key(&request.bucket) {
        return Err(ErrorCode::BucketAlreadyOwnedByYou);
    }
    store.buckets.insert(request.bucket.clone(), Bucket::new());
    Ok(Response::empty(200).header("Location", format!("/{}", request.bucket)))
}

fn delete_bucket(request: &Request, store: &mut Store) -> Result<Response, ErrorCode> {
    if !store.bucket(&request.bucket)?.is_empty() {
        return Err(ErrorCode::BucketNotEmpty);
    }
    store.buckets.remove(&request.bucket);
    Ok(Response::empty(204))
}

fn delete_objects(request: &Request, store: &mut Store) -> Result<Response, ErrorCode> {
    let body = std::str::from_utf8(&request.body).map_err(|_| ErrorCode::MalformedXML)?;
    let bucket = store.bucket(&request.bucket)?;
    let mut document = "<DeleteResult>".to_owned();
    for key in xml::elements(body, "Key") {
        bucket.remove(&xml::unescape(key));
        document += &format!("<Deleted><Key>{key}</Key></Deleted>");
    }
    Ok(Response::xml(200, &(document + "</DeleteResult>")))
}
