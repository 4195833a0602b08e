//! What is asked for in these tests: one template, one create.

use std::io;
use std::sync::{Arc, Mutex};

use novascale::cloud::{Create, Resolved, ResolvedNetworks};
use novascale::domain::freeze::NoBrake;
use novascale::domain::group::{ImageRef, Networks, Placement, Template, UserData};
use novascale::domain::id::{LaunchId, TemplateHash};
use novascale::domain::time::Steady;

use super::script::{group, region};

pub(super) fn template() -> Template {
    Template {
        flavors: vec!["b2-7".into()],
        image: ImageRef::Name("Debian 12".into()),
        networks: Networks::Named(vec!["Ext-Net".into()]),
        security_groups: Vec::new(),
        key_name: Some("ops".into()),
        zones: Vec::new(),
        user_data: Some(UserData(Arc::from(&b"#!/bin/sh\ntrue\n"[..]))),
        metadata: <_>::default(),
        name_prefix: "pool-a".into(),
        config_drive: true,
        boot_volume: None,
        placement: Placement::Anywhere,
        hash: TemplateHash::new("0123456789abcdef").unwrap(),
    }
}

pub(super) fn create() -> Create {
    Create {
        group: group(),
        region: region(),
        zone: None,
        launch: LaunchId::from_bits(1),
        n: 1,
        name: "pool-a-4".into(),
        tags: vec!["asg=pool-a".into()],
        metadata: [("asg".to_owned(), "pool-a".to_owned())].into(),
        resolved: Resolved {
            flavor: "22222222-2222-4222-8222-222222222222".into(),
            image: "11111111-1111-4111-8111-111111111111".into(),
            networks: ResolvedNetworks::Ids(vec!["33333333-3333-4333-8333-333333333333".into()]),
            security_groups: Vec::new(),
            server_group: Some("44444444-4444-4444-8444-444444444444".into()),
        },
        template: Arc::new(template()),
        not_after: Steady(u64::MAX),
        leave: Arc::new(NoBrake),
    }
}

/// One with no more than Nova asks for.
pub(super) fn plain_create() -> Create {
    let create = create();
    Create {
        metadata: <_>::default(),
        resolved: Resolved { server_group: None, ..create.resolved },
        template: Arc::new(Template {
            key_name: None,
            user_data: None,
            config_drive: false,
            ..template()
        }),
        ..create
    }
}

/// Gathers what is logged.
#[derive(Clone, Default)]
pub(super) struct Log(pub(super) Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
