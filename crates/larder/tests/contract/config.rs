//! Configuration and the life of connections: rows of several systems.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use larder::backend::{AnyBackend, Capabilities, Opener, Result, Scope};
use larder::config::{BackendConfig, CacheConfig, Hidden, ServerConfig};
use larder::{Cache, Connection, ErrorKind, MemoryBackend, SessionOptions, Ttl};
use larder_test_support::{Rig, on, on_all, secs};

#[test]
fn c2_17_a_configuration_is_a_plain_value_from_any_source() {
    let config = CacheConfig::default();
    assert!(config.enabled);
    assert_eq!((config.ttl, config.capacity), (Ttl::For(secs(3_600)), 1_000));
    let server = ServerConfig::default();
    assert_eq!((server.port, server.db, server.tls, server.pool_size), (6379, 0, false, 20));
    assert_eq!((server.timeout, server.connect_timeout), (secs(5), secs(5)));
    let settings = [("ttl", "90s"), ("capacity", "5"), ("host", "h"), ("password", "p")];
    let from_code = CacheConfig::from_settings(settings).unwrap();
    let toml = "ttl = '90s'\ncapacity = 5\nhost = 'h'\npassword = 'p'";
    let variables =
        settings.map(|(name, value)| (format!("C_{name}").to_uppercase().into(), value.into()));
    for same in [
        CacheConfig::from_toml(toml),
        CacheConfig::from_env(variables, "C_"),
        CacheConfig::from_url("redis://:p@h?ttl=90s&capacity=5"),
    ] {
        assert!(same.unwrap() == from_code);
    }
}

#[test]
fn c2_18_it_yields_the_servers_url_and_any_password_comes_back() {
    for (tls, scheme) in [(false, "redis://"), (true, "rediss://")] {
        for password in ["p@ss", "a:b", "a/b", "a?b", "a#b", "100%", ""] {
            let mut server = ServerConfig::default();
            (server.tls, server.password) = (tls, Some(Hidden::new(password)));
            let url = server.url();
            assert!(url.expose().starts_with(scheme));
            let back = CacheConfig::from_url(url.expose()).unwrap().backend;
            assert!(back == BackendConfig::Server(server), "{password}");
        }
    }
}

/// A server that nobody must contact.
struct Nowhere;

static CONTACTS: AtomicUsize = AtomicUsize::new(0);

impl Opener for Nowhere {
    fn schemes(&self) -> &'static [&'static str] {
        &["redis"]
    }

    fn capabilities(&self, _url: &str) -> Result<Capabilities> {
        Ok(Capabilities::new(Scope::Network))
    }

    fn open(&self, _url: &str) -> Result<AnyBackend> {
        CONTACTS.fetch_add(1, Ordering::SeqCst);
        Err(larder::Error::new(ErrorKind::Unavailable, "open", "there is none"))
    }
}

#[test]
fn c2_19_what_is_not_enabled_is_a_miss_or_nothing_and_contacts_no_server() {
    on(Rig::memory(), &async |_| {
        let config = CacheConfig::from_url("redis://localhost?enabled=false").unwrap();
        let cache = Cache::<String, u32>::from_config(&config, &[&Nowhere]).unwrap();
        cache.insert("a".into(), 1).await.unwrap();
        assert_eq!(cache.get("a").await.unwrap(), None);
        assert_eq!(cache.get_with("a", || async { 2 }).await.unwrap(), 2);
        assert_eq!((cache.count("*").await.unwrap(), cache.remove("a").await.unwrap()), (0, None));
        cache.invalidate("a").await.unwrap();
        cache.close().await.unwrap();
        assert_eq!(CONTACTS.load(Ordering::SeqCst), 0);
    });
}

#[test]
fn c3_4_a_backend_is_built_from_one_mapping_or_by_prefix_out_of_a_larger_one() {
    let own = [("ttl", "5s"), ("namespace", "shop")];
    let larger = [("cache.ttl", "5s"), ("cache.namespace", "shop"), ("port", "80"), ("ttl", "x")];
    let config = CacheConfig::from_settings(own).unwrap();
    assert!(CacheConfig::from_prefixed(larger, "cache.").unwrap() == config);
    assert!(CacheConfig::from_prefixed([("cache.tttl", "5s")], "cache.").is_err());
    on(Rig::memory(), &async |rig: Rig| {
        let builder = rig.builder::<String, u32>().config(&config, &[]).unwrap();
        let cache = builder.build().unwrap();
        cache.insert("a".into(), 1).await.unwrap();
        rig.advance(5);
        assert_eq!(cache.get("a").await.unwrap(), None);
    });
}

/// A connection to the store of a set-up, and the count of its openings.
fn connection(rig: &Rig) -> (Connection, Arc<AtomicUsize>) {
    let opened = Arc::new(AtomicUsize::new(0));
    let (count, clock) = (Arc::clone(&opened), rig.clock.clone());
    let connection = Connection::new(Capabilities::new(Scope::Process), move || {
        count.fetch_add(1, Ordering::SeqCst);
        Ok(AnyBackend::new(MemoryBackend::new(Arc::new(clock.clone()))))
    });
    (connection, opened)
}

#[test]
fn c4_2_connect_opens_what_is_not_open_and_close_may_be_called_twice() {
    on(Rig::memory(), &async |rig: Rig| {
        let (connection, opened) = connection(&rig);
        let cache = Cache::<String, u32>::builder().backend(connection.clone()).build().unwrap();
        assert_eq!(opened.load(Ordering::SeqCst), 0, "it opens late");
        for _ in 0..2 {
            cache.connect().await.unwrap();
            assert_eq!(opened.load(Ordering::SeqCst), 1);
        }
        for _ in 0..2 {
            cache.close().await.unwrap();
            assert!(!connection.is_open());
        }
        assert_eq!(cache.get("a").await.unwrap_err().kind(), ErrorKind::Closed);
        cache.reconnect().await.unwrap();
        cache.reconnect().await.unwrap();
        assert_eq!(opened.load(Ordering::SeqCst), 3);
    });
    // Without a backend there is nothing to open, and the same verbs.
    on_all(async |rig| {
        if rig.store.is_none() {
            let cache = rig.builder::<String, u32>().reopen(true).build().unwrap();
            cache.insert("a".into(), 1).await.unwrap();
            cache.close().await.unwrap();
            assert_eq!(cache.get("a").await.unwrap(), None);
            assert!(!cache.connect().await.unwrap(), "the read has opened it");
        }
    });
}

#[test]
fn c4_3_a_scope_may_reconnect_and_may_close_by_default_or_for_once() {
    on(Rig::memory(), &async |rig: Rig| {
        let (connection, opened) = connection(&rig);
        let builder = Cache::<String, u32>::builder().backend(connection.clone());
        let both = SessionOptions::new().reconnect(true).close(true);
        let cache = builder.session(both).build().unwrap();
        cache.connect().await.unwrap();
        let session = cache.session().await.unwrap();
        assert_eq!(opened.load(Ordering::SeqCst), 2, "the default reconnects");
        session.insert("a".into(), 1).await.unwrap();
        session.end().await.unwrap();
        assert!(!connection.is_open(), "and closes");
        cache.connect().await.unwrap();
        let neither = SessionOptions::new().reconnect(false).close(false);
        let session = cache.session_with(neither).await.unwrap();
        session.end().await.unwrap();
        assert!(connection.is_open());
        assert_eq!(opened.load(Ordering::SeqCst), 3);
    });
}
