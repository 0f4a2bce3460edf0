//! Pages of listings.
//!
//! `object_store` asks for them, but does not read them: it refuses a page with a key that it cannot
//! send, and does not tell the markers of folders (`a/`) from objects.

use std::str;
use std::sync::{Arc, Mutex, PoisonError};

use cryptstream_engine::ObjectErrorKind;
use object_store::list::{PaginatedListOptions, PaginatedListStore};
use quick_xml::Reader;
use quick_xml::events::{BytesRef, Event};

use super::settings::SettingsError;
use super::translate::translate;
use crate::protocol::ListedObject;

/// What `object_store` gets instead of a page.
const NOTHING: &[u8] = b"<List><Blobs></Blobs></List>";

/// Takes the page out of the answer to a request that it goes along with.
#[derive(Clone, Debug, Default)]
pub(super) struct PageCatcher(Arc<Mutex<Option<Vec<u8>>>>);

/// A page of a listing.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) objects: Vec<ListedObject>,
    /// The name of the next one.
    pub(super) next: Option<String>,
}

/// Asks for the page of this name, or the first.
pub(super) async fn list(
    store: &dyn PaginatedListStore,
    prefix: &str,
    name: Option<String>,
) -> Result<Page, SettingsError> {
    let catcher = PageCatcher::default();
    let mut options = PaginatedListOptions { page_token: name, ..PaginatedListOptions::default() };
    options.extensions.insert(catcher.clone());
    let prefix = Some(prefix).filter(|prefix| !prefix.is_empty());
    store.list_paginated(prefix, options).await.map_err(|error| translate(&error))?;
    let xml = catcher.lock().take().unwrap_or_default();
    parse(&xml).map_err(|error| {
        let message = format!("the store's listing cannot be read: {error}");
        (ObjectErrorKind::Other, message)
    })
}

impl PageCatcher {
    /// Keeps the page, and returns one without objects.
    pub(super) fn catch(&self, xml: Vec<u8>) -> Vec<u8> {
        *self.lock() = Some(xml);
        NOTHING.to_vec()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads a page of ListObjectsV2 of S3, of the same of Google, or of List Blobs of Azure.
fn parse(xml: &[u8]) -> Result<Page, quick_xml::Error> {
    let mut reader = Reader::from_reader(xml);
    let mut page = Page::default();
    let (mut key, mut len, mut is_folder) = (None, None, false);
    let (mut text, mut is_truncated) = (String::new(), true);
    loop {
        match reader.read_event()? {
            Event::Start(start) => {
                text.clear();
                if matches!(start.local_name().as_ref(), b"Contents" | b"Blob") {
                    (key, len, is_folder) = (None, None, false);
                }
            }
            Event::Text(more) => text += &more.decode()?,
            Event::CData(more) => text += &more.decode()?,
            Event::GeneralRef(reference) => text.extend(character(&reference)?),
            Event::End(end) => match end.local_name().as_ref() {
                b"Key" | b"Name" => key = Some(std::mem::take(&mut text)),
                b"Size" | b"Content-Length" => len = text.trim().parse().ok(),
                // Of an account of Azure with folders.
                b"ResourceType" => is_folder = text.trim() == "directory",
                b"Contents" | b"Blob" => {
                    if let (Some(mut key), Some(len)) = (key.take(), len.take()) {
                        if is_folder {
                            key.push('/');
                        }
                        page.objects.push(ListedObject { key, len });
                    }
                }
                b"IsTruncated" => is_truncated = text.trim() == "true",
                b"NextContinuationToken" | b"NextMarker" if !text.is_empty() => {
                    page.next = Some(std::mem::take(&mut text));
                }
                _ => {}
            },
            Event::Eof => break,
            _ => {}
        }
    }
    page.next = page.next.filter(|_| is_truncated);
    Ok(page)
}

/// The character that a reference stands for.
fn character(reference: &BytesRef<'_>) -> Result<Option<char>, quick_xml::Error> {
    if let Some(character) = reference.resolve_char_ref()? {
        return Ok(Some(character));
    }
    Ok(match &**reference {
        b"amp" => Some('&'),
        b"lt" => Some('<'),
        b"gt" => Some('>'),
        b"quot" => Some('"'),
        b"apos" => Some('\''),
        // Refused later, as all keys with control characters.
        _ => Some('\u{1}'),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_what_the_store_has() {
        let xml = "<?xml version=\"1.0\"?><ListBucketResult><IsTruncated>true</IsTruncated>\
            <NextContinuationToken>to&amp;ken</NextContinuationToken>\
            <Contents><Key> a &lt;b&gt; &amp;amp; &#x1;&#10;\u{e4}/</Key><Size>0</Size></Contents>\
            <Contents><Size>5</Size><ETag>&quot;x&quot;</ETag><Key><![CDATA[p//q]]></Key></Contents>\
            </ListBucketResult>";
        let page = parse(xml.as_bytes()).unwrap();
        let keys: Vec<_> = page.objects.iter().map(|it| (it.key.as_str(), it.len)).collect();
        assert_eq!(keys, [(" a <b> &amp; \u{1}\n\u{e4}/", 0), ("p//q", 5)]);
        assert_eq!(page.next.as_deref(), Some("to&ken"));
        let last = xml.replace("true", "false");
        assert_eq!(parse(last.as_bytes()).unwrap().next, None);
        assert!(parse(b"<ListBucketResult><Contents>").is_ok_and(|page| page.objects.is_empty()));
        assert!(parse(b"<a></b>").is_err());
    }

    #[test]
    fn blobs_of_azure_are_objects_and_folders_end_in_a_slash() {
        let xml = "<?xml version=\"1.0\"?><EnumerationResults ContainerName=\"c\"><Blobs>\
            <Blob><Name>a &amp; b</Name><Properties><Content-Length>7</Content-Length>\
            <ResourceType>file</ResourceType></Properties></Blob>\
            <Blob><Name>d</Name><Properties><ResourceType>directory</ResourceType>\
            <Content-Length>0</Content-Length></Properties></Blob>\
            </Blobs><NextMarker>m</NextMarker></EnumerationResults>";
        let page = parse(xml.as_bytes()).unwrap();
        let keys: Vec<_> = page.objects.iter().map(|it| (it.key.as_str(), it.len)).collect();
        assert_eq!(keys, [("a & b", 7), ("d/", 0)]);
        assert_eq!(page.next.as_deref(), Some("m"));
        let last = xml.replace("<NextMarker>m</NextMarker>", "<NextMarker></NextMarker>");
        assert_eq!(parse(last.as_bytes()).unwrap().next, None);
    }
}
