//! The other process of the races: it runs the commands that its parent writes, line by line.

use std::path::Path;

use larder_test_support::{play_roles, tell};

use crate::changer::Changer;
use crate::race::own_of;

fn obey(folder: &Path) {
    let cache = own_of(folder);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for order in std::io::stdin().lines() {
        let order = order.unwrap();
        let mut words = order.split(' ');
        let verb = words.next().unwrap();
        let mut number = || words.next().unwrap().parse::<u64>().unwrap();
        let (deed, key, version) = (usize::try_from(number()).unwrap(), number(), number());
        let changer = Changer::Here(cache.clone());
        let answer = runtime.block_on(async {
            match verb {
                "change" => Some(u64::from(changer.change(deed, key, version).await)),
                "load" => changer.load(deed, key, version).await,
                "close" => {
                    changer.close().await;
                    None
                }
                _ => changer.get(key).await,
            }
        });
        tell(answer.map_or_else(|| "none".to_owned(), |answer| answer.to_string()));
    }
}

#[test]
fn processes_play_their_roles() {
    play_roles(|role, arguments| match (role, arguments) {
        ("obey", [folder]) => obey(Path::new(folder)),
        _ => panic!("no such role"),
    });
}
