//! Who owns this process, by the name that they know themselves by.

use std::str::FromStr as _;

use harombe_types::Subject;

/// The login name that `/etc/passwd` has for this process's user (passwd(5)); none where it has none that can name a person.
pub(super) fn name() -> Option<String> {
    let table = std::fs::read_to_string("/etc/passwd").ok()?;
    name_of(rustix::process::geteuid().as_raw(), &table)
}

fn name_of(user: u32, table: &str) -> Option<String> {
    let entry = table.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let id = fields.nth(1)?.parse::<u32>().ok()?;
        (id == user).then_some(name)
    })?;
    Subject::from_str(entry).ok().map(|_| entry.to_owned())
}

#[cfg(test)]
mod tests {
    use super::name_of;

    #[test]
    fn a_user_is_found_by_id() {
        let table = "root:x:0:0:root:/root:/bin/sh\nbroken\nann:x:1000:1000::/home/ann:/bin/sh\nodd name:x:7:7::/:/bin/sh\n";
        let name = |user| name_of(user, table);
        assert_eq!(name(0).as_deref(), Some("root"));
        assert_eq!(name(1000).as_deref(), Some("ann"));
        assert_eq!(name(1), None, "nobody has that id");
        assert_eq!(name(7), None, "a name that cannot name a person");
    }
}
