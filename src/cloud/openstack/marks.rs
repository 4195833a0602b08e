//! Nova: the marks and tags of a server that is adopted.
//!
//! Nova takes them from a server that is built: in BUILD and ERROR it answers 409, and so it does
//! for the metadata of a locked one. Each call changes nothing when it comes a second time.
//! Source: nova/api/openstack/compute/server_metadata.py, server_tags.py.
//!
//! The tag comes first: what is left half way then is a member, which the group's listing shows,
//! and which nobody deletes while it lacks our marks. Marks without the tag would be seen by
//! nobody. Where the marks are refused the tag is taken off again.

use reqwest::Method;
use serde_json::json;

use super::call::Call;
use super::compute::{Nova, gone, no_proof};
use crate::cloud::Marks;
use crate::domain::id::Tag;
use crate::domain::outcome::{Failure, FailureKind};

impl Nova {
    /// The tag, then metadata, then the tag that goes; the first failure ends it.
    pub(super) async fn mark(&self, request: &Marks) -> Result<(), Failure> {
        if let Some(tag) = &request.tag {
            self.tag(request, Method::PUT, tag).await?;
        }
        if !request.metadata.is_empty()
            && let Err(failure) = self.write(request).await
        {
            return Err(self.as_before(request, failure).await);
        }
        if let Some(tag) = &request.untag {
            self.take_off(request, tag).await?;
        }
        Ok(())
    }

    async fn write(&self, request: &Marks) -> Result<(), Failure> {
        let path = ["servers", request.server.as_str(), "metadata"];
        let call = self.call(&request.region, Method::POST, "/servers/{id}/metadata", &path);
        let call = call.await?.json(&json!({ "metadata": request.metadata }));
        self.change(request, call).await
    }

    async fn tag(&self, request: &Marks, method: Method, tag: &Tag) -> Result<(), Failure> {
        let path = ["servers", request.server.as_str(), "tags", tag.as_str()];
        let call = self.call(&request.region, method, "/servers/{id}/tags/{tag}", &path).await?;
        self.change(request, call).await
    }

    async fn take_off(&self, request: &Marks, tag: &Tag) -> Result<(), Failure> {
        match self.tag(request, Method::DELETE, tag).await {
            Err(failure) if untagged(&failure) => Ok(()),
            other => other,
        }
    }

    /// The failure of the marks, once a tag that was put on for nothing is off again. What may
    /// pass, or is unclear, leaves the tag: the next try goes on from there.
    async fn as_before(&self, request: &Marks, mut failure: Failure) -> Failure {
        use FailureKind::{Conflict, Denied, Refused};
        let refused = matches!(failure.kind, Refused | Denied | Conflict);
        if let Some(tag) = request.tag.as_ref().filter(|_| refused)
            && let Err(left) = self.take_off(request, tag).await
            && left.kind != FailureKind::Gone
        {
            let left = left.message;
            failure.message += &format!("; the tag {tag} stays, for taking it off failed: {left}");
        }
        failure
    }

    async fn change(&self, request: &Marks, call: Call) -> Result<(), Failure> {
        let call = call.change(request.not_after, &request.leave);
        match self.session.call(&call).await {
            Ok(_) => Ok(()),
            Err(failure) if gone(&failure, &request.server) || untagged(&failure) => Err(failure),
            Err(failure) => Err(no_proof(failure)),
        }
    }
}

/// Nova's 404 for a tag that the server does not carry (nova/exception.py
/// InstanceTagNotFound).
fn untagged(failure: &Failure) -> bool {
    failure.kind == FailureKind::Gone && failure.message.contains("has no tag")
}
