//! Nova: the marks and tags of a server that is adopted.
//!
//! Nova takes them from a server that is built: in BUILD and ERROR it answers 409, and so it does
//! for the metadata of a locked one. Each call changes nothing when it comes a second time.
//! Source: nova/api/openstack/compute/server_metadata.py, server_tags.py.

use reqwest::Method;
use serde_json::json;

use super::call::Call;
use super::compute::{Nova, gone, no_proof};
use crate::cloud::Marks;
use crate::domain::outcome::{Failure, FailureKind};

impl Nova {
    /// Metadata, then the tag, then the tag that goes; the first failure ends it.
    pub(super) async fn mark(&self, request: &Marks) -> Result<(), Failure> {
        let id = request.server.as_str();
        let (region, below) = (&request.region, ["servers", id]);
        if !request.metadata.is_empty() {
            let path = [below[0], below[1], "metadata"];
            let call = self.call(region, Method::POST, "/servers/{id}/metadata", &path).await?;
            self.change(request, call.json(&json!({ "metadata": request.metadata }))).await?;
        }
        let template = "/servers/{id}/tags/{tag}";
        if let Some(tag) = &request.tag {
            let path = [below[0], below[1], "tags", tag.as_str()];
            let call = self.call(region, Method::PUT, template, &path).await?;
            self.change(request, call).await?;
        }
        if let Some(tag) = &request.untag {
            let path = [below[0], below[1], "tags", tag.as_str()];
            let call = self.call(region, Method::DELETE, template, &path).await?;
            match self.change(request, call).await {
                Err(failure) if untagged(&failure) => {}
                other => other?,
            }
        }
        Ok(())
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
