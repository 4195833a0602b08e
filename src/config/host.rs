//! Which hosts are this machine, and which are never asked. One judgement for `check`, which reads
//! a URL, and for the client, which follows it.

use std::net::IpAddr;

use ::url::{Host, Url};

/// Whether what is sent there stays on this machine: `localhost`, 127/8 or `::1`. A name below
/// `localhost` may be led elsewhere by a resolver that does not know RFC 6761.
pub fn loopback(url: &Url) -> bool {
    url.host_str() == Some("localhost") || address(url).is_some_and(|ip| ip.is_loopback())
}

/// Whether the URL names a link-local address, however it is written.
pub fn names_link_local(url: &Url) -> bool {
    address(url).is_some_and(link_local)
}

/// 169.254/16 also as `::ffff:169.254.…`, fe80::/10, and `fd00:ec2::254`, where Amazon's
/// metadata service listens on IPv6.
pub fn link_local(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => {
            ip.is_unicast_link_local() || ip.segments() == [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254]
        }
    }
}

fn address(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Ipv4(ip) => Some(IpAddr::V4(ip)),
        Host::Ipv6(ip) => Some(IpAddr::V6(ip).to_canonical()),
        Host::Domain(_) => None,
    }
}
