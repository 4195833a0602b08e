//! Glance: images by id, by name, by pattern. Names are not unique and come anew with each
//! release of an image: the newest active one counts. Source: glance/api/v2/images.py.

use reqwest::Method;

use super::call::Service;
use super::session::Session;
use super::wire::{ImageBody, ImagesPage};
use crate::domain::group::ImageRef;
use crate::domain::id::Region;
use crate::domain::outcome::Failure;

/// Images of one page: Glance caps at 1000, and 200 are about 300 KB.
const PAGE: &str = "200";

/// Ten thousand images of one project's view are beyond any cloud we know.
const PAGES_MOST: usize = 50;

/// What was found.
pub(super) enum Found {
    /// The image's id.
    Image(String),
    /// Nothing fits; the names that there are, newest first, some of them.
    Names(Vec<String>),
    /// The image of this id exists but is not active: its status.
    Inactive(String),
}

/// The image that a template means.
pub(super) async fn find(
    session: &Session,
    region: &Region,
    wanted: &ImageRef,
) -> Result<Found, Failure> {
    match wanted {
        ImageRef::Id(id) => by_id(session, region, id).await,
        ImageRef::Name(name) => match by_name(session, region, name).await? {
            Some(id) => Ok(Found::Image(id)),
            None => newest(session, region, |_| false).await,
        },
        ImageRef::Newest(pattern) => newest(session, region, |name| fits(name, pattern)).await,
    }
}

async fn by_id(session: &Session, region: &Region, id: &str) -> Result<Found, Failure> {
    let path = ["images", id];
    let call = session.prepare(Service::Image, region, Method::GET, "/images/{id}", &path).await?;
    match session.read_json::<ImageBody>(&call).await {
        Ok(image) if image.status == "active" => Ok(Found::Image(image.id)),
        Ok(image) => Ok(Found::Inactive(image.status)),
        Err(failure) if failure.status == Some(403) => {
            tracing::debug!(%failure, "the image goes unverified");
            Ok(Found::Image(id.to_owned()))
        }
        Err(failure) if failure.status == Some(404) => newest(session, region, |_| false).await,
        Err(failure) => Err(failure),
    }
}

async fn by_name(
    session: &Session,
    region: &Region,
    name: &str,
) -> Result<Option<String>, Failure> {
    let query = [("name", name), ("status", "active"), ("sort", "created_at:desc"), ("limit", "5")];
    let call = session.prepare(Service::Image, region, Method::GET, "/images", &["images"]).await?;
    let page: ImagesPage = session.read_json(&call.query(&query)).await?;
    let same = |image: &ImageBody| image.name.as_deref() == Some(name) && image.status == "active";
    Ok(page.images.into_iter().find(same).map(|image| image.id))
}

/// The newest active image whose name fits, or the names that there are.
async fn newest(
    session: &Session,
    region: &Region,
    fits: impl Fn(&str) -> bool,
) -> Result<Found, Failure> {
    let mut names = Vec::new();
    let mut marker: Option<String> = None;
    for _ in 0..PAGES_MOST {
        let mut query = vec![("status", "active"), ("sort", "created_at:desc"), ("limit", PAGE)];
        query.extend(marker.as_deref().map(|marker| ("marker", marker)));
        let call =
            session.prepare(Service::Image, region, Method::GET, "/images", &["images"]).await?;
        let page: ImagesPage = session.read_json(&call.query(&query)).await?;
        let last = page.images.last().map(|image| image.id.clone());
        for image in page.images {
            let name = image.name.unwrap_or_default();
            if image.status == "active" && fits(&name) {
                return Ok(Found::Image(image.id));
            }
            names.push(name);
        }
        if page.next.is_none() || last.is_none() || last == marker {
            break;
        }
        marker = last;
    }
    Ok(Found::Names(names))
}

/// Whether a name fits a pattern in which `*` stands for any text, also none.
fn fits(name: &str, pattern: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return name == pattern };
    let Some(mut name) = name.strip_prefix(head) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let tail = parts.pop().unwrap_or_default();
    for part in parts {
        match name.find(part) {
            Some(at) => name = &name[at + part.len()..],
            None => return false,
        }
    }
    name.ends_with(tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (name, pattern) in [
            ("Debian 12", "Debian 12"),
            ("Debian 12", "Debian*"),
            ("Debian 12", "*12"),
            ("Debian 12", "D*b*n*1*"),
            ("Debian 12", "*"),
            ("web-2026-11", "web-*-*"),
            ("aa", "*a"),
        ] {
            assert!(fits(name, pattern), "{name} {pattern}");
        }
        for (name, pattern) in [
            ("Debian 12", "Debian"),
            ("Debian 12", "debian*"),
            ("Debian 12 - UEFI", "*12"),
            ("ab", "ab*b"),
            ("", "*a"),
        ] {
            assert!(!fits(name, pattern), "{name} {pattern}");
        }
    }
}
