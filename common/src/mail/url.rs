//! Which server is meant? `https://host[:port]`, and nothing behind it.

use core::fmt;

use thiserror::Error;

use crate::limits::URL_BYTES_MAX;

/// Where a mailbox-server answers.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct MailboxUrl(String);

/// Why a text is not such an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UrlError {
    /// Something else in front.
    #[error("the address of a mailbox begins with https:// (or http:// in a network of your own)")]
    Scheme,
    /// No host, or more than host and port.
    #[error("the address of a mailbox is https:// with a host name and, if need be, a port")]
    Host,
    /// Longer than allowed.
    #[error("the address of the mailbox is too long")]
    TooLong,
}

impl MailboxUrl {
    /// Reads an address as it is written on the wire: lower case, nothing behind host and port.
    ///
    /// # Errors
    /// If it is something else.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        if text.len() > URL_BYTES_MAX {
            return Err(UrlError::TooLong);
        }
        let (scheme, authority) = text.split_once("://").ok_or(UrlError::Scheme)?;
        let usual = match scheme {
            "https" => "443",
            "http" => "80",
            _ => return Err(UrlError::Scheme),
        };
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (authority, None),
        };
        let named = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let is_host = match host.strip_prefix('[') {
            Some(rest) => rest.strip_suffix(']').is_some_and(|ip| {
                !ip.is_empty() && ip.bytes().all(|b| b.is_ascii_hexdigit() || b == b':')
            }),
            None => {
                !host.is_empty()
                    && host.split('.').all(|label| !label.is_empty() && label.bytes().all(named))
            }
        };
        let is_port = port.is_none_or(|port| {
            port != usual && !port.starts_with('0') && port.parse::<u16>().is_ok()
        });
        if is_host && is_port && host.bytes().all(|b| !b.is_ascii_uppercase()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(UrlError::Host)
        }
    }

    /// Reads what a person has typed: a slash at the end, capitals and the usual port do not matter,
    /// and https is meant if nothing else is said.
    ///
    /// # Errors
    /// If it is something else.
    pub fn typed(text: &str) -> Result<Self, UrlError> {
        let text = text.trim().trim_end_matches('/').to_ascii_lowercase();
        let text = if text.contains("://") { text } else { format!("https://{text}") };
        let text = match text.split_once("://") {
            Some(("https", rest)) => {
                format!("https://{}", rest.strip_suffix(":443").unwrap_or(rest))
            }
            Some(("http", rest)) => format!("http://{}", rest.strip_suffix(":80").unwrap_or(rest)),
            _ => text,
        };
        Self::parse(&text)
    }

    /// The whole address.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Host and port as requests name the server (spec 20 R2).
    pub fn audience(&self) -> &str {
        self.0.split_once("://").map_or("", |(_, authority)| authority)
    }
}

impl fmt::Display for MailboxUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for MailboxUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MailboxUrl(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_scheme_host_and_port() {
        for good in [
            "https://mail.example.org",
            "http://127.0.0.1:8448",
            "https://[2001:db8::1]:9",
            "https://[::1]",
        ] {
            assert_eq!(MailboxUrl::parse(good).map(|url| url.0), Ok(good.to_owned()));
        }
        for bad in [
            "ftp://x",
            "x",
            "https://",
            "https://a/b",
            "https://a?x",
            "https://A.org",
            "https://a:443",
            "http://a:80",
            "https://a:0",
            "https://a:08",
            "https://a:70000",
            "https://u@a",
            "https://a..b",
            "https://[::1",
            "https://[]",
            "https://a#f",
            "https://a:",
        ] {
            assert!(MailboxUrl::parse(bad).is_err(), "{bad}");
        }
        let typed = MailboxUrl::typed(" HTTPS://Mail.Example.org:443/ ").unwrap();
        assert_eq!(
            (typed.as_str(), typed.audience()),
            ("https://mail.example.org", "mail.example.org")
        );
        assert_eq!(MailboxUrl::typed("box.org").unwrap().as_str(), "https://box.org");
    }
}
