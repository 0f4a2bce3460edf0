//! Outputs below a prefix of a store.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use cryptstream_engine::Error;
use cryptstream_remote::ObjectUrl;

use super::super::plan::{Plan, Store};
use super::compare::Pending;
use super::inputs::{Found, listing};
use super::next::Next;
use crate::messages::{self, Failure};
use crate::objects;

/// What is known of the objects below the prefixes of a run.
pub(super) struct PrefixOutputs {
    /// The keys that exist, as 64 bits each: there may be millions. One that only seems to exist
    /// costs a request and does no harm.
    keys: HashSet<u64>,
    hasher: RandomState,
}

impl PrefixOutputs {
    /// Lists what exists already.
    pub(super) fn new(plan: &Plan, store: &Store) -> Result<Self, Failure> {
        let mut outputs = Self { keys: HashSet::new(), hasher: RandomState::new() };
        for file in plan.roots.iter().filter(|root| root.folder.is_none()) {
            if objects::required_url(&file.output)?.is_prefix() {
                return Err(messages::objects::is_prefix(&file.output));
            }
        }
        let roots = plan.roots.iter().filter(|root| root.folder.is_some());
        let roots = roots.map(|root| root.output.as_path());
        let named = match store {
            Store::From { output, .. } => Some(output.as_path()),
            Store::To => None,
        };
        for output in roots.chain(named) {
            let prefix = objects::required_url(output)?.to_prefix();
            for object in listing(plan, &prefix)? {
                let object = object.map_err(|source| {
                    let error = Error::Open { path: objects::shown(&prefix), source };
                    messages::engine(error, plan.verb())
                })?;
                let hash = outputs.hash(prefix.bucket(), &object.key);
                outputs.keys.insert(hash);
            }
        }
        Ok(outputs)
    }

    fn hash(&self, bucket: &str, key: &str) -> u64 {
        self.hasher.hash_one((bucket, key))
    }

    pub(super) fn begin(&self, plan: &Plan, found: Found) -> Next<Pending> {
        let root = match objects::required_url(&found.root) {
            Ok(root) => root,
            Err(failure) => return Next::failed(failure),
        };
        // A file that the user has named was not looked for.
        let is_named = found.relative.as_os_str().is_empty();
        let url = match root.join(&found.relative) {
            Ok(url) => url,
            Err(error) => {
                let problem = error.problem().to_string();
                return Next::failed(messages::objects::bad_output_key(&found.path, &problem));
            }
        };
        match self.may_exist(&url, is_named) {
            false => Next::item(found, objects::new_object(url, false)),
            true if plan.force => Next::item(found, objects::new_object(url, true)),
            true => match Pending::object(found, url) {
                Ok(pending) => Next::Pending(Box::new(pending)),
                Err(error) => Next::failed_by(error, plan),
            },
        }
    }

    fn may_exist(&self, url: &ObjectUrl, is_named: bool) -> bool {
        is_named || self.keys.contains(&self.hash(url.bucket(), url.key()))
    }
}
