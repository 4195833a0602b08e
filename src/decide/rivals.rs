//! Two installations on one group, by mistake: which one goes on.
//!
//! Nobody can know of the other before its mark is seen on a member. From then on the one
//! whose mark is on the oldest member goes on, and the other changes nothing: both see the
//! same members, so both come to the same answer without a word between them. Even the first
//! takes nothing away that serves, since what it has too much of may be the other's doing,
//! and servers are easier to delete than to bring back. While a member of the other one is
//! known by id only, its age is not: then nobody is first here.

use crate::domain::fleet::Member;
use crate::domain::id::{InstallId, mark};
use crate::domain::server::Ownership;

/// Members that carry another installation's mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rivals {
    pub n: u32,
    /// Whose mark it is, as far as a listing shows it; of several, that of the oldest member.
    pub install: Option<InstallId>,
    /// They came after us: the oldest member with a mark is ours.
    pub second: bool,
}

/// The rivals among the members, if there are any.
pub fn rivals(members: &[Member]) -> Option<Rivals> {
    let of = |ownership| members.iter().filter(move |m| m.ownership == ownership);
    let eldest = of(Ownership::OtherInstall).min_by_key(|m| age(m))?;
    let n = u32::try_from(of(Ownership::OtherInstall).count()).unwrap_or(u32::MAX);
    let install = eldest.server.as_ref().and_then(|s| s.metadata.get(mark::INSTALL));
    let install = install.and_then(|text| InstallId::new(text.as_str()).ok());
    let all_shown = of(Ownership::OtherInstall).all(|m| m.server.is_some());
    let marked = members.iter().filter(|m| m.ownership != Ownership::Foreign);
    let oldest = marked.min_by_key(|m| age(m));
    let second = all_shown && oldest.is_some_and(|m| m.ownership == Ownership::Ours);
    Some(Rivals { n, install, second })
}

/// In order of creation; what Nova made in one second, by id.
fn age(member: &Member) -> (i64, &str) {
    let created = member.server.as_ref().map_or(i64::MAX, |s| s.created.0);
    (created, member.id.as_str())
}
