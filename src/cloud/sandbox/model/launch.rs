//! How servers begin: one create call, checked, counted, scheduled, and made with its future
//! written in.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::super::faults::Faults;
use super::catalogue::Flavor;
use super::labels::check_metadata_count;
use super::refusal::Refusal;
use super::schedule::{Need, Place};
use super::server::{DiskConfig, Nic, Server, Task, Then, VmState, Volume};
use super::{Millis, Model, Turn};
use crate::config::rehearsal::Fault;

/// What a create call asks for; its form was checked by the face, its meaning is checked here.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Launch {
    pub name: String,
    pub description: Option<String>,
    pub hostname: Option<String>,
    pub flavor: String,
    /// `None`: boot from volume, then `boot_volume` is set.
    pub image: Option<String>,
    pub boot_volume: Option<BootVolume>,
    pub networks: Networks,
    pub zone: Option<String>,
    pub key_name: Option<String>,
    pub security_groups: Vec<String>,
    pub metadata: BTreeMap<String, String>,
    pub tags: BTreeSet<String>,
    pub config_drive: bool,
    pub auto_disk_config: bool,
    pub group: Option<String>,
    /// At least one, at most `max`.
    pub min: u32,
    pub max: u32,
}

/// Where to attach a server.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Networks {
    /// `"auto"`: the first network.
    Auto,
    /// `"none"`.
    #[default]
    None,
    /// Below 2.37 nothing need be said, which works only while there is one network.
    Unsaid,
    /// Ids.
    These(Vec<String>),
}

/// A volume to boot from.
#[derive(Debug, Clone, PartialEq)]
pub struct BootVolume {
    /// The image it is made from, if it is made from one.
    pub image: Option<String>,
    pub delete_on_termination: bool,
}

/// What a create call made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launched {
    /// The first server: the only one that Nova's answer names.
    pub first: String,
    pub reservation_id: String,
}

/// What all servers of one call share, once everything is checked.
struct Batch {
    launch: Launch,
    flavor: Flavor,
    count: u32,
    reservation_id: String,
    /// A host for each server; `None` if they did not suffice.
    placed: Option<Vec<Place>>,
}

impl Model {
    /// Begins servers: as many as the quota allows between `min` and `max`, all of one reservation.
    ///
    /// They exist at once, in BUILD. Whether hosts were found shows a little later: if not for all,
    /// then for none, and every server of the call goes to ERROR.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] for what does not exist, [`Refusal::Denied`] over quota,
    /// [`Refusal::Conflict`] when no network was named and there are several. Nothing was made
    /// then.
    pub fn launch(&mut self, mut launch: Launch, turn: &mut Turn<'_>) -> Result<Launched, Refusal> {
        let flavor = self.check_launch(&launch, turn)?;
        let networks = self.check_networks(&launch.networks)?;
        launch.security_groups = self.security_group_names(&launch.security_groups)?;
        let small = turn.faults.amount(Fault::SmallQuota);
        let quota = self.quota(turn.rules).at_most(small);
        let count = self.fitting(&flavor, launch.min, launch.max, &quota)?;
        if let Some(group) = &launch.group {
            self.check_group_room(group, count, turn)?;
        }
        let placed = self.find_hosts(&launch, &flavor, count, turn);
        let nics = match &placed {
            Some(places) => self.interfaces(&networks, places.len(), turn.dice)?,
            None => vec![Vec::new(); count as usize],
        };
        let batch = Batch {
            launch,
            flavor,
            count,
            reservation_id: format!("r-{}", turn.dice.word(8)),
            placed,
        };
        Ok(self.make(&batch, nics, turn))
    }

    fn check_launch(&self, launch: &Launch, turn: &mut Turn<'_>) -> Result<Flavor, Refusal> {
        let invalid = |why: &str| Refusal::Invalid(why.to_owned());
        if turn.faults.strikes(Fault::FlavorGone) {
            return Err(invalid(&format!("Flavor {} could not be found.", launch.flavor)));
        }
        if turn.faults.strikes(Fault::ImageGone) {
            return Err(invalid("Can not find requested image"));
        }
        let flavor =
            self.catalogue.flavor(&launch.flavor).map_err(|why| invalid(&why.to_string()))?;
        self.check_images(launch)?;
        if launch.zone.as_ref().is_some_and(|zone| !turn.rules.zones.contains(zone)) {
            return Err(invalid("The requested availability zone is not available"));
        }
        if launch.key_name.as_ref().is_some_and(|key| self.keypair(turn.account, key).is_err()) {
            return Err(invalid("Invalid key_name provided."));
        }
        check_metadata_count(launch.metadata.len(), self.quota(turn.rules).metadata_items)?;
        Ok(flavor.clone())
    }

    fn check_images(&self, launch: &Launch) -> Result<(), Refusal> {
        let missing =
            |id: &Option<String>| id.as_ref().is_some_and(|id| self.catalogue.image(id).is_none());
        if missing(&launch.image) {
            return Err(Refusal::Invalid("Can not find requested image".to_owned()));
        }
        let invalid =
            |why: &str| Err(Refusal::Invalid(format!("Block Device Mapping is Invalid: {why}")));
        match &launch.boot_volume {
            Some(volume) if missing(&volume.image) => {
                let id = volume.image.as_deref().unwrap_or_default();
                invalid(&format!("failed to get image {id}."))
            }
            None if launch.image.is_none() => invalid(
                "Boot sequence for the instance and image/block device mapping combination is \
                 not valid.",
            ),
            Some(_) | None => Ok(()),
        }
    }

    fn check_networks(&self, networks: &Networks) -> Result<Vec<String>, Refusal> {
        let all = &self.catalogue.networks;
        match networks {
            Networks::None => Ok(Vec::new()),
            Networks::Auto => Ok(all.iter().take(1).map(|network| network.id.clone()).collect()),
            Networks::Unsaid if 1 < all.len() => Err(Refusal::Conflict(
                "Multiple possible networks found, use a Network ID to be more specific."
                    .to_owned(),
            )),
            Networks::Unsaid => Ok(all.iter().map(|network| network.id.clone()).collect()),
            Networks::These(ids) => {
                let known =
                    |id: &String| self.catalogue.network(id).map(|network| network.id.clone());
                ids.iter()
                    .map(known)
                    .collect::<Result<_, _>>()
                    .map_err(|why| Refusal::Invalid(why.to_string()))
            }
        }
    }

    /// Groups may be given by id; a server knows them by name.
    fn security_group_names(&self, given: &[String]) -> Result<Vec<String>, Refusal> {
        let known = |name: &String| {
            let group = self.catalogue.security_group(name).map(|group| group.name.clone());
            group.ok_or_else(|| Refusal::Invalid(format!("Security group {name} not found.")))
        };
        given.iter().map(known).collect()
    }

    fn find_hosts(
        &self,
        launch: &Launch,
        flavor: &Flavor,
        count: u32,
        turn: &mut Turn<'_>,
    ) -> Option<Vec<Place>> {
        let full = launch.zone.is_some() && turn.faults.strikes(Fault::ZoneFull);
        if turn.faults.strikes(Fault::NoHost) || full {
            return None;
        }
        let group = launch.group.as_ref().and_then(|id| self.group(id).ok());
        self.place(&Need { flavor, zone: launch.zone.as_deref(), group }, count, turn.rules)
    }

    fn make(&mut self, batch: &Batch, nics: Vec<Vec<Nic>>, turn: &mut Turn<'_>) -> Launched {
        let mut first = None;
        for (index, nics) in nics.into_iter().enumerate() {
            let mut server = batch.server(index, nics, turn);
            server.order = self.made;
            self.made += 1;
            server.note("create", turn);
            first.get_or_insert_with(|| server.id.clone());
            self.servers.insert(server.id.clone(), server);
        }
        Launched { first: first.unwrap_or_default(), reservation_id: batch.reservation_id.clone() }
    }
}

impl Batch {
    fn server(&self, index: usize, nics: Vec<Nic>, turn: &mut Turn<'_>) -> Server {
        let launch = &self.launch;
        let name = self.numbered(&launch.name, index);
        let place = self.placed.as_ref().and_then(|places| places.get(index));
        let mut server = Server {
            id: turn.dice.uuid(),
            hostname: launch.hostname.clone().unwrap_or_else(|| host_name(&name)),
            name,
            description: launch.description.clone(),
            owner: turn.account,
            reservation_id: self.reservation_id.clone(),
            flavor: self.flavor.clone(),
            image: launch.image.clone(),
            volumes: launch.boot_volume.iter().map(|volume| volume.create(turn)).collect(),
            zone: place.map(|place| place.zone.clone()).or_else(|| launch.zone.clone()),
            host: place.map(|place| place.host.clone()),
            group: launch.group.clone(),
            nics,
            security_groups: launch.security_groups.clone(),
            key_name: launch.key_name.clone(),
            config_drive: launch.config_drive,
            disk_config: if launch.auto_disk_config {
                DiskConfig::Auto
            } else {
                DiskConfig::Manual
            },
            metadata: launch.metadata.clone(),
            tags: launch.tags.clone(),
            vm: VmState::Building,
            task: Some(Task::Scheduling),
            fault: None,
            lock: None,
            created: turn.now,
            updated: turn.now,
            launched: None,
            order: 0,
            events: Vec::new(),
            steps: VecDeque::new(),
        };
        server.plan(fate(place.is_some(), turn));
        server
    }

    /// Names get a number only when the call makes several.
    fn numbered(&self, name: &str, index: usize) -> String {
        if self.count == 1 { name.to_owned() } else { format!("{name}-{}", index + 1) }
    }
}

impl BootVolume {
    fn create(&self, turn: &mut Turn<'_>) -> Volume {
        Volume { id: turn.dice.uuid(), delete_on_termination: self.delete_on_termination }
    }
}

/// What will become of a new server. Scheduling takes a tenth of the time, whatever its end.
fn fate(has_host: bool, turn: &mut Turn<'_>) -> Vec<(Millis, Then)> {
    let build = turn.dice.within(&turn.rules.build_ms);
    let scheduled = turn.now + build / 10;
    if !has_host {
        let message = "No valid host was found. There are not enough hosts available.".to_owned();
        return vec![(scheduled, Then::Fail { code: 500, message })];
    }
    let built = turn.now + build + turn.faults.lasts(Fault::BuildSlow).unwrap_or_default();
    let end = ending(turn.faults).map(|then| (built, then));
    std::iter::once((scheduled, Then::Spawn)).chain(end).collect()
}

/// What a build comes to; nothing, if it never ends.
fn ending(faults: &mut Faults) -> Option<Then> {
    if faults.strikes(Fault::BuildNever) {
        return None;
    }
    if faults.strikes(Fault::BuildError) {
        let message = "Build of instance aborted: the volume was not created.".to_owned();
        return Some(Then::Fail { code: 500, message });
    }
    let odd = [(Fault::BuildShutoff, VmState::Stopped), (Fault::BuildUnknown, VmState::Unknown)];
    let odd = odd.into_iter().find(|(fault, _)| faults.strikes(*fault));
    Some(Then::Settle(odd.map_or(VmState::Active, |(_, vm)| vm)))
}

/// A name as a host name: letters, digits and hyphens, at most 63 characters.
fn host_name(name: &str) -> String {
    let keep = |c: char| {
        if c.is_ascii_alphanumeric() {
            Some(c.to_ascii_lowercase())
        } else {
            (c != '\'').then_some('-')
        }
    };
    let cleaned: String = name.chars().filter_map(keep).take(63).collect();
    cleaned.trim_matches('-').to_owned()
}
