//! A client that does nothing but the calls: the same creates, then listings until all serve.

use std::time::Instant;

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::cloud::Cloud;

const FLAVOR: &str = "f1a0b000-0000-4000-8000-000000000001";
const IMAGE: &str = "13a6e000-0000-4000-8000-000000000002";
const NETWORK: &str = "0e700000-0000-4000-8000-000000000001";

/// Creates batches of these sizes side by side and lists until all are ACTIVE. When it
/// began, signed in and connected before.
pub fn scale_out(cloud: &Cloud, batches: &[usize]) -> Instant {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let nova = Nova {
        client: reqwest::Client::builder().no_proxy().build().unwrap(),
        url: cloud.nova_url(),
        token: cloud.operator(),
    };
    runtime.block_on(async {
        assert_eq!(nova.list().await, 0);
        let began = Instant::now();
        join_all(batches.iter().map(|n| nova.create(*n))).await;
        while nova.list().await < batches.iter().sum() {}
        began
    })
}

struct Nova {
    client: reqwest::Client,
    url: String,
    token: String,
}

impl Nova {
    async fn call(&self, request: reqwest::RequestBuilder) -> reqwest::Response {
        let request = request.header("x-auth-token", &self.token);
        request.header("openstack-api-version", "compute 2.75").send().await.unwrap()
    }

    async fn create(&self, n: usize) {
        let server = json!({
            "name": "bare", "flavorRef": FLAVOR, "imageRef": IMAGE,
            "networks": [{ "uuid": NETWORK }], "tags": ["bare"],
            "min_count": n, "max_count": n,
        });
        let request = self.client.post(format!("{}/servers", self.url));
        let answer = self.call(request.json(&json!({ "server": server }))).await;
        assert_eq!(answer.status().as_u16(), 202);
    }

    /// How many are ACTIVE.
    async fn list(&self) -> usize {
        let url = format!("{}/servers/detail?tags-any=bare&limit=1000", self.url);
        let answer: Value = self.call(self.client.get(url)).await.json().await.unwrap();
        let servers = answer["servers"].as_array().unwrap();
        servers.iter().filter(|server| server["status"] == "ACTIVE").count()
    }
}
