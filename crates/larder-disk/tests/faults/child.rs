//! The roles that child processes of this test play.

use larder_test_support::play_roles;
pub(crate) use larder_test_support::{Child, Watch, pause, tell};

fn play(role: &str, arguments: &[&str]) {
    match (role, arguments) {
        ("write", [folder, seed]) => crate::kills::write(folder, seed.parse().unwrap()),
        ("create", [folder]) => crate::kills::create(folder),
        ("flip", [seed, count]) => {
            crate::damage::flip(seed.parse().unwrap(), count.parse().unwrap());
        }
        ("fill", [folder, size]) => crate::space::fill(folder, size.parse().unwrap()),
        ("crowd out", [folder]) => crate::space::crowd_out(folder),
        ("seal", [folder]) => crate::folders::seal(folder),
        ("mask", [folder, mask]) => {
            crate::folders::mask(folder, u32::from_str_radix(mask, 8).unwrap());
        }
        ("give away", [folder]) => crate::folders::give_away(folder),
        ("bustle", [folder, seed]) => crate::crowds::bustle(folder, seed.parse().unwrap()),
        ("work", [folder]) => crate::crowds::work(folder),
        ("endure", [folder, lifted]) => crate::calls::endure(folder, lifted),
        ("wait", [folder, stall]) => crate::stalls::wait(folder, stall),
        ("hold", [folder]) => crate::store::hold(folder),
        ("witness", [folder]) => crate::ruins::witness(folder),
        ("press", [folder, seed, max, share]) => {
            let [max, share] = [max, share].map(|bytes| bytes.parse().unwrap());
            crate::bound::press(folder, seed.parse().unwrap(), max, share);
        }
        _ => panic!("no such role"),
    }
}

#[test]
fn processes_play_their_roles() {
    play_roles(play);
}
