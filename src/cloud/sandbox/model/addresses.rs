//! Addresses for new servers.

use std::collections::BTreeSet;

use super::Model;
use super::dice::Dice;
use super::refusal::Refusal;
use super::server::Nic;

/// The first host part given out; those below are left to gateways and services.
const FIRST: u32 = 10;
/// One past the last: the broadcast address stays free.
const END: u32 = 65_535;

impl Model {
    /// One interface on each of the networks, for each of `count` servers.
    ///
    /// An address is not given out again before all others were, so that a late packet or log line
    /// never meets the address's next owner.
    ///
    /// # Errors
    /// [`Refusal::Invalid`], in Nova's words, when a network has too few addresses left.
    pub(super) fn interfaces(
        &mut self,
        networks: &[String],
        count: usize,
        dice: &mut Dice,
    ) -> Result<Vec<Vec<Nic>>, Refusal> {
        let mut servers = vec![Vec::with_capacity(networks.len()); count];
        for network in networks {
            let addresses = self.addresses(network, count).ok_or_else(|| {
                Refusal::Invalid("No fixed IP addresses available for network".to_owned())
            })?;
            for (nics, address) in servers.iter_mut().zip(addresses) {
                let nic =
                    Nic { port: dice.uuid(), network: network.clone(), address, mac: dice.mac() };
                nics.push(nic);
            }
        }
        Ok(servers)
    }

    fn addresses(&mut self, network: &str, count: usize) -> Option<Vec<String>> {
        let [a, b] = self.catalogue.network(network).ok()?.prefix;
        let taken = self.taken(network);
        let start = self.next_addresses.get(network).copied().unwrap_or(FIRST);
        let all = (start..END).chain(FIRST..start);
        let write = |host: u32| format!("{a}.{b}.{}.{}", host >> 8, host & 0xff);
        let free =
            all.map(|host| (host, write(host))).filter(|(_, address)| !taken.contains(address));
        let chosen: Vec<(u32, String)> = free.take(count).collect();
        let next = chosen.last().map_or(start, |(host, _)| host + 1);
        self.next_addresses.insert(network.to_owned(), if next < END { next } else { FIRST });
        (chosen.len() == count).then(|| chosen.into_iter().map(|(_, address)| address).collect())
    }

    fn taken(&self, network: &str) -> BTreeSet<String> {
        let nics = self.servers().flat_map(|server| &server.nics);
        nics.filter(|nic| nic.network == network).map(|nic| nic.address.clone()).collect()
    }
}
