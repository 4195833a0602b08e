//! All that can go wrong, by name, and how often each strikes in one world.
//!
//! A world has most faults at nothing and some of them hot, drawn by its seed: faults that all
//! come together hide one another.

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
    ListFails 60 "list-fails",
    ListLags 60 "list-lags",
    CellDown 6 "cell-down",
    GetFails 60 "get-fails",
    ResolveFails 30 "resolve-fails",
    CreateLost 50 "create-lost",
    CreateReplyLost 50 "create-reply-lost",
    CreateLate 40 "create-late",
    CreateBusy 60 "create-busy",
    CreateDenied 30 "create-denied",
    CreateRefused 30 "create-refused",
    NoHost 50 "no-host",
    SmallQuota 100 "small-quota",
    BuildError 40 "build-error",
    BuildSlow 60 "build-slow",
    BuildNever 25 "build-never",
    DeleteLost 50 "delete-lost",
    DeleteReplyLost 50 "delete-reply-lost",
    DeleteConflict 50 "delete-conflict",
    DeleteDenied 40 "delete-denied",
    DeleteHangs 60 "delete-hangs",
    DeleteSoft 40 "delete-soft",
    SlowCalls 30 "slow-calls",
    StoreBusy 20 "store-busy",
    Crash 8 "crash",
    StateLost 1 "state-lost",
    StartedTwice 3 "started-twice",
    ClockJump 5 "clock-jump",
    NewConfig 4 "new-config",
    Vanish 10 "vanish",
    Stopped 10 "stopped",
    Untagged 6 "untagged",
    TaggedByHand 6 "tagged-by-hand",
    Kept 10 "kept",
    Replays 60 "replays",
    Silence 40 "silence",
    Freezes 12 "freezes",
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
    ZoneFull 30 "zone-full",
    FlavorGone 20 "flavor-gone",
    ImageGone 20 "image-gone",
    BuildShutoff 15 "build-shutoff",
    BuildUnknown 15 "build-unknown",
    Renamed 20 "renamed",
}

/// How often each fault strikes, in percent.
#[derive(Debug, Clone, PartialEq)]
pub struct Faults(Vec<u32>);

impl Faults {
    pub fn none() -> Self {
        Self(vec![0; FAULTS.len()])
    }

    /// Some of them hot; those in `without` never, though they are drawn all the same, so that
    /// the rest of the world stays what it was.
    pub fn drawn(dice: &mut Dice, without: &[Fault]) -> Self {
        let hot = dice.between(5, 45);
        let drawn = FAULTS.iter().map(|(fault, most, _)| {
            let strikes = dice.percent(hot);
            let percent = dice.between(1, *most);
            if strikes && !without.contains(fault) { percent } else { 0 }
        });
        Self(drawn.collect())
    }

    /// Without what can only go wrong on a wire.
    #[must_use]
    pub fn off_the_wire(mut self) -> Self {
        self.0[Fault::CallsDropped as usize..].fill(0);
        self
    }

    pub fn of(&self, fault: Fault) -> u32 {
        self.0[fault as usize]
    }

    pub fn hot(&self) -> Vec<Fault> {
        let all = FAULTS.iter().map(|(fault, ..)| *fault);
        all.filter(|fault| self.of(*fault) > 0).collect()
    }
}

pub fn word(fault: Fault) -> &'static str {
    FAULTS[fault as usize].2
}
