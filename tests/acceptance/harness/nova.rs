//! Nova's own word, asked as the cloud's administrator, and not through novascale's code.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::{Client, Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::lab::Lab;
use super::wait::until;

const NOVA: &str = "http://127.0.0.1:8774/v2.1";
const NEUTRON: &str = "http://127.0.0.1:9696/v2.0";

/// One server as Nova shows it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Server {
    pub id: String,
    pub name: String,
    pub status: String,
    pub created: String,
    pub updated: String,
    #[serde(default)]
    pub tags: Vec<String>,
    pub metadata: BTreeMap<String, String>,
    #[serde(rename = "OS-EXT-STS:task_state")]
    pub task: Option<String>,
}

impl Server {
    /// The launch that made it, from the tag that it carries.
    pub fn launch(&self) -> Option<&str> {
        self.tags.iter().find_map(|tag| tag.strip_prefix("novascale:launch:"))
    }
}

/// A conversation with Nova and Neutron.
pub struct Nova {
    runtime: Runtime,
    http: Client,
    sign_in: Value,
    auth_url: String,
    token: RefCell<Option<String>>,
    project: String,
    ids: Value,
}

impl Nova {
    pub fn of(lab: &Lab) -> Self {
        let auth = &lab.cloud("admin").auth;
        let user = json!({
            "name": auth["username"], "password": auth["password"],
            "domain": {"id": auth["user_domain_id"]},
        });
        let sign_in = json!({"auth": {
            "identity": {"methods": ["password"], "password": {"user": user}},
            "scope": {"project": {"id": auth["project_id"]}},
        }});
        let http = Client::builder().no_proxy().tls_certs_only([]);
        Self {
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(),
            http: http.timeout(Duration::from_secs(120)).build().unwrap(),
            sign_in,
            auth_url: auth["auth_url"].clone(),
            token: RefCell::new(None),
            project: auth["project_id"].clone(),
            ids: lab.ids(),
        }
    }

    /// All servers with the tag, in any state.
    pub fn tagged(&self, tag: &str) -> Vec<Server> {
        self.servers(&[("tags", tag)])
    }

    /// Every server of the project.
    pub fn all(&self) -> Vec<Server> {
        self.servers(&[])
    }

    /// Servers that were made since then and are deleted already. Nova forgets their tags, not
    /// their names. It also touches long deleted ones now and then, hence the second look.
    pub fn deleted_since(&self, then: &str) -> Vec<Server> {
        let mut gone = self.servers(&[("deleted", "true"), ("changes-since", then)]);
        gone.retain(|server| server.created.as_str() >= then);
        gone
    }

    pub fn server(&self, id: &str) -> Option<Server> {
        let (status, body) = self.call(Method::GET, &format!("{NOVA}/servers/{id}"), None);
        match status {
            StatusCode::NOT_FOUND => None,
            _ => Some(serde_json::from_value(body["server"].clone()).unwrap()),
        }
    }

    /// Somebody else's server, made without novascale.
    pub fn neighbour(&self, name: &str, tags: &[&str]) -> Server {
        let body = json!({"server": {
            "name": name, "tags": tags, "imageRef": self.ids["image"],
            "flavorRef": self.ids["flavors"]["d2-2"], "networks": [{"uuid": self.ids["Ext-Net"]}],
        }});
        let (status, body) = self.call(Method::POST, &format!("{NOVA}/servers"), Some(body));
        assert_eq!(status, StatusCode::ACCEPTED, "{body}");
        let id = body["server"]["id"].as_str().unwrap().to_owned();
        until("a neighbour to be built", || match self.server(&id) {
            Some(server) if server.status == "ACTIVE" && server.task.is_none() => Ok(server),
            other => Err(format!("{other:?}")),
        })
    }

    /// The cloud's administrator says that the server failed; false if it is gone meanwhile.
    pub fn put_into_error(&self, id: &str) -> bool {
        let body = json!({"os-resetState": {"state": "error"}});
        let url = format!("{NOVA}/servers/{id}/action");
        let (status, body) = self.call(Method::POST, &url, Some(body));
        assert!([202, 404].contains(&status.as_u16()), "{status} {body}");
        status == StatusCode::ACCEPTED
    }

    /// Waits until exactly `n` servers carry the tag, all ACTIVE and none on its way out.
    pub fn settled(&self, tag: &str, n: usize) -> Vec<Server> {
        until(&format!("{n} servers of {tag}"), || {
            let there = self.tagged(tag);
            let good = there.iter().filter(|s| s.status == "ACTIVE" && s.task.is_none()).count();
            if good == n && there.len() == n { Ok(there) } else { Err(summary(&there)) }
        })
    }

    /// Ports of servers that are not there: what a careless deletion leaves behind.
    pub fn orphaned_ports(&self) -> Vec<String> {
        let project = &self.project;
        let url = format!("{NEUTRON}/ports?project_id={project}&fields=id&fields=device_id");
        let (_, body) = self.call(Method::GET, &url, None);
        let servers: Vec<String> = self.all().into_iter().map(|server| server.id).collect();
        let ports = body["ports"].as_array().unwrap().iter();
        let orphaned = ports.filter(|port| {
            let device = port["device_id"].as_str().unwrap_or_default();
            !device.is_empty() && !servers.iter().any(|id| id == device)
        });
        orphaned.map(|port| port["id"].to_string()).collect()
    }

    /// What Nova's clock says, for `deleted_since`.
    pub fn now(&self) -> String {
        jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    fn servers(&self, filter: &[(&str, &str)]) -> Vec<Server> {
        let mut url = reqwest::Url::parse(&format!("{NOVA}/servers/detail?limit=1000")).unwrap();
        url.query_pairs_mut().extend_pairs(filter);
        let (status, body) = self.call(Method::GET, url.as_str(), None);
        assert_eq!(status, StatusCode::OK, "{body}");
        let servers: Vec<Server> = serde_json::from_value(body["servers"].clone()).unwrap();
        assert!(servers.len() < 1000, "a page is full: the rest is not seen");
        servers
    }

    /// One call; a token that has expired is replaced once.
    fn call(&self, method: Method, url: &str, body: Option<Value>) -> (StatusCode, Value) {
        let first = self.send(&method, url, body.as_ref());
        if first.0 != StatusCode::UNAUTHORIZED {
            return first;
        }
        self.token.replace(None);
        self.send(&method, url, body.as_ref())
    }

    fn send(&self, method: &Method, url: &str, body: Option<&Value>) -> (StatusCode, Value) {
        let token = self.token.borrow().clone().unwrap_or_else(|| self.fresh_token());
        self.token.replace(Some(token.clone()));
        let mut request = self.http.request(method.clone(), url).header("X-Auth-Token", token);
        request = request.header("OpenStack-API-Version", "compute 2.90");
        if let Some(body) = body {
            request = request.json(body);
        }
        self.runtime.block_on(async {
            let answer = request.send().await.unwrap();
            let status = answer.status();
            let text = answer.text().await.unwrap();
            (status, serde_json::from_str(&text).unwrap_or(Value::Null))
        })
    }

    fn fresh_token(&self) -> String {
        let url = format!("{}/auth/tokens", self.auth_url);
        self.runtime.block_on(async {
            let answer = self.http.post(url).json(&self.sign_in).send().await.unwrap();
            let token = answer.headers().get("X-Subject-Token").expect("the administrator's token");
            token.to_str().unwrap().to_owned()
        })
    }
}

/// `7: 5 ACTIVE, 2 BUILD spawning`
fn summary(servers: &[Server]) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for server in servers {
        let task = server.task.as_deref().unwrap_or_default();
        *counts.entry(format!("{} {task}", server.status)).or_default() += 1;
    }
    let parts: Vec<String> = counts.iter().map(|(state, n)| format!("{n} {state}")).collect();
    format!("{}: {}", servers.len(), parts.join(", "))
}
