//! Behaviour as a file has it: what is read, and what is refused.

use std::time::Duration;

use novascale::domain::behaviour::{Change, Rate, Rates, ScaleIn, ScaleOut, Select};
use rstest::rstest;

use super::{Place, right};

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn either_way_has_its_own() {
    let text = right(
        "[group.web.scale_out]\nstabilization = \"90s\"\ncooldown = \"2m\"\nselect = \"min\"\n\
         rates = [{ count = 4, per = \"1m\" }, { percent = \"1000%\", per = \"30m\" }]\n\
         tolerance = \"12.5%\"\n\n\
         [group.web.scale_in]\nselect = \"disabled\"\nrates = [{ percent = \"100%\", per = \"1s\" }]\n\
         tolerance = \"0%\"\n",
    );
    let web = Place::with(&text).load().unwrap_or_else(|faults| panic!("{faults}")).config.groups;
    let behaviour = &web[0].behaviour;
    let rates = vec![
        Rate { change: Change::Count(4), per: MINUTE },
        Rate { change: Change::Percent(1000.0), per: 30 * MINUTE },
    ];
    let out = ScaleOut {
        stabilization: Duration::from_secs(90),
        cooldown: 2 * MINUTE,
        rates: Rates { select: Select::Min, rates },
        tolerance: Some(12.5),
    };
    assert_eq!(behaviour.scale_out, out);
    let rates = vec![Rate { change: Change::Percent(100.0), per: Duration::from_secs(1) }];
    let rates = Rates { select: Select::Disabled, rates };
    assert_eq!(behaviour.scale_in, ScaleIn { rates, tolerance: Some(0.0), ..ScaleIn::default() });
}

#[rstest]
#[case("stabilization = \"2d\"", "is 2 d, but must be 0 s to 1 d")]
#[case("cooldown = 60", "write \"60s\" for seconds, \"60m\" for minutes")]
#[case("select = \"least\"", "`group.web.scale_out.select` is \"least\"")]
#[case("select = \"least\"", "write \"max\", \"min\" or \"disabled\"")]
#[case("tolerance = \"101%\"", "is 101 %, but must be 0 to 100 %")]
#[case("tolerance = \"-1%\"", "is -1 %, but must be 0 to 100 %")]
#[case("tolerance = 0.1", "must be a percentage")]
#[case("velocity = \"50%\"", "`group.web.scale_out.velocity` is not a setting")]
#[case("rates = []", "leave the key out for no limit")]
#[case("rates = { count = 4, per = \"1m\" }", "must be a list, but it is a table")]
#[case("rates = [{ count = 4 }]", "`group.web.scale_out.rates[0].per` is missing")]
#[case("rates = [{ per = \"1m\" }]", "`group.web.scale_out.rates[0]` says nothing of how much")]
#[case("rates = [{ per = \"1m\" }]", "write count or percent")]
#[case("rates = [{ count = 0, per = \"1m\" }]", "is 0, but must be 1 to 10000")]
#[case("rates = [{ count = 1, per = \"31m\" }]", "is 31 min, but must be 1 s to 30 min")]
#[case("rates = [{ count = 1, per = \"500ms\" }]", "is 500 ms, but must be 1 s to 30 min")]
#[case("rates = [{ percent = \"0%\", per = \"1m\" }]", "must be above 0 and at most 1000000 %")]
#[case("rates = [{ percent = 10, per = \"1m\" }]", "write \"10%\"")]
#[case("rates = [{ count = 1, percent = \"1%\", per = \"1m\" }]", "exclude each other")]
#[case("rates = [{ count = 1, per = \"1m\", window = 1 }]", "rates[0].window` is not a setting")]
fn a_way_out_that_cannot_be_right_is_refused(#[case] line: &str, #[case] said: &str) {
    let refused = Place::with(&right(&format!("scale_out.{line}"))).refused();
    assert!(refused.contains(said) && refused.contains("scaling.toml:10:"), "{refused}");
    assert!(refused.contains("1 fault:"), "{refused}");
}

#[test]
fn more_than_all_cannot_go() {
    let line = "scale_in.rates = [{ percent = \"101%\", per = \"1m\" }]";
    let refused = Place::with(&right(line)).refused();
    assert!(refused.contains("is 101 %, but must be above 0 and at most 100 %"), "{refused}");
}

#[test]
fn eight_rates_are_enough() {
    let rate = |n: usize| format!("{{ count = {}, per = \"1m\" }}", n + 1);
    let line =
        |n| format!("scale_in.rates = [{}]", (0..n).map(rate).collect::<Vec<_>>().join(", "));
    assert!(Place::with(&right(&line(8))).load().is_ok());
    let refused = Place::with(&right(&line(9))).refused();
    assert!(refused.contains("`group.web.scale_in.rates` has more than 8 rates"), "{refused}");
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let text = right(
        "[group.web.scale_out]\nselect = \"all\"\ncooldown = \"2d\"\n\
         rates = [{ count = 0, per = \"1h\" }, { percent = \"0%\" }]\n\
         [group.web.scale_in]\ntolerance = \"200%\"\nselect = \"none\"\n",
    );
    let refused = Place::with(&text).refused();
    assert!(refused.contains("8 faults:"), "{refused}");
}
