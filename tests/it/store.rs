//! One contract, every store: what holds of `Store` is tried on the one in memory and on
//! SQLite alike. What only files can suffer is tried on SQLite alone.

mod absent;
mod agreement;
mod crash;
mod damage;
mod desk;
mod flood;
mod garbled;
mod install;
mod leases;
mod passes;
mod retention;
mod signals;
mod trouble;
mod upgrade;
