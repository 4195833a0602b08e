//! Which URLs may be signed in to.
//!
//! A sign-in carries secrets, so it goes over https, or never leaves the machine; and never to the
//! link-local addresses where clouds keep their machines' metadata.

use ::url::Url;

use super::super::host;

/// What was allowed beyond the rule.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Allowed {
    /// Plain http to other machines (`allow_http`).
    pub(super) http: bool,
}

/// Why a URL is refused, and what to do.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) why: String,
    pub(super) hint: &'static str,
}

pub(super) fn refusal(text: &str, allowed: Allowed) -> Option<Refusal> {
    let no = |why: &str, hint| Some(Refusal { why: why.to_owned(), hint });
    let Ok(url) = Url::parse(text) else {
        return no("is not a URL", "write it as https://host/path");
    };
    if url.host().is_none() {
        return no("is not a URL with a host", "write it as https://host/path");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return no("holds a user name or password", "take it out of the URL");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return no("holds a query or a fragment", "end it before the '?' or '#'");
    }
    if host::names_link_local(&url) {
        let hint = "link-local addresses are where machines find their metadata, not an API";
        return no("points to a link-local address", hint);
    }
    match url.scheme() {
        "https" => None,
        "http" if allowed.http || host::loopback(&url) => None,
        "http" => no(
            "would send secrets over plain http",
            "write https://, or set allow_http = true in [cloud] if the network is yours alone",
        ),
        _ => no("is neither https nor http", "write it as https://host/path"),
    }
}

/// Whether the text is a host, or `*.` and a domain.
pub(super) fn is_host_pattern(text: &str) -> bool {
    let host = text.strip_prefix("*.").unwrap_or(text);
    let label = |l: &str| !l.is_empty() && l.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    let dotted = !text.starts_with("*.") || host.contains('.');
    dotted && host.len() <= 253 && host.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str, http: bool) -> bool {
        refusal(text, Allowed { http }).is_some()
    }

    #[test]
    fn secrets_leave_the_machine_over_https_only() {
        for fine in
            ["https://a.example/v3", "http://localhost:5000", "http://127.1.2.3", "http://[::1]/"]
        {
            assert!(!refused(fine, false), "{fine}");
        }
        for bad in [
            "http://a.example/v3",
            "http://10.0.0.1",
            "http://localhost.example",
            "http://keystone.localhost",
            "ftp://a",
            "a.example/v3",
            "https://",
        ] {
            assert!(refused(bad, false), "{bad}");
        }
        assert!(!refused("http://10.0.0.1:5000/v3", true));
    }

    #[test]
    fn metadata_addresses_and_secrets_in_urls_are_refused_whatever_is_allowed() {
        for bad in [
            "http://169.254.169.254/v3",
            "https://169.254.0.1",
            "https://[fe80::1]",
            "https://[::ffff:169.254.169.254]/",
            "https://[fd00:ec2::254]",
            "https://2852039166/",
            "https://user:pw@a.example",
            "https://a.example/v3?x=1",
        ] {
            assert!(refused(bad, true), "{bad}");
        }
    }

    #[test]
    fn host_patterns() {
        for good in ["a.example", "*.cloud.example.net", "localhost", "10.0.0.1"] {
            assert!(is_host_pattern(good), "{good}");
        }
        for bad in ["", "*", "*.", "*.net", "a.*.net", "https://a", "a/b", "a:80", ".a"] {
            assert!(!is_host_pattern(bad), "{bad}");
        }
    }
}
