//! Whom a guest may talk to: the options `allow_hosts` and `allow_listen`, and what matches them.
//!
//! Pure: nothing is looked up here. What a name resolves to is told by whoever looked it up, and an address
//! that was resolved is matched together with its name, so that nobody who controls a name can widen a rule.
//!
//! **Addresses that lead inside.** Loopback, private, link-local and other addresses that mean nothing on the
//! public internet are what an attacker wants a guest to reach. A rule matches them only if it was plainly
//! written for them: an address or range that lies in such a block as a whole, or an exact name. Neither `*`,
//! `*.example.org` nor `0.0.0.0/0` ever does.

use std::fmt;
use std::net::IpAddr;
use std::sync::LazyLock;

use ipnet::{IpNet, Ipv4Net};
use url::Host;

/// Blocks whose addresses are not, or not surely, somewhere on the public internet (after the registries of
/// special-purpose addresses). Of IPv6, only 2000::/3 is given out at all; outside it are also those that carry an
/// address of IPv4 within.
static INSIDE: LazyLock<Vec<IpNet>> = LazyLock::new(|| {
    let blocks = [
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        // Azure's machines ask it who they are and what to run; it is reached from within them only.
        "168.63.129.16/32",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "::/3",
        "2001::/23",
        "2001:db8::/32",
        "2002::/16",
        "3fff::/20",
        "4000::/2",
        "8000::/1",
    ];
    blocks.map(|block| block.parse().expect("the table has ranges")).to_vec()
});

/// Longest name to be looked at, as it is written; DNS has up to 253 characters, in ASCII.
const MAX_NAME_BYTES: usize = 1000;

/// What an item of `allow_hosts` or `allow_listen` allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    whom: Whom,
    /// `None`: any.
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Whom {
    Anyone,
    /// An exact name, in the form [`Target::parse`] gives names.
    Name(String),
    /// Names that end so; with the dot.
    NamesBelow(String),
    Range(IpNet),
}

/// A host as a guest names it: an address in whatever spelling, or a name to look up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// An address; one of IPv4 that is mapped into IPv6 is that of IPv4.
    Address(IpAddr),
    /// A name: lower case, non-ASCII letters as punycode, without a dot at its end.
    Name(String),
}

impl Target {
    /// Reads a host as resolvers do, so that no spelling of an address (`127.1`, `0x7f000001`) passes for a
    /// name. `None` for what is neither.
    #[must_use]
    pub fn parse(host: &str) -> Option<Self> {
        if host.len() > MAX_NAME_BYTES {
            return None;
        }
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if let Ok(address) = bare.parse::<IpAddr>() {
            return Some(Self::Address(address.to_canonical()));
        }
        match Host::parse(host).ok()? {
            Host::Ipv4(address) => Some(Self::Address(address.into())),
            Host::Ipv6(address) => Some(Self::Address(IpAddr::from(address).to_canonical())),
            Host::Domain(name) => {
                let name = name.strip_suffix('.').unwrap_or(&name);
                (!name.is_empty()).then(|| Self::Name(name.to_owned()))
            }
        }
    }
}

/// The rules of one option.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules(Vec<Rule>);

impl Rules {
    /// Rules from an option's items.
    ///
    /// # Errors
    /// The first item that is none.
    pub fn parse(items: Vec<String>) -> Result<Self, String> {
        items.into_iter().map(|item| Rule::parse(&item).ok_or(item)).collect::<Result<_, _>>().map(Self)
    }

    /// Whether nothing is allowed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether each rule is for addresses: `allow_listen` knows no names.
    #[must_use]
    pub fn are_for_addresses(&self) -> bool {
        self.0.iter().all(|rule| matches!(rule.whom, Whom::Anyone | Whom::Range(_)))
    }

    /// Whether a name may be looked up: some rule has it, for whatever port.
    #[must_use]
    pub fn have_name(&self, name: &str) -> bool {
        self.0.iter().any(|rule| rule.names(name))
    }

    /// Whether a name may be asked at this port, given that its address is allowed for it too.
    #[must_use]
    pub fn have_name_at(&self, name: &str, port: u16) -> bool {
        self.0.iter().any(|rule| rule.names(name) && rule.is_for(port))
    }

    /// Whether an address that somebody wrote down may be connected to.
    #[must_use]
    pub fn have_address(&self, address: IpAddr, port: u16) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|rule| rule.is_for(port) && rule.covers(address))
    }

    /// Whether an address that `name` was resolved to may be connected to.
    #[must_use]
    pub fn have_resolved(&self, name: &str, address: IpAddr, port: u16) -> bool {
        let address = address.to_canonical();
        self.have_address(address, port)
            || self.0.iter().any(|rule| rule.is_for(port) && rule.names_for(name, address))
    }

    /// Whether some rule lets `name` be resolved to `address`, for whatever port.
    #[must_use]
    pub fn may_resolve(&self, name: &str, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|rule| rule.names_for(name, address) || rule.covers(address))
    }

    /// Whether a guest may wait for others at this address of ours. Here `*` means every address, as it is
    /// ours to say.
    #[must_use]
    pub fn have_local(&self, address: IpAddr, port: u16) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|rule| {
            rule.is_for(port)
                && match &rule.whom {
                    Whom::Anyone => true,
                    Whom::Range(range) => range.contains(&address),
                    Whom::Name(_) | Whom::NamesBelow(_) => false,
                }
        })
    }
}

impl Rule {
    /// `host`, `host:port`, `*.example.org:443`, `10.0.0.0/8:9000`, `[::1]:8080`, `[fd00::/8]:443`, `*`.
    fn parse(item: &str) -> Option<Self> {
        let (host, port) = split_port(item)?;
        let whom = if host == "*" {
            Whom::Anyone
        } else if let Some(domain) = host.strip_prefix("*.") {
            match Target::parse(domain)? {
                Target::Name(name) => Whom::NamesBelow(format!(".{name}")),
                Target::Address(_) => return None,
            }
        } else if let Ok(range) = host.parse::<IpNet>() {
            Whom::Range(canonical(range))
        } else {
            match Target::parse(host)? {
                Target::Name(name) if !name.contains('*') => Whom::Name(name),
                Target::Name(_) => return None,
                Target::Address(address) => Whom::Range(address.into()),
            }
        };
        Some(Self { whom, port })
    }

    fn is_for(&self, port: u16) -> bool {
        self.port.is_none_or(|only| only == port)
    }

    fn names(&self, name: &str) -> bool {
        match &self.whom {
            Whom::Anyone => true,
            Whom::Name(own) => own == name,
            Whom::NamesBelow(end) => name.len() > end.len() && name.ends_with(end.as_str()),
            Whom::Range(_) => false,
        }
    }

    /// Whether the rule has the name, and lets it stand for this address.
    fn names_for(&self, name: &str, address: IpAddr) -> bool {
        self.names(name) && (matches!(self.whom, Whom::Name(_)) || !leads_inside(address))
    }

    fn covers(&self, address: IpAddr) -> bool {
        match &self.whom {
            Whom::Anyone => !leads_inside(address),
            Whom::Range(range) => range.contains(&address) && (!leads_inside(address) || lies_inside(range)),
            Whom::Name(_) | Whom::NamesBelow(_) => false,
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.whom {
            Whom::Anyone => write!(f, "*")?,
            Whom::Name(name) => write!(f, "{name}")?,
            Whom::NamesBelow(end) => write!(f, "*{end}")?,
            Whom::Range(IpNet::V4(range)) => write!(f, "{range}")?,
            Whom::Range(IpNet::V6(range)) => write!(f, "[{range}]")?,
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// The host without brackets, and the port if there is one.
fn split_port(item: &str) -> Option<(&str, Option<u16>)> {
    let port = |text: &str| text.parse().ok().filter(|port| *port > 0);
    if let Some(rest) = item.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        if !host.contains(':') {
            return None;
        }
        return match rest {
            "" => Some((host, None)),
            rest => Some((host, Some(port(rest.strip_prefix(':')?)?))),
        };
    }
    // An address of IPv6 needs brackets only where a port follows.
    if item.parse::<IpNet>().is_ok() || item.parse::<IpAddr>().is_ok() {
        return Some((item, None));
    }
    match item.split_once(':') {
        None => Some((item, None)),
        Some((host, rest)) => Some((host, Some(port(rest)?))),
    }
}

/// A range of addresses of IPv4 that are mapped into IPv6 is that of IPv4, as such an address is.
fn canonical(range: IpNet) -> IpNet {
    let mapped_bits = 96;
    match (range.addr().to_canonical(), range.prefix_len().checked_sub(mapped_bits)) {
        (IpAddr::V4(address), Some(bits)) if range.addr().is_ipv6() => {
            Ipv4Net::new(address, bits).map_or(range, IpNet::V4)
        }
        _ => range,
    }
}

/// Whether an address is none of the public internet.
fn leads_inside(address: IpAddr) -> bool {
    INSIDE.iter().any(|block| block.contains(&address))
}

/// Whether all of a range is none of the public internet.
fn lies_inside(range: &IpNet) -> bool {
    INSIDE.iter().any(|block| block.contains(range))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(items: &str) -> Rules {
        Rules::parse(items.split(", ").map(str::to_owned).collect()).unwrap()
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn items_are_hosts_names_and_ranges_with_or_without_a_port() {
        for (item, shown) in [
            ("Example.ORG", "example.org"),
            ("example.org.:443", "example.org:443"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("*.example.org:443", "*.example.org:443"),
            ("*", "*"),
            ("*:80", "*:80"),
            ("10.0.0.0/8:9000", "10.0.0.0/8:9000"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::/0", "[::/0]"),
            ("127.0.0.1", "127.0.0.1/32"),
            ("[::1]:8080", "[::1/128]:8080"),
            ("::1", "[::1/128]"),
            ("[fd00::/8]:443", "[fd00::/8]:443"),
            ("fd00::/8", "[fd00::/8]"),
            // Another spelling of an address is an address.
            ("127.1:80", "127.0.0.1/32:80"),
        ] {
            assert_eq!(Rule::parse(item).expect(item).to_string(), shown);
        }
        for item in [
            "",
            ":80",
            "a:b",
            "a:0",
            "a:65536",
            "a:80:90",
            "a*",
            "a.*.b",
            "*.10.0.0.1",
            "**",
            "[::1",
            "[a]:80",
            "[10.0.0.1]:80",
            "10.0.0.0/33",
            "a/8",
            "a b",
            "http://a",
            "a/path",
            "[::1]8080",
            "[::1]:",
        ] {
            assert_eq!(Rule::parse(item), None, "{item}");
        }
    }

    #[test]
    fn an_address_is_allowed_by_its_range_and_port() {
        let rules = rules("93.184.0.0/16:80, 10.0.0.0/8:9000, [::1]:8080");
        assert!(rules.have_address(address("93.184.216.34"), 80));
        assert!(!rules.have_address(address("93.184.216.34"), 81));
        assert!(!rules.have_address(address("93.185.216.34"), 80));
        assert!(rules.have_address(address("10.1.2.3"), 9000));
        assert!(rules.have_address(address("::ffff:10.1.2.3"), 9000));
        assert!(rules.have_address(address("::1"), 8080));
        assert!(!rules.have_address(address("::1"), 80));
        assert!(!rules.have_address(address("::2"), 8080));
    }

    #[test]
    fn what_leads_inside_has_to_be_named() {
        for wide in ["*", "0.0.0.0/0", "::/0", "*.example.org", "126.0.0.0/7"] {
            let rules = rules(wide);
            for inner in [
                "127.0.0.1",
                "0.0.0.0",
                "10.0.0.1",
                "169.254.169.254",
                "192.168.1.1",
                "100.64.0.1",
                "172.31.0.1",
                "255.255.255.255",
                "224.0.0.1",
                "::1",
                "::",
                "fe80::1",
                "fd00::1",
                "::ffff:127.0.0.1",
                "::127.0.0.1",
                "64:ff9b::7f00:1",
                "2002:7f00:1::1",
                "ff02::1",
                // Translated into an address of IPv4; for examples; of routers; of nothing.
                "::ffff:0:7f00:1",
                "3fff::1",
                "5f00::1",
                "100:0:0:1::1",
            ] {
                assert!(!rules.have_address(address(inner), 80), "{wide} {inner}");
                assert!(!rules.have_resolved("a.example.org", address(inner), 80), "{wide} {inner}");
                assert!(!rules.may_resolve("a.example.org", address(inner)), "{wide} {inner}");
            }
        }
        assert!(rules("*").have_address(address("93.184.216.34"), 80));
        assert!(rules("*").have_address(address("2606:2800:220:1::1"), 80));
        assert!(rules("fd00::/8").have_address(address("fd00::1"), 80));
        assert!(rules("0.0.0.0/0").have_address(address("93.184.216.34"), 80));
        assert!(rules("169.254.169.254").have_address(address("169.254.169.254"), 80));
        assert!(rules("127.0.0.0/8").have_address(address("127.0.0.1"), 80));
    }

    #[test]
    fn a_name_opens_its_addresses_and_an_exact_one_those_inside_too() {
        let rules = rules("db.internal:5432, *.example.org:443");
        let (inner, outer) = (address("10.0.0.5"), address("93.184.216.34"));
        assert!(rules.have_name("db.internal") && rules.have_name_at("db.internal", 5432));
        assert!(!rules.have_name_at("db.internal", 80));
        assert!(rules.have_resolved("db.internal", inner, 5432));
        assert!(!rules.have_resolved("db.internal", inner, 443), "that is another name's port");
        assert!(!rules.have_address(inner, 5432), "not without the name");
        assert!(rules.have_name("a.example.org") && rules.have_name("a.b.example.org"));
        assert!(!rules.have_name("example.org") && !rules.have_name("aexample.org"));
        assert!(!rules.have_name("a.example.org.evil"));
        assert!(rules.have_resolved("a.example.org", outer, 443));
        assert!(!rules.have_resolved("a.example.org", inner, 443));
        assert!(!rules.have_resolved("other.example", outer, 443));
    }

    #[test]
    fn no_spelling_makes_a_name_of_an_address() {
        for spelling in [
            "127.0.0.1",
            "127.1",
            "0x7f000001",
            "2130706433",
            "0177.0.0.1",
            "::ffff:127.0.0.1",
            "[::ffff:7f00:1]",
            "127.0.0.1.",
            "１２７.0.0.1",
            "%31%32%37.0.0.1",
        ] {
            assert_eq!(Target::parse(spelling), Some(Target::Address(address("127.0.0.1"))), "{spelling}");
        }
        assert_eq!(Target::parse("LocalHost."), Some(Target::Name("localhost".into())));
        assert_eq!(Target::parse(&"a".repeat(MAX_NAME_BYTES + 1)), None);
        for nothing in ["", ".", "a b", "a@b", "[::1", "1.2.3.4.5.256"] {
            assert_eq!(Target::parse(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn listening_is_by_local_address() {
        let rules = rules("127.0.0.1:5140, [::]:514");
        assert!(rules.are_for_addresses());
        assert!(rules.have_local(address("127.0.0.1"), 5140));
        assert!(!rules.have_local(address("0.0.0.0"), 5140));
        assert!(!rules.have_local(address("127.0.0.1"), 5141));
        assert!(rules.have_local(address("::"), 514));
        assert!(Rules::parse(vec!["*:514".into()]).unwrap().have_local(address("0.0.0.0"), 514));
        assert!(!Rules::parse(vec!["a:514".into()]).unwrap().are_for_addresses());
    }
}
