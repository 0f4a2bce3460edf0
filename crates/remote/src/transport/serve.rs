//! Answers requests.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use cryptstream_engine::ObjectErrorKind;
use futures_util::StreamExt;
use object_store::path::Path;
use object_store::signer::Method;
use object_store::{
    Attributes, GetOptions, GetRange, GetResult, ObjectStoreExt, PutMode, PutMultipartOptions,
    PutOptions, PutPayload, UpdateVersion,
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use tokio::task::AbortHandle;

use super::attributes::{attributes, meta_of, with_mark};
use super::complete::{complete, exists};
use super::copy::{copy, fetch};
use super::counter::Counter;
use super::http::IF_MATCH;
use super::list::list;
use super::list_uploads;
use super::settings::{Settings, SettingsError};
use super::signed::SignedRequest;
use super::store::{Bucket, Stores};
use super::trace::untraced;
use super::translate::translate;
use super::web::Web;
use crate::protocol::{Answer, Location, Meta, NewObject, Replaces, Request};

/// What is read from a file in memory at once, 1 MiB.
const PIECE: u64 = 1 << 20;

/// What is encoded in the key of an object to copy from.
const COPY_SOURCE: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');

type Result<T> = std::result::Result<T, SettingsError>;

/// Serves all stores.
#[derive(Debug)]
pub(super) struct Server {
    stores: Stores,
    counter: Arc<Counter>,
    web: Web,
    /// The names of the parts of uploads that are about to be completed.
    parts: Mutex<HashMap<String, Vec<String>>>,
    /// What uploads parts, by the upload.
    tasks: Mutex<HashMap<String, Vec<AbortHandle>>>,
}

impl Server {
    pub(super) fn new(settings: Settings, counter: &Arc<Counter>) -> Result<Self> {
        let stores = Stores::new(settings, counter)?;
        let web = Web::new(stores.connector().clone(), counter);
        let counter = Arc::clone(counter);
        Ok(Self { stores, counter, web, parts: Mutex::default(), tasks: Mutex::default() })
    }

    /// Uses new credentials, or new tokens to get some.
    pub(super) fn renew(&self, values: Vec<(String, String)>) {
        self.stores.renew(values);
    }

    /// The folder of a token that is read again when credentials for Azure expire.
    pub(super) fn token_folder(&self) -> Option<PathBuf> {
        self.stores.token_folder()
    }

    /// Keeps the names of parts until the upload is completed.
    pub(super) fn take_parts(&self, upload: String, first: usize, parts: Vec<String>) {
        let mut all = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let known = all.entry(upload).or_default();
        known.truncate(first);
        known.extend(parts);
    }

    /// Remembers what uploads a part, so that it can be stopped.
    pub(super) fn keep_task(&self, upload: String, task: AbortHandle) {
        let mut all = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        let tasks = all.entry(upload).or_default();
        tasks.retain(|task| !task.is_finished());
        tasks.push(task);
    }

    /// Stops sending the parts of an upload that is given up: they would hold up the request that
    /// aborts it, and a store may keep a part that comes after that.
    pub(super) fn stop_parts(&self, upload: &str) {
        let mut all = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        for task in all.remove(upload).unwrap_or_default() {
            task.abort();
        }
    }

    pub(super) async fn answer(&self, request: Request, file: Option<File>) -> Answer {
        match self.try_answer(request, file).await {
            Ok(answer) => answer,
            Err((kind, message)) => Answer::failed(kind, message),
        }
    }

    async fn try_answer(&self, request: Request, file: Option<File>) -> Result<Answer> {
        let no_file = || (ObjectErrorKind::Other, "a request without its file".to_owned());
        let file = file.as_ref().ok_or_else(no_file);
        match request {
            Request::Open { location, first } => {
                if let Some(url) = location.web_url() {
                    return self.web.open(&url, first, file?).await.map(Answer::Meta);
                }
                self.open(&location, first, file?).await.map(Answer::Meta)
            }
            Request::Fetch { location, meta, start, end } => {
                if let Some(url) = location.web_url() {
                    let fetched = self.web.fetch(&url, &meta, start, end, file?).await;
                    return fetched.map(|()| Answer::Done);
                }
                self.fetch(&location, &meta, start, end, file?).await.map(|()| Answer::Done)
            }
            Request::Stream { location } => {
                let url = location.web_url().ok_or_else(|| {
                    (ObjectErrorKind::Other, "an object of a store is no stream".to_owned())
                })?;
                self.web.pass(&url, file?).await.map(|()| Answer::Done)
            }
            Request::Stat { location } => match location.web_url() {
                Some(url) => self.web.stat(&url).await.map(Answer::Meta),
                None => self.stat(&location).await.map(Answer::Meta),
            },
            Request::Create { object } => self.create(&object).await.map(Answer::Named),
            Request::PutPart { location, upload, part, start, end } => {
                let (store, path) = self.place(&location)?;
                let payload = payload(file?, start, end)?;
                let put = store.uploads().put_part(&path, &upload, part, payload).await;
                put.map(|part| Answer::Named(part.content_id)).map_err(|error| translate(&error))
            }
            Request::CopyPart { object, upload, part, from, len } => {
                self.copy_part(&object, &upload, part, from, len).await.map(Answer::Named)
            }
            Request::Complete { object, upload, count, len } => {
                self.complete(&object, upload, count, len).await.map(|()| Answer::Done)
            }
            Request::Uploads { location, after } => {
                let bucket = self.bucket(&location)?;
                if matches!(bucket, Bucket::Azure(_)) {
                    return Err(list_uploads::no_uploads());
                }
                let page = list_uploads::page(&location.key, after);
                list_uploads::parse(&page.send(&bucket, &self.stores.connector).await?)
            }
            Request::Abort { location, upload } => {
                let (store, path) = self.place(&location)?;
                let aborted = store.uploads().abort_multipart(&path, &upload).await;
                aborted.map(|()| Answer::Done).map_err(|error| translate(&error))
            }
            Request::Remove { location, meta } => {
                self.remove(&location, &meta).await.map(|()| Answer::Done)
            }
            Request::Put { object, len } => {
                self.put(&object, len, file?).await.map(|()| Answer::Done)
            }
            Request::Delete { location } => match self.delete(&location).await {
                Ok(()) | Err((ObjectErrorKind::NotFound, _)) => Ok(Answer::Done),
                Err(error) => Err(error),
            },
            Request::List { location, page } => self.list(&location, page, file?).await,
            Request::Parts { .. } | Request::Renew { .. } => {
                Err((ObjectErrorKind::Other, "a request too many".to_owned()))
            }
        }
    }

    fn bucket(&self, location: &Location) -> Result<Bucket> {
        self.stores.bucket(location)
    }

    fn place(&self, location: &Location) -> Result<(Bucket, Path)> {
        let path = Path::parse(&location.key)
            .map_err(|error| (ObjectErrorKind::Settings, error.to_string()))?;
        Ok((self.bucket(location)?, path))
    }

    async fn open(&self, location: &Location, first: u64, file: &File) -> Result<Meta> {
        let (store, path) = self.place(location)?;
        let options =
            GetOptions { range: Some(GetRange::Bounded(0..first)), ..GetOptions::default() };
        let result = match store.objects().get_opts(&path, options).await {
            Ok(result) => result,
            // Of an empty object there is no range.
            Err(error) if error.to_string().contains("416") => return self.stat(location).await,
            Err(error) => return Err(translate(&error)),
        };
        let meta = meta_of(&result);
        let end = first.min(meta.len);
        match copy(content(result), 0, end, file, &self.counter).await {
            Ok(position) if position == end => Ok(meta),
            Ok(position) | Err((position, _)) => {
                self.fetch(location, &meta, position, end, file).await.map(|()| meta)
            }
        }
    }

    async fn stat(&self, location: &Location) -> Result<Meta> {
        let (store, path) = self.place(location)?;
        let options = GetOptions { head: true, ..GetOptions::default() };
        let error = match store.objects().get_opts(&path, options).await {
            Ok(result) => return Ok(meta_of(&result)),
            Err(error) => error,
        };
        let (kind, message) = translate(&error);
        if matches!(kind, ObjectErrorKind::NotFound | ObjectErrorKind::Unavailable) {
            return Err((kind, message));
        }
        // The answer to HEAD has no body, so it does not tell the reason.
        let options = GetOptions { range: Some(GetRange::Bounded(0..1)), ..GetOptions::default() };
        match store.objects().get_opts(&path, options).await {
            Ok(result) => Ok(meta_of(&result)),
            Err(error) => Err(translate(&error)),
        }
    }

    /// Fetches bytes from `start` up to `end`, and asks again for what does not come.
    async fn fetch(
        &self,
        location: &Location,
        meta: &Meta,
        start: u64,
        end: u64,
        file: &File,
    ) -> Result<()> {
        let (store, path) = self.place(location)?;
        let get = async |position| {
            let options = GetOptions {
                range: Some(GetRange::Bounded(position..end)),
                if_match: meta.etag.clone(),
                version: meta.version.clone(),
                ..GetOptions::default()
            };
            let result = match store.objects().get_opts(&path, options).await {
                Ok(result) => result,
                // Of a version that was replaced, Google keeps nothing.
                Err(object_store::Error::NotFound { .. }) if meta.version.is_some() => {
                    return Err(replaced());
                }
                Err(error) => return Err(translate(&error)),
            };
            // Some stores ignore the condition.
            match meta.is_same(&meta_of(&result)) {
                true => Ok(content(result)),
                false => Err(replaced()),
            }
        };
        fetch(get, start, end, file, &self.counter).await
    }

    /// Removes an object, unless it was replaced. Some stores ignore the condition, so it is asked
    /// for before.
    async fn remove(&self, location: &Location, meta: &Meta) -> Result<()> {
        let Some(etag) = meta.etag.clone() else { return Err(replaced()) };
        if !meta.is_same(&self.stat(location).await?) {
            return Err(replaced());
        }
        let (store, path) = self.place(location)?;
        let request = SignedRequest::new(Method::DELETE, path);
        let request = match (&store, &meta.version) {
            (Bucket::Google(_), Some(version)) => {
                request.header("x-goog-if-generation-match", version)
            }
            _ => request.header(IF_MATCH, &etag),
        };
        match request.send(&store, &self.stores.connector).await {
            Ok(_) => Ok(()),
            // If an answer was lost, the repetition finds nothing.
            Err(error) => match untraced(self.stat(location)).await {
                Err((ObjectErrorKind::NotFound, _)) => Ok(()),
                _ => Err(error),
            },
        }
    }

    async fn delete(&self, location: &Location) -> Result<()> {
        let (store, path) = self.place(location)?;
        if matches!(store, Bucket::Azure(_)) {
            // `object_store` would put it into a batch, which a signature for a container forbids.
            let request = SignedRequest::new(Method::DELETE, path);
            return request.send(&store, &self.stores.connector).await.map(drop);
        }
        store.objects().delete(&path).await.map_err(|error| translate(&error))
    }

    async fn create(&self, object: &NewObject) -> Result<String> {
        let (store, path) = self.place(&object.location)?;
        if matches!(store, Bucket::Azure(_)) {
            // Its uploads have no names and begin with the first block.
            return Ok(object.mark.clone());
        }
        let attributes = self.attributes(object).await?;
        let options = PutMultipartOptions { attributes, ..Default::default() };
        let created = store.uploads().create_multipart_opts(&path, options).await;
        created.map_err(|error| translate(&error))
    }

    async fn complete(
        &self,
        object: &NewObject,
        upload: String,
        count: usize,
        len: u64,
    ) -> Result<()> {
        let (store, path) = self.place(&object.location)?;
        let parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner).remove(&upload);
        let parts = parts.unwrap_or_default();
        if parts.len() != count {
            return Err((ObjectErrorKind::Other, "the names of parts are missing".to_owned()));
        }
        match &object.replaces {
            // Some stores ignore the condition.
            Replaces::Only(meta) if !meta.is_same(&self.stat(&object.location).await?) => {
                return Err(replaced());
            }
            // Google has none for uploads in parts.
            Replaces::Nothing if matches!(store, Bucket::Google(_)) => {
                match self.stat(&object.location).await {
                    Ok(meta) if meta.mark.as_ref() == Some(&object.mark) => {}
                    Ok(_) => return Err(exists()),
                    Err((ObjectErrorKind::NotFound, _)) => {}
                    Err(error) => return Err(error),
                }
            }
            _ => {}
        }
        let attributes = match store {
            Bucket::Azure(_) => self.attributes(object).await?,
            _ => Attributes::new(),
        };
        match complete(&self.stores, object, path, &upload, parts, &attributes).await {
            Ok(()) => Ok(()),
            Err(error) => self.explain(object, len, error).await,
        }
    }

    async fn put(&self, object: &NewObject, len: u64, file: &File) -> Result<()> {
        let (store, path) = self.place(&object.location)?;
        let mode = match &object.replaces {
            Replaces::Anything => PutMode::Overwrite,
            Replaces::Nothing => PutMode::Create,
            Replaces::Only(meta) if !meta.is_same(&self.stat(&object.location).await?) => {
                return Err(replaced());
            }
            Replaces::Only(Meta { etag, version, .. }) => {
                PutMode::Update(UpdateVersion { e_tag: etag.clone(), version: version.clone() })
            }
        };
        let attributes = self.attributes(object).await?;
        let options = PutOptions { mode, attributes, ..PutOptions::default() };
        match store.objects().put_opts(&path, payload(file, 0, len)?, options).await {
            Ok(_) => Ok(()),
            Err(error) => self.explain(object, len, translate(&error)).await,
        }
    }

    async fn list(&self, location: &Location, name: Option<String>, file: &File) -> Result<Answer> {
        let bucket = self.bucket(location)?;
        let page = list(bucket.pages(), &location.key, name).await?;
        let failed = |error: std::io::Error| (ObjectErrorKind::Other, error.to_string());
        let bytes = serde_json::to_vec(&page.objects).map_err(|error| failed(error.into()))?;
        file.write_all_at(&bytes, 0).map_err(failed)?;
        Ok(Answer::Page { len: bytes.len() as u64, next: page.next })
    }

    /// Has the store copy a part of the object that is replaced. Returns its name.
    async fn copy_part(
        &self,
        object: &NewObject,
        upload: &str,
        part: usize,
        from: u64,
        len: u64,
    ) -> Result<String> {
        let Replaces::Only(meta) = &object.replaces else { return Err(replaced()) };
        let (store, path) = self.place(&object.location)?;
        if !matches!(store, Bucket::S3 { .. }) {
            return Err((ObjectErrorKind::Unsupported, "the store copies no parts".to_owned()));
        }
        let Location { bucket, key, .. } = &object.location;
        let mut source = format!("{bucket}/{}", utf8_percent_encode(key, COPY_SOURCE));
        if let Some(version) = &meta.version {
            source += &format!("?versionId={version}");
        }
        let range = format!("bytes={from}-{}", from + len - 1);
        let request = SignedRequest::new(Method::PUT, path)
            .query("partNumber", (part + 1).to_string())
            .query("uploadId", upload)
            .header("x-amz-copy-source", &source)
            .header("x-amz-copy-source-range", &range)
            .header("x-amz-copy-source-if-match", meta.etag.as_deref().unwrap_or_default());
        let body = request.send(&store, &self.stores.connector).await?;
        let copied: CopiedPart = quick_xml::de::from_str(&body)
            .map_err(|error| (ObjectErrorKind::Other, format!("an odd answer: {error}")))?;
        Ok(copied.etag)
    }

    /// What is said of a new object besides its content.
    async fn attributes(&self, object: &NewObject) -> Result<Attributes> {
        let class = self.stores.storage_class(object.location.scheme);
        let Replaces::Only(meta) = &object.replaces else { return Ok(attributes(object, class)) };
        let (store, path) = self.place(&object.location)?;
        let options =
            GetOptions { head: true, if_match: meta.etag.clone(), ..GetOptions::default() };
        let old = store.objects().get_opts(&path, options).await;
        let old = old.map_err(|error| translate(&error))?.attributes;
        Ok(with_mark(old, object, class))
    }

    /// Finds out what a failure to make an object means. If an answer was lost and the request was
    /// repeated, the store refuses the repetition: then the object has this run's mark.
    async fn explain(
        &self,
        object: &NewObject,
        len: u64,
        (kind, message): SettingsError,
    ) -> Result<()> {
        match untraced(self.stat(&object.location)).await {
            Ok(meta) if meta.mark.as_ref() == Some(&object.mark) && meta.len == len => Ok(()),
            Ok(_)
                if matches!(object.replaces, Replaces::Nothing)
                    && matches!(kind, ObjectErrorKind::Changed | ObjectErrorKind::Exists) =>
            {
                Err(exists())
            }
            _ => Err((kind, message)),
        }
    }
}

fn replaced() -> SettingsError {
    (ObjectErrorKind::Changed, "the object has been replaced".to_owned())
}

/// The element `CopyPartResult`.
#[derive(Deserialize)]
struct CopiedPart {
    #[serde(rename = "ETag")]
    etag: String,
}

/// What comes, with errors in words.
fn content(result: GetResult) -> impl futures_util::Stream<Item = Result<Bytes>> + Unpin {
    result.into_stream().map(|piece| piece.map_err(|error| translate(&error)))
}

/// The bytes of `file` from `start` up to `end`.
fn payload(file: &File, start: u64, end: u64) -> Result<PutPayload> {
    let mut pieces = Vec::new();
    let mut position = start;
    while position < end {
        let mut piece = vec![0; PIECE.min(end - position) as usize];
        file.read_exact_at(&mut piece, position)
            .map_err(|error| (ObjectErrorKind::Other, error.to_string()))?;
        position += piece.len() as u64;
        pieces.push(Bytes::from(piece));
    }
    Ok(pieces.into_iter().collect())
}
