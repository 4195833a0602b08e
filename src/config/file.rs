//! scaling.toml, exactly as it is written.
//!
//! Nothing here has a default or a meaning: a key is there with its place, or it is not.
//! [`super::check`] says what it means. A new setting begins here.

use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::{Sink, Spot};
use super::read::{At, Named, OneOrMore, Raw, Read, section, wrong};

section! {
    /// The whole file.
    File {
        controller: ControllerText,
        cloud: CloudText,
        http: HttpText,
        source: Named<SourceText>,
        signal: Named<PullText>,
        group: Named<GroupText>,
    }
}

section! {
    SourceText {
        format: String,
        group: String,
        group_label: String,
        groups: Vec<At<String>>,
        alert: String,
        body_bytes: u64,
        auth: Vec<At<ProofText>>,
        signal: Vec<At<MetricText>>,
        order: OrderText,
        pointers: PointersText,
    }
}

section! {
    /// One of the first six.
    ProofText {
        bearer: SecretText,
        basic: SecretText,
        hmac: SecretText,
        ed25519: String,
        url: SecretText,
        certificate: String,
        username: String,
        preset: String,
        secret_base64: bool,
        algorithm: String,
        header: OneOrMore,
        prefix: String,
        encoding: String,
        id_header: String,
        timestamp_header: String,
        between: String,
    }
}

section! {
    MetricText { metric: String, labels: Named<String>, signal: String, server_label: String }
}

section! {
    OrderText { set: u64, adjust: i64, percent: f64 }
}

section! {
    PointersText {
        list: String,
        group: String,
        id: String,
        alert: String,
        fingerprint: String,
        status: String,
        firing: OneOrMore,
        resolved: OneOrMore,
        signal: String,
        value: String,
        at: String,
        server: String,
    }
}

section! {
    /// `prometheus` or `url`.
    PullText {
        group: String,
        signal: String,
        prometheus: String,
        query: String,
        server_label: String,
        url: String,
        pointer: String,
        every: Duration,
        timeout: Duration,
        bearer: SecretText,
        basic: SecretText,
        username: String,
        cacert: String,
    }
}

section! {
    ControllerText { state_dir: String, id: String }
}

section! {
    HttpText {
        webhook: String,
        admin: String,
        behind_proxy: bool,
        tls: TlsText,
        limits: HttpLimitsText,
    }
}

section! {
    TlsText { certificate: String, key: String, client_ca: String }
}

section! {
    HttpLimitsText {
        body_bytes: u64,
        header_timeout: Duration,
        idle_timeout: Duration,
        request_timeout: Duration,
        signals_per_second: u64,
        signals_burst: u64,
        commands_per_second: u64,
        failed_sign_ins_per_second: u64,
        failed_sign_ins_burst: u64,
        in_flight: u64,
        connections: u64,
        connections_per_address: u64,
    }
}

section! {
    /// What follows `clouds` are keystoneauth's option names.
    CloudText {
        source as "use": String,
        preset: String,
        cloud: String,
        sandbox: SandboxText,
        limits: LimitsText,
        region: String,
        interface: String,
        cacert: String,
        insecure: bool,
        allow_http: bool,
        allowed_hosts: Vec<At<String>>,
        auth_type: String,
        auth_url: String,
        identity_provider: String,
        protocol: String,
        client_id: String,
        client_secret: SecretText,
        discovery_endpoint: String,
        access_token_endpoint: String,
        access_token_type: String,
        openid_scope: String,
        project_id: String,
        project_name: String,
        project_domain_id: String,
        project_domain_name: String,
        user_id: String,
        username: String,
        user_domain_id: String,
        user_domain_name: String,
        password: SecretText,
        application_credential_id: String,
        application_credential_name: String,
        application_credential_secret: SecretText,
        token: SecretText,
    }
}

section! {
    SandboxText {
        port: u64,
        region: String,
        build: Vec<At<Duration>>,
        delete: Duration,
        token_life: Duration,
        quota_instances: u64,
        faults: Named<StrengthText>,
        fault_seed: u64,
    }
}

/// How much of a fault: a number or a text.
#[derive(Debug, Clone)]
pub(super) struct StrengthText(pub(super) String);

impl Read for StrengthText {
    fn read(raw: &Raw<'_>, spot: &Spot, sink: &mut Sink) -> Option<Self> {
        let value = raw.get_ref();
        if let DeValue::Integer(n) = value {
            return Some(Self(n.to_string()));
        }
        String::read(raw, spot, sink).map(Self).filter(|_| value.as_str().is_some())
    }
}

section! {
    LimitsText {
        read_per_second: f64,
        write_per_second: f64,
        concurrency: u64,
        call_timeout: Duration,
        retry_after_most: Duration,
    }
}

section! {
    GroupText {
        tag: String,
        min: u64,
        max: u64,
        region: String,
        flavor: OneOrMore,
        image: ImageText,
        networks: NetworksText,
        security_groups: Vec<At<String>>,
        key_pair: String,
        availability_zones: Vec<At<String>>,
        user_data: String,
        user_data_file: String,
        metadata: Named<String>,
        name_prefix: String,
        config_drive: bool,
        boot_volume: BootVolumeText,
        server_group: String,
        anti_affinity: String,
        scale_out: ScaleOutText,
        scale_in: ScaleInText,
        patience: PatienceText,
        launch: LaunchText,
        meltdown: MeltdownText,
        target: Vec<At<TargetText>>,
        step: Vec<At<StepText>>,
        alert: Vec<At<AlertText>>,
        expression: Vec<At<ExpressionText>>,
        schedule: Vec<At<ScheduleText>>,
    }
}

section! {
    ImageTable { id: String, name: String, newest: String }
}

section! {
    BootVolumeText { size_gib: u64, volume_type as "type": String, delete_on_termination: bool }
}

section! {
    ScaleOutText {
        stabilization: Duration,
        cooldown: Duration,
        rates: Vec<At<RateText>>,
        select: String,
        tolerance: Percent,
    }
}

section! {
    ScaleInText {
        stabilization: Duration,
        cooldown: Duration,
        velocity: Percent,
        rates: Vec<At<RateText>>,
        select: String,
        tolerance: Percent,
    }
}

section! {
    /// `count` or `percent`.
    RateText { count: u64, percent: Percent, per: Duration }
}

section! {
    PatienceText { build: Duration, delete: Duration, settle: Duration }
}

section! {
    LaunchText { batch: u64, backoff_first: Duration, backoff_most: Duration }
}

section! {
    MeltdownText { share: Percent, most: u64, within: Duration }
}

section! {
    TargetText {
        signal: String,
        per_server: f64,
        average: f64,
        aggregate: String,
        window: Duration,
        stale_after: Duration,
        tolerance: Percent,
        warm_up: Duration,
        hold_for: Duration,
        fallback: u64,
    }
}

section! {
    StepText {
        signal: String,
        aggregate: String,
        window: Duration,
        stale_after: Duration,
        out: Vec<At<AdjustmentText>>,
        into as "in": Vec<At<AdjustmentText>>,
        warm_up: Duration,
        flapping_guard: bool,
        hold_for: Duration,
        fallback: u64,
    }
}

section! {
    AdjustmentText { from: f64, to: f64, change: u64, percent: Percent, least: u64, exact: u64 }
}

section! {
    AlertText {
        alert: String,
        change: u64,
        percent: Percent,
        least: u64,
        every: Duration,
        most: u64,
        capacity: u64,
        expires_after: Duration,
    }
}

section! {
    ExpressionText {
        name: String,
        servers: String,
        aggregate: String,
        window: Duration,
        stale_after: Duration,
        hold_for: Duration,
        fallback: u64,
    }
}

section! {
    ScheduleText {
        name: String,
        cron: String,
        timezone: String,
        duration: Duration,
        end: String,
        from: MomentText,
        until: MomentText,
        min: u64,
        max: u64,
        capacity: u64,
        lead: LeadText,
    }
}

section! {
    SecretTable { file: String, env: String, credential: String }
}

/// An image by its name, or a table that says how it is meant.
#[derive(Debug, Clone)]
pub(super) enum ImageText {
    Name(String),
    Table(ImageTable),
}

impl Read for ImageText {
    fn read(raw: &Raw<'_>, spot: &Spot, sink: &mut Sink) -> Option<Self> {
        if let DeValue::String(name) = raw.get_ref() {
            Some(Self::Name(name.clone().into_owned()))
        } else if raw.get_ref().is_table() {
            ImageTable::read(raw, spot, sink).map(Self::Table)
        } else {
            wrong(raw, "a name or a table like { id = \"…\" }", spot, sink)
        }
    }
}

#[derive(Debug, Clone)]
pub(super) enum NetworksText {
    Word(String),
    List(Vec<At<String>>),
}

impl Read for NetworksText {
    fn read(raw: &Raw<'_>, spot: &Spot, sink: &mut Sink) -> Option<Self> {
        if let DeValue::String(word) = raw.get_ref() {
            Some(Self::Word(word.clone().into_owned()))
        } else if raw.get_ref().is_array() {
            Vec::read(raw, spot, sink).map(Self::List)
        } else {
            wrong(raw, "a list of networks, \"auto\" or \"none\"", spot, sink)
        }
    }
}

/// Where a secret is had from. The secret itself is refused.
#[derive(Debug, Clone)]
pub(super) struct SecretText(pub(super) SecretTable);

impl Read for SecretText {
    fn read(raw: &Raw<'_>, spot: &Spot, sink: &mut Sink) -> Option<Self> {
        if raw.get_ref().is_table() {
            return SecretTable::read(raw, spot, sink).map(Self);
        }
        if raw.get_ref().is_str() {
            let key = spot.key.rsplit('.').next().unwrap_or_default();
            let fault = sink.fault(spot, format!("`{}` holds the secret itself", spot.key));
            fault.hint(format!(
                "write {key} = {{ file = \"…\" }}, {{ env = \"…\" }} or {{ credential = \"…\" }}"
            ));
            return None;
        }
        wrong(raw, "a table that says where the secret is", spot, sink)
    }
}

/// A date and time as TOML writes it, in quotes or without.
#[derive(Debug, Clone)]
pub(super) struct MomentText(pub(super) String);

impl Read for MomentText {
    fn read(raw: &Raw<'_>, spot: &Spot, sink: &mut Sink) -> Option<Self> {
        match raw.get_ref() {
            DeValue::Datetime(moment) => Some(Self(moment.to_string())),
            DeValue::String(text) => Some(Self(text.trim().to_owned())),
            DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Array(_)
            | DeValue::Table(_) => wrong(raw, "a date and time", spot, sink),
        }
    }
}

/// `"auto"`, or a span of time.
#[derive(Debug, Clone)]
pub(super) enum LeadText {
    Auto,
    Span(Duration),
}

impl Read for LeadText {
    fn read(raw: &Raw<'_>, spot: &Spot, sink: &mut Sink) -> Option<Self> {
        if raw.get_ref().as_str() == Some("auto") {
            return Some(Self::Auto);
        }
        Duration::read(raw, spot, sink).map(Self::Span)
    }
}

/// `"25%"`, as the number before the sign.
#[derive(Debug, Clone, Copy)]
pub(super) struct Percent(pub(super) f64);

impl Read for Percent {
    fn read(raw: &Raw<'_>, spot: &Spot, sink: &mut Sink) -> Option<Self> {
        if let DeValue::Integer(n) = raw.get_ref() {
            let fault = sink.fault(spot, format!("`{}` must be a percentage", spot.key));
            fault.hint(format!("write \"{n}%\""));
            return None;
        }
        let DeValue::String(text) = raw.get_ref() else {
            return wrong(raw, "a percentage like \"25%\"", spot, sink);
        };
        let number = text.trim().strip_suffix('%').and_then(|n| n.trim().parse::<f64>().ok());
        let percent = number.filter(|n| n.is_finite()).map(Self);
        if percent.is_none() {
            let fault = sink.fault(spot, format!("`{}` is not a percentage", spot.key));
            fault.hint("write \"25%\"");
        }
        percent
    }
}

/// Reads a parsed document. What did not fit is absent, and a fault.
pub(super) fn read(root: Spanned<DeTable<'_>>, sink: &mut Sink) -> At<File> {
    // Where something is absent from the whole file, its first byte is pointed at.
    let spot = Spot { key: String::new(), span: 0..0 };
    let raw = Spanned::new(0..0, DeValue::Table(root.into_inner()));
    let value = File::read(&raw, &spot, sink).unwrap_or_else(File::empty);
    At { value, spot }
}
