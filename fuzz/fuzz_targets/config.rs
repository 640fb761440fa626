//! A configuration as text: any text is a configuration or an error, and one that is comes back.

#![no_main]

use larder::config::{BackendConfig, CacheConfig, Hidden};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let lines = || text.lines().filter_map(|line| line.split_once('='));
    let configs = [
        CacheConfig::from_url(text),
        CacheConfig::from_toml(text),
        CacheConfig::from_toml_at(text, "a.b"),
        CacheConfig::from_settings(lines()),
        CacheConfig::from_prefixed(lines(), "p"),
    ];
    for config in configs.into_iter().flatten() {
        let shown = format!("{config:?}");
        if let BackendConfig::Server(server) = &config.backend {
            let url = server.url();
            let again = CacheConfig::from_url(url.expose()).expect("its own URL is one");
            assert!(again.backend == config.backend);
            let password = server.password.as_ref().map(Hidden::expose);
            // What is no secret may be the same text.
            let open = format!("{:?}{:?}{:?}", server.username, server.host, config.namespace);
            let is_told = |password: &str| {
                password.len() > 24 && shown.contains(password) && !open.contains(password)
            };
            assert!(!password.is_some_and(is_told));
        }
        let settings = config.settings();
        let settings = settings.iter().map(|(name, value)| (*name, value.expose()));
        let again = CacheConfig::from_settings(settings).expect("its own settings are some");
        assert!(again == config);
        drop(config.connection(&[]));
    }
});
