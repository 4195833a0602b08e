//! All that can go wrong, by name, and how often each strikes in one world.
//!
//! A world has most faults at nothing and some of them hot, drawn by its seed: faults that all
//! come together hide one another. Each has dice of its own: a world without one of them, or
//! with a new one, is otherwise as it was.

use super::dice::Dice;

macro_rules! faults {
    ($($name:ident $most:literal $word:literal),* $(,)?) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Fault { $($name),* }

        /// Each with the most percent that it strikes with, and its name on the command line.
        pub const FAULTS: &[(Fault, u32, &str)] = &[$((Fault::$name, $most, $word)),*];
    };
}

faults! {
    // Nova's answers.
    ListFails 60 "list-fails",
    ListLags 60 "list-lags",
    ListPartial 30 "list-partial",
    CellDown 6 "cell-down",
    GetFails 60 "get-fails",
    ResolveFails 30 "resolve-fails",
    CreateLost 50 "create-lost",
    CreateReplyLost 50 "create-reply-lost",
    CreateLate 40 "create-late",
    CreateBusy 60 "create-busy",
    CreateDenied 30 "create-denied",
    CreateRefused 30 "create-refused",
    DeleteLost 50 "delete-lost",
    DeleteReplyLost 50 "delete-reply-lost",
    DeleteConflict 50 "delete-conflict",
    DeleteDenied 40 "delete-denied",
    DeleteHangs 60 "delete-hangs",
    DeleteSoft 40 "delete-soft",
    SlowCalls 30 "slow-calls",
    SignedOut 3 "signed-out",
    Outage 3 "outage",
    // What becomes of a launch.
    NoHost 50 "no-host",
    SmallQuota 100 "small-quota",
    ZoneFull 5 "zone-full",
    FlavorOut 5 "flavor-out",
    FlavorGone 5 "flavor-gone",
    ImageGone 4 "image-gone",
    BuildError 40 "build-error",
    BuildSlow 60 "build-slow",
    BuildNever 25 "build-never",
    BuildStopped 25 "build-shutoff",
    BuildUnknown 25 "build-unknown",
    // The machine.
    StoreBusy 20 "store-busy",
    SlowDisk 60 "slow-disk",
    Crash 8 "crash",
    Pause 6 "pause",
    StateLost 1 "state-lost",
    StartedTwice 4 "started-twice",
    ClockJump 5 "clock-jump",
    NewConfig 4 "new-config",
    GroupLeft 3 "group-left",
    // People and hosts.
    Vanish 10 "vanish",
    Stopped 12 "stopped",
    Moving 12 "moving",
    HostDown 8 "host-down",
    Renamed 10 "renamed",
    Restored 30 "restored",
    Untagged 6 "untagged",
    TaggedByHand 6 "tagged-by-hand",
    Kept 10 "kept",
    Freezes 12 "freezes",
    Melts 3 "melts",
    // Senders.
    Replays 60 "replays",
    Reordered 50 "reordered",
    Storm 10 "storm",
    Silence 40 "silence",
    Strangers 40 "strangers",
    // On the wire: level B alone.
    CallsDropped 20 "calls-dropped",
    CallsBusy 20 "calls-busy",
    ProxyPages 15 "proxy-pages",
    BrokenJson 20 "broken-json",
    TokenDies 20 "token-dies",
    VersionWrong 15 "version-wrong",
    SignInFails 30 "sign-in-fails",
    KeysRotated 30 "keys-rotated",
    TokensShort 60 "tokens-short",
    CatalogMoved 20 "catalog-moved",
    TagFilterIgnored 30 "tag-filter-ignored",
    PagesWrong 40 "pages-wrong",
}

/// How often each fault strikes, in percent, and its dice.
#[derive(Debug, Clone)]
pub struct Faults(Vec<(u32, Dice)>);

impl Faults {
    /// Some of them hot; those in `without` never.
    pub fn drawn(seed: u64, without: &[Fault]) -> Self {
        let hot = Dice::of(seed, "hot").between(3, 35);
        let drawn = FAULTS.iter().map(|(fault, most, word)| {
            let mut dice = Dice::of(seed, word);
            let strikes = dice.percent(hot);
            let percent = dice.between(1, *most);
            let spared = !strikes || without.contains(fault);
            (if spared { 0 } else { percent }, dice)
        });
        Self(drawn.collect())
    }

    /// Without what can only go wrong on a wire.
    #[must_use]
    pub fn off_the_wire(mut self) -> Self {
        self.0[Fault::CallsDropped as usize..].iter_mut().for_each(|(percent, _)| *percent = 0);
        self
    }

    /// None strikes any more.
    pub fn stop(&mut self) {
        self.0.iter_mut().for_each(|(percent, _)| *percent = 0);
    }

    /// Of each, how often it strikes.
    pub fn percents(&self) -> Vec<u32> {
        self.0.iter().map(|(percent, _)| *percent).collect()
    }

    pub fn of(&self, fault: Fault) -> u32 {
        self.0[fault as usize].0
    }

    pub fn strikes(&mut self, fault: Fault) -> bool {
        let (percent, dice) = &mut self.0[fault as usize];
        dice.percent(*percent)
    }

    /// For how much, how long and whom.
    pub fn dice(&mut self, fault: Fault) -> &mut Dice {
        &mut self.0[fault as usize].1
    }

    pub fn hot(&self) -> Vec<Fault> {
        let all = FAULTS.iter().map(|(fault, ..)| *fault);
        all.filter(|fault| self.of(*fault) > 0).collect()
    }
}

pub fn word(fault: Fault) -> &'static str {
    FAULTS[fault as usize].2
}
