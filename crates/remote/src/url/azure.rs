//! Containers of Azure, whose URLs may name the account.

/// The domains of Azure's clouds. Credentials are sent nowhere else because of a URL.
const CLOUDS: [&str; 3] = ["core.windows.net", "core.chinacloudapi.cn", "core.usgovcloudapi.net"];

/// A container as a URL names it: `CONTAINER`, or `CONTAINER@ACCOUNT.dfs.core.windows.net`, as in
/// the URLs of Azure Data Lake Storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Container<'t> {
    pub(crate) name: &'t str,
    pub(crate) account: Option<Account<'t>>,
}

/// An account, and the cloud that it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Account<'t> {
    pub(crate) name: &'t str,
    /// Such as `core.windows.net`.
    pub(crate) cloud: &'t str,
}

impl<'t> Container<'t> {
    /// Parses what stands between `://` and the key; `None` if it names no account of Azure.
    pub(crate) fn parse(text: &'t str) -> Option<Self> {
        match text.split_once('@') {
            None => Some(Self { name: text, account: None }),
            Some((name, server)) => Some(Self { name, account: Some(Account::parse(server)?) }),
        }
    }
}

impl<'t> Account<'t> {
    fn parse(server: &'t str) -> Option<Self> {
        let (name, rest) = server.split_once('.')?;
        let cloud = rest.strip_prefix("dfs.").or_else(|| rest.strip_prefix("blob."))?;
        let is_name = (3..=24).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        (is_name && CLOUDS.contains(&cloud)).then_some(Self { name, cloud })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_those_of_azure() {
        let account = |text| Container::parse(text).map(|it| it.account.map(|it| it.name));
        assert_eq!(account("c"), Some(None));
        assert_eq!(account("c@acc1.dfs.core.windows.net"), Some(Some("acc1")));
        assert_eq!(account("c@acc1.blob.core.usgovcloudapi.net"), Some(Some("acc1")));
        for wrong in [
            "c@acc1",
            "c@acc1.core.windows.net",
            "c@acc1.dfs.core.windows.net.example.org",
            "c@ac.dfs.core.windows.net",
            "c@acc/1.dfs.core.windows.net",
            "c@d@acc1.dfs.core.windows.net",
        ] {
            assert_eq!(account(wrong), None, "{wrong}");
        }
    }
}
