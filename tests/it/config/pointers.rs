//! Pointers of a source: what they have to say for anything to be read by them.

use super::{Place, right};

fn refused(source: &str, pointers: &str) -> String {
    let source =
        format!("[source.s]\nformat = \"generic\"\n{source}\n[source.s.pointers]\n{pointers}");
    Place::with(&right(&source)).refused()
}

#[test]
fn they_say_where_an_alert_or_a_sample_stands() {
    for pointers in
        ["status = \"/s\"", "alert = \"/a\"", "signal = \"/s\"", "value = \"/v\"", "id = \"/i\""]
    {
        let said = refused("group = \"web\"", pointers);
        assert!(said.contains("where neither an alert nor a sample stands"), "{pointers}: {said}");
        assert!(said.contains("1 fault"), "{said}");
    }
    let enough = [
        ("", "alert = \"/a\"\nstatus = \"/s\""),
        ("alert = \"Down\"", "status = \"/s\""),
        ("", "signal = \"/n\"\nvalue = \"\""),
    ];
    for (source, pointers) in enough {
        let text = format!(
            "[source.s]\nformat = \"generic\"\ngroup = \"web\"\n{source}\n[source.s.pointers]\n{pointers}"
        );
        Place::with(&right(&text)).load().unwrap_or_else(|faults| panic!("{pointers}: {faults}"));
    }
}

#[test]
fn where_a_label_names_the_group_they_say_where_it_stands() {
    let said = refused("group_label = \"asg\"", "alert = \"/a\"\nstatus = \"/s\"");
    assert!(said.contains("says not where the group's name stands"), "{said}");
}
