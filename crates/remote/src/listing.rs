//! Lists the objects of a bucket, page by page. While one is used, the next one is fetched.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use crate::client::Transport;
use crate::memory_file::memory_file;
use crate::protocol::{Answer, ListedObject, Location, Request};
use crate::url::{MAX_KEY_LEN, ObjectUrl};

/// The longest page, in bytes: 1,000 of the longest keys, of which JSON makes six times as much.
const MAX_PAGE_LEN: u64 = 8 << 20;

/// The objects below a URL, in the order of the store, which is usually that of the bytes of their
/// keys.
#[derive(Debug)]
pub struct Listing {
    transport: Arc<Transport>,
    /// The bucket and the prefix.
    location: Location,
    page: std::vec::IntoIter<ListedObject>,
    /// The next page, if there is one.
    next: Option<NextPage>,
}

/// A page that was asked for.
#[derive(Debug)]
struct NextPage {
    file: Arc<File>,
    /// Its name; `None` for the first.
    name: Option<String>,
    /// The number of the answer.
    number: u64,
}

impl Listing {
    /// Lists what is below `url`.
    ///
    /// # Errors
    /// If the store cannot be asked.
    pub fn new(transport: &Arc<Transport>, url: &ObjectUrl) -> io::Result<Self> {
        let mut listing = Self {
            transport: Arc::clone(transport),
            location: Location::of(&url.to_prefix()),
            page: Vec::new().into_iter(),
            next: None,
        };
        listing.ask(None)?;
        Ok(listing)
    }

    fn ask(&mut self, name: Option<String>) -> io::Result<()> {
        let file = Arc::new(memory_file()?);
        let request = Request::List { location: self.location.clone(), page: name.clone() };
        let number = self.transport.send(request, Some(&file))?;
        self.next = Some(NextPage { file, name, number });
        Ok(())
    }

    /// Takes the next page, and asks for the one after it. Returns `false` at the end.
    fn advance(&mut self) -> io::Result<bool> {
        let Some(NextPage { file, name, number }) = self.next.take() else { return Ok(false) };
        let Answer::Page { len, next } = self.transport.wait(number)? else {
            return Err(invalid("a listing was asked for"));
        };
        if len > MAX_PAGE_LEN {
            return Err(invalid("a page of the listing is too long"));
        }
        let mut bytes = vec![0; len as usize];
        file.read_exact_at(&mut bytes, 0)?;
        let page: Vec<ListedObject> = serde_json::from_slice(&bytes)?;
        // The transport may have been taken over, or the store be a strange one.
        let prefix = &self.location.key;
        if page.iter().any(|it| !it.key.starts_with(prefix) || it.key.len() > MAX_KEY_LEN) {
            return Err(invalid("the store lists what was not asked for"));
        }
        if next.is_some() && next == name {
            return Err(invalid("the store lists the same page again"));
        }
        if next.is_some() {
            self.ask(next)?;
        }
        self.page = page.into_iter();
        Ok(true)
    }
}

impl Iterator for Listing {
    type Item = io::Result<ListedObject>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(object) = self.page.next() {
                return Some(Ok(object));
            }
            match self.advance() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

fn invalid(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}
