//! The times and permission bits that folders get after their content.
//!
//! An archive can have any number of them. So each distinct folder is stored once, with its name
//! and not its path, and their memory is limited.

use std::collections::HashMap;
use std::collections::hash_map::{Entry, RandomState};
use std::hash::BuildHasher;

use cryptstream_protection::Protection;

use crate::time::Time;

/// Bytes of memory for folders: enough for some 400,000 with names of usual length.
pub const FOLDER_BUDGET: u64 = 32 << 20;

/// Bytes that a folder takes besides its name: the node, and its share of the index.
const NODE_COST: u64 = 64;

/// Bytes of the budget that a folder of this name takes.
pub(crate) fn cost(name: &[u8]) -> u64 {
    NODE_COST + name.len() as u64
}

/// The folders of an archive.
#[derive(Default)]
pub(crate) struct Folders {
    nodes: Vec<Node>,
    names: Vec<u8>,
    /// By the hash of parent and name, the node that was added last; the others with
    /// this hash follow by `next`.
    index: HashMap<u64, u32>,
    hasher: RandomState,
    cost: u64,
}

struct Node {
    /// The parent folder; `NONE` for the root.
    parent: u32,
    next: u32,
    name_start: u32,
    name_len: u32,
    /// `None` for a folder that the archive only mentions as a parent.
    attributes: Option<Attributes>,
}

/// The permission bits and the modification time that a folder gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attributes {
    pub(crate) mode: u16,
    pub(crate) time: Time,
}

const NONE: u32 = u32::MAX;

/// The folders need more than [`FOLDER_BUDGET`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct OverBudget;

impl Folders {
    /// Stores the attributes of the folder at this path, in place of earlier ones.
    pub(crate) fn insert(
        &mut self,
        parts: &[&[u8]],
        attributes: Attributes,
    ) -> Result<(), OverBudget> {
        let mut node = NONE;
        for (at, part) in parts.iter().enumerate() {
            // Only in test builds: a folder that comes again is remembered again.
            let is_new = at + 1 == parts.len() && !Protection::UnpackBudget.is_on();
            node = match self.find(node, part) {
                Some(found) if !is_new => found,
                _ => self.add(node, part)?,
            };
        }
        if let Some(node) = self.nodes.get_mut(node as usize) {
            node.attributes = Some(attributes);
        }
        Ok(())
    }

    /// Removes the folder that was added last, and returns its path and attributes. Subfolders come
    /// before their parents.
    pub(crate) fn pop(&mut self) -> Option<(Vec<u8>, Attributes)> {
        while let Some(node) = self.nodes.pop() {
            if let Some(attributes) = node.attributes {
                return Some((self.path(&node), attributes));
            }
        }
        None
    }

    fn path(&self, node: &Node) -> Vec<u8> {
        let mut parts = vec![self.name(node)];
        let mut parent = node.parent;
        while let Some(above) = self.nodes.get(parent as usize) {
            parts.push(self.name(above));
            parent = above.parent;
        }
        parts.reverse();
        parts.join(&b'/')
    }

    fn name(&self, node: &Node) -> &[u8] {
        &self.names[node.name_start as usize..][..node.name_len as usize]
    }

    fn find(&self, parent: u32, name: &[u8]) -> Option<u32> {
        let mut at = *self.index.get(&self.hasher.hash_one((parent, name)))?;
        while let Some(node) = self.nodes.get(at as usize) {
            if node.parent == parent && self.name(node) == name {
                return Some(at);
            }
            at = node.next;
        }
        None
    }

    fn add(&mut self, parent: u32, name: &[u8]) -> Result<u32, OverBudget> {
        self.cost += cost(name);
        if self.cost > FOLDER_BUDGET && Protection::UnpackBudget.is_on() {
            return Err(OverBudget);
        }
        let number = |len: usize| u32::try_from(len).map_err(|_| OverBudget);
        let (this, name_start) = (number(self.nodes.len())?, number(self.names.len())?);
        let next = match self.index.entry(self.hasher.hash_one((parent, name))) {
            Entry::Occupied(mut entry) => entry.insert(this),
            Entry::Vacant(entry) => {
                entry.insert(this);
                NONE
            }
        };
        let name_len = number(name.len())?;
        self.nodes.push(Node { parent, next, name_start, name_len, attributes: None });
        self.names.extend_from_slice(name);
        Ok(this)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes(mode: u16) -> Attributes {
        Attributes { mode, time: Time::default() }
    }

    #[test]
    fn the_last_word_counts_and_what_is_within_comes_first() {
        let mut folders = Folders::default();
        folders.insert(&[b"a", b"b", b"c"], attributes(1)).unwrap();
        folders.insert(&[b"a"], attributes(2)).unwrap();
        folders.insert(&[b"d"], attributes(3)).unwrap();
        folders.insert(&[b"a", b"b", b"c"], attributes(4)).unwrap();
        folders.insert(&[b"a", b"c"], attributes(5)).unwrap();
        let popped: Vec<_> = std::iter::from_fn(|| folders.pop())
            .map(|(path, attributes)| (String::from_utf8(path).unwrap(), attributes.mode))
            .collect();
        let expected = [("a/c", 5), ("d", 3), ("a/b/c", 4), ("a", 2)];
        assert_eq!(popped, expected.map(|(path, mode)| (path.to_owned(), mode)));
    }

    #[test]
    fn memory_is_for_distinct_folders_and_limited() {
        let mut folders = Folders::default();
        for _ in 0..1_000_000 {
            folders.insert(&[b"the", b"same"], attributes(0)).unwrap();
        }
        assert_eq!(folders.nodes.len(), 2);
        let refused = (0..u32::MAX)
            .position(|number| folders.insert(&[&number.to_le_bytes()], attributes(0)).is_err());
        assert_eq!(refused, Some((FOLDER_BUDGET as usize - 2 * 64 - 7) / (64 + 4)));
    }
}
