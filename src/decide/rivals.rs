//! Two installations on one group, by mistake: which one goes on.
//!
//! Nobody can know of the other before its mark is seen on a member. From then on the one
//! whose mark is on the oldest member goes on, and the other changes nothing: both see the
//! same members, so both come to the same answer without a word between them. So only what
//! both can see counts: whose mark it is and when Nova made the server, not what the group is
//! called here or there, nor whether the server may be deleted. Even the first
//! takes nothing away that serves, since what it has too much of may be the other's doing,
//! and servers are easier to delete than to bring back. While a member of the other one is
//! known by id only, its age is not: then nobody is first here.

use crate::domain::fleet::Member;
use crate::domain::id::InstallId;
use crate::domain::server::{Ownership, Server};

/// Members that carry another installation's mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rivals {
    pub n: u32,
    /// Whose mark it is, as far as a listing shows it; of several, that of the oldest member.
    pub install: Option<InstallId>,
    /// They came after us: the oldest member with a mark is ours.
    pub second: bool,
}

/// The rivals of this installation among the members, if there are any.
pub fn rivals(members: &[Member], install: &InstallId) -> Option<Rivals> {
    let theirs: Vec<&Member> =
        members.iter().filter(|m| m.ownership == Ownership::OtherInstall).collect();
    let shown = members.iter().filter_map(|m| m.server.as_deref());
    let marked: Vec<(&str, &Server)> =
        shown.filter_map(|server| Some((server.installation()?, server))).collect();
    let eldest = |of: &dyn Fn(&str) -> bool| {
        let those = marked.iter().filter(|(mark, _)| of(mark));
        those.min_by_key(|(_, server)| age(server)).map(|(mark, _)| *mark)
    };
    let n = u32::try_from(theirs.len()).ok().filter(|n| *n > 0)?;
    let other = eldest(&|mark| mark != install.as_str());
    let all_shown = theirs.iter().all(|m| m.server.is_some());
    Some(Rivals {
        n,
        install: other.and_then(|text| InstallId::new(text).ok()),
        second: all_shown && eldest(&|_| true) == Some(install.as_str()),
    })
}

/// In order of creation; what Nova made in one second, by id.
fn age(server: &Server) -> (i64, &str) {
    (server.created.0, server.id.as_str())
}
