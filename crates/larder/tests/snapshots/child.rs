//! The roles that child processes of this test play.

use larder_test_support::play_roles;

fn play(role: &str, arguments: &[&str]) {
    match (role, arguments) {
        ("save", [path, seed]) => crate::kills::save(path, seed.parse().unwrap()),
        ("change", [path, seed]) => crate::kills::change(path, seed.parse().unwrap()),
        ("crowd", [path, number]) => crate::crowds::crowd(path, number.parse().unwrap()),
        ("fill", [folder]) => crate::space::fill(folder),
        ("seal", [folder]) => crate::folders::seal(folder),
        ("mask", [folder, mask]) => {
            crate::folders::mask(folder, u32::from_str_radix(mask, 8).unwrap());
        }
        ("record", [path]) => crate::power::record(path),
        ("begin", [path]) => crate::power::begin(path),
        ("clear", [path]) => crate::power::clear(path),
        _ => panic!("no such role"),
    }
}

#[test]
fn processes_play_their_roles() {
    play_roles(play);
}
