//! Groups that are one user's alone, which Debian and Fedora make for every user.

use std::fs::File;
use std::io::Read;

const USERS: &str = "/etc/passwd";
const GROUPS: &str = "/etc/group";
/// Far more than the files of one machine have. Larger ones are not looked at.
const MAX_LEN: u64 = 4 << 20;

/// Whether this user is the only known member of the group.
pub(super) fn is_private(group: u32, user: u32) -> bool {
    match (read(USERS), read(GROUPS)) {
        (Some(users), Some(groups)) => is_private_in(&users, &groups, group, user),
        _ => false,
    }
}

fn read(path: &str) -> Option<String> {
    let mut text = String::new();
    let len = File::open(path).ok()?.take(MAX_LEN + 1).read_to_string(&mut text).ok()?;
    (len as u64 <= MAX_LEN).then_some(text)
}

/// The group must be known and have a member: one without any is for programs that
/// take its rights (setgid).
fn is_private_in(users: &str, groups: &str, group: u32, user: u32) -> bool {
    // Some accounts are in a directory (NIS) that these files only refer to.
    if [users, groups].iter().any(|text| text.lines().any(|line| line.starts_with(['+', '-']))) {
        return false;
    }
    // Name, user and primary group.
    let users: Vec<(&str, u32, u32)> = users
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            let mut number = || fields.nth(1)?.parse().ok();
            let id = number()?;
            Some((name, id, fields.next()?.parse().ok()?))
        })
        .collect();
    let primary = users.iter().filter(|(_, _, primary)| *primary == group);
    // A number may have several names.
    let mut is_known = false;
    let mut members = Vec::new();
    for line in groups.lines() {
        let fields: Vec<_> = line.split(':').collect();
        if let [_, _, number, names] = fields[..]
            && number.parse() == Ok(group)
        {
            is_known = true;
            members.extend(names.split(',').map(str::trim).filter(|name| !name.is_empty()));
        }
    }
    // One name may stand for several users.
    let has_only_user = |name: &&str| {
        let mut ids = users.iter().filter(|(known, ..)| known == name).map(|(_, id, _)| *id);
        ids.next() == Some(user) && ids.all(|id| id == user)
    };
    let is_empty = members.is_empty() && primary.clone().next().is_none();
    is_known
        && !is_empty
        && members.iter().all(has_only_user)
        && primary.clone().all(|(_, id, _)| *id == user)
}

#[cfg(test)]
mod tests {
    use super::*;

    const USERS: &str = "root:x:0:0:root:/root:/bin/sh\nkim:x:1000:1000::/home/kim:/bin/sh\n\
                         lee:x:1001:1001::/home/lee:/bin/sh\ntoor:x:0:0::/root:/bin/sh\n";

    #[test]
    fn only_a_group_with_one_user_is_private() {
        let is_private = |users: &str, groups: &str| is_private_in(users, groups, 1000, 1000);
        assert!(is_private(USERS, "root:x:0:\nkim:x:1000:\n"));
        assert!(is_private(USERS, "kim:x:1000:kim\n"));
        assert!(is_private_in(USERS, "root:x:0:root,toor\n", 0, 0), "one user has two names");
        for groups in [
            "",
            "root:x:0:\n",
            "kim:x:1000:lee\n",
            "kim:x:1000:kim,lee\n",
            "kim:x:1000:unknown\n",
            "kim:x:1000:\nteam:x:1000:lee\n",
            "kim:x:1000:\n+:::\n",
        ] {
            assert!(!is_private(USERS, groups), "{groups:?}");
        }
        let shared = format!("{USERS}max:x:1002:1000::/home/max:/bin/sh\n");
        assert!(!is_private(&shared, "kim:x:1000:\n"));
        assert!(!is_private_in(USERS, "program:x:50:\n", 50, 1000), "nobody is in it");
        assert!(!is_private_in(USERS, "kim:x:1000:\n", 1000, 0), "it is not root's");
    }
}
