//! A cache from a configuration, and the life of its connection.

#![expect(clippy::unwrap_used, reason = "what helps a test panics like the test")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use larder::backend::{AnyBackend, Backend as _, Capabilities, Opener, Result, Scope};
use larder::config::{BackendConfig, CacheConfig, Hidden, ServerConfig};
use larder::{Cache, Connection, ErrorKind, MemoryBackend, SessionOptions, SystemClock, Ttl};
use larder_disk::DiskOpener;
use larder_test_support::Folder;

fn run(body: impl Future<Output = ()>) {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().build().unwrap().block_on(body);
}

fn server(password: &str) -> ServerConfig {
    let mut server = ServerConfig::default();
    server.password = Some(Hidden::new(password));
    server
}

#[test]
fn the_defaults_are_those_that_are_written_down() {
    let config = CacheConfig::default();
    assert!(config.enabled && !config.strict);
    assert_eq!((config.ttl, config.capacity), (Ttl::For(Duration::from_secs(3_600)), 1_000));
    assert_eq!(config.url(), None);
    let server = ServerConfig::default();
    assert_eq!((server.host.as_str(), server.port, server.db), ("localhost", 6379, 0));
    assert_eq!((server.tls, server.pool_size, server.password), (false, 20, None));
    assert_eq!((server.timeout, server.connect_timeout), (secs(5), secs(5)));
}

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn all_sources_say_the_same() {
    let toml = "
        ttl = '90s'
        grace = '1h30m'
        capacity = 50
        namespace = 'shop'
        strict = true
        host = 'cache.example'
        port = 6380
        db = 2
        username = 'ada'
        password = 'p@ss:w/rd?#%'
        tls = true
        pool_size = 5
        connect_timeout = '250ms'
        timeout = '2s'
    ";
    let config = CacheConfig::from_toml(toml).unwrap();
    let nested = format!("[services.cache]\n{toml}\n[other]\nttl = 3");
    assert!(CacheConfig::from_toml_at(&nested, "services.cache").unwrap() == config);
    assert!(CacheConfig::from_toml_at(&nested, "services.none").unwrap() == CacheConfig::default());

    let settings = config.settings();
    let exposed = || settings.iter().map(|(name, value)| (*name, value.expose()));
    assert!(CacheConfig::from_settings(exposed()).unwrap() == config);
    let prefixed = exposed().map(|(name, value)| (format!("cache.{name}"), value.to_owned()));
    let others = [("cachet".to_owned(), "1".to_owned()), ("ttl".to_owned(), "x".to_owned())];
    assert!(CacheConfig::from_prefixed(prefixed.chain(others), "cache.").unwrap() == config);
    let variables = exposed()
        .map(|(name, value)| (format!("APP_{}", name.to_uppercase()).into(), value.into()));
    let others = [("PATH".into(), "/bin".into())];
    assert!(CacheConfig::from_env(variables.chain(others), "APP_").unwrap() == config);

    let url = config.url().unwrap();
    let again = CacheConfig::from_url(url.expose()).unwrap();
    assert!(again.backend == config.backend, "{}", url.expose());
}

/// A host with a colon was taken for an address of IPv6, and its `@` for the end of a password.
#[test]
fn a_host_of_any_characters_survives_the_url() {
    for host in ["::1", "fe80::1%eth0", ":p@ss", "a:b", "a/b?c#d", "a b", "[x]"] {
        let config = CacheConfig::from_settings([("host", host)]).unwrap();
        let url = config.url().unwrap();
        let again = CacheConfig::from_url(url.expose()).unwrap();
        assert!(again == config, "{host}");
    }
    let config = CacheConfig::from_url("redis://[::1]:7000/0").unwrap();
    assert_eq!(config.url().unwrap().expose(), "redis://[::1]:7000/0");
}

/// Broken once: an empty host in a URL would have stood for the default.
#[test]
fn a_host_of_no_characters_is_refused() {
    let error = CacheConfig::from_settings([("host", "")]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

/// Broken once: a URL cannot tell an empty username from none.
#[test]
fn a_username_of_no_characters_is_none() {
    let config = CacheConfig::from_settings([("username", "")]).unwrap();
    assert!(CacheConfig::from_url(config.url().unwrap().expose()).unwrap() == config);
}

/// A `?` before the first colon cut the URL down to nothing, which stands for memory alone.
#[test]
fn what_has_no_scheme_is_no_url() {
    for url in ["", ":", "?x:y", "a?b:c", "1a:b", "a b:c", "/a:b", "\u{e9}:b", "abc"] {
        let error = CacheConfig::from_url(url).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{url}");
    }
    assert!(CacheConfig::from_url("sqlite+x-1.2:/a").is_ok());
}

#[test]
fn a_password_survives_the_url_and_is_shown_nowhere() {
    for password in ["", "p@ss", "a:b", "a/b", "a?b", "a#b", "%41", "100%", " ", "\u{fc}", "[x]@:6"]
    {
        let config = server(password);
        let url = config.url();
        let parsed = CacheConfig::from_url(url.expose()).unwrap();
        assert!(parsed.backend == BackendConfig::Server(config.clone()), "{password:?}");
        if password.len() > 1 {
            for shown in [format!("{parsed:?}"), format!("{config:?}"), format!("{url:?} {url}")] {
                assert!(!shown.contains(password), "{shown}");
            }
        }
    }
    let secret = "hunter2";
    let wrong = [
        CacheConfig::from_url(&format!("redis://:{secret}@host:port/0")),
        CacheConfig::from_url(&format!("redis://:{secret}%4@host")),
        CacheConfig::from_toml(&format!("password = '{secret}'\nport = 'x'")),
        CacheConfig::from_toml(&format!("password = {secret}")),
        CacheConfig::from_settings([("pasword", secret)]),
        CacheConfig::from_settings([("capacity", secret)]),
    ];
    for error in wrong.map(Result::unwrap_err) {
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(!format!("{error:?} {error}").contains(secret), "{error:?}");
    }
    let config = CacheConfig::from_url(&format!("nothing://{secret}@host/x")).unwrap();
    let error = config.connection(&[]).unwrap_err();
    assert!(!format!("{error:?} {error} {config:?}").contains(secret));
}

#[test]
fn an_unknown_name_is_refused_with_the_nearest_known_one() {
    for (name, nearest) in
        [("ttll", "`ttl`"), ("Capacity", "`capacity`"), ("pool-size", "`pool_size`")]
    {
        let error = CacheConfig::from_settings([(name, "1")]).unwrap_err();
        assert!(error.to_string().contains(nearest), "{error}");
    }
    let error = CacheConfig::from_toml("something_else = 1").unwrap_err();
    assert!(error.to_string().contains("enabled, ttl, grace"), "{error}");
    for wrong in ["port = 99999", "ttl = 5", "tls = 'maybe'", "capacity = -1", "host = ['a']"] {
        assert!(CacheConfig::from_toml(wrong).is_err(), "{wrong}");
    }
    let both = CacheConfig::from_settings([("url", "file:x"), ("host", "a")]).unwrap_err();
    assert!(both.to_string().contains("not by both"), "{both}");
    assert!(CacheConfig::from_url("file:x?capacity=y").is_err());
    for wrong in ["no url", "redis://[::1]junk", "redis://host/0#x", "redis://host:port"] {
        assert!(CacheConfig::from_url(wrong).is_err(), "{wrong}");
    }
    let hash = CacheConfig::from_url("file:/a#b?ttl=90s").unwrap();
    assert_eq!((hash.url().unwrap().expose(), hash.ttl), ("file:/a#b", Ttl::For(secs(90))));
    assert!(
        CacheConfig::from_url("redis:///2").unwrap().url().unwrap().expose().contains("localhost")
    );
}

#[test]
fn a_cache_is_built_from_a_url_and_opens_its_store_late() {
    run(async {
        let folder = Folder::new();
        let path = folder.path().display().to_string();
        let url = format!("file:{path}?ttl=90s&namespace=shop&max-bytes=64MiB");
        let config = CacheConfig::from_url(&url).unwrap();
        let cache = Cache::<u64, String>::from_config(&config, &[&DiskOpener]).unwrap();
        assert!(!folder.path().join("larder.db").exists() && std::fs::read_dir(&path).is_err());
        cache.insert(7, "soup".to_owned()).await.unwrap();
        let other = Cache::<u64, String>::from_config(&config, &[&DiskOpener]).unwrap();
        assert_eq!(other.get(&7).await.unwrap().as_deref(), Some("soup"));
        assert!(matches!(other.ttl(&7).await.unwrap(), Some(Ttl::For(left)) if left <= secs(90)));
        let wrong = CacheConfig::from_url("file:x?max-bites=1").unwrap();
        let error = Cache::<u64, String>::from_config(&wrong, &[&DiskOpener]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    });
}

/// An opener that counts its calls.
struct Counting(AtomicUsize);

static OPENED: Counting = Counting(AtomicUsize::new(0));

impl Opener for Counting {
    fn schemes(&self) -> &'static [&'static str] {
        &["counting", "redis"]
    }

    fn capabilities(&self, _url: &str) -> Result<Capabilities> {
        Ok(Capabilities::new(Scope::Process))
    }

    fn open(&self, _url: &str) -> Result<AnyBackend> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(AnyBackend::new(MemoryBackend::new(Arc::new(SystemClock))))
    }
}

#[test]
fn what_is_not_enabled_keeps_nothing_and_opens_nothing() {
    run(async {
        let settings = [("enabled", "false"), ("host", "localhost")];
        let config = CacheConfig::from_settings(settings).unwrap();
        let cache = Cache::<String, u32>::from_config(&config, &[&OPENED]).unwrap();
        cache.insert("a".into(), 1).await.unwrap();
        assert!(cache.insert_if_absent("b".into(), 1).await.unwrap());
        assert!(!cache.replace("a".into(), 1).await.unwrap());
        assert_eq!((cache.get("a").await.unwrap(), cache.remove("a").await.unwrap()), (None, None));
        assert_eq!(cache.get_with("a", || async { 3 }).await.unwrap(), 3);
        assert_eq!(cache.get_with("a", || async { 4 }).await.unwrap(), 4);
        assert_eq!(cache.insert_many([("c".to_owned(), 1)]).await.unwrap().len(), 1);
        assert!(cache.get_many(["a", "b", "c"]).await.unwrap().is_empty());
        assert_eq!((cache.count("*").await.unwrap(), cache.clear("*").await.unwrap()), (0, 0));
        assert!(!cache.contains_key("a").await.unwrap() && !cache.touch("a").await.unwrap());
        cache.invalidate_tag("t").await.unwrap();
        cache.close().await.unwrap();
        assert_eq!(OPENED.0.load(Ordering::SeqCst), 0);
    });
}

fn counted() -> (Connection, Arc<AtomicUsize>) {
    let opened = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&opened);
    let connection = Connection::new(Capabilities::new(Scope::Process), move || {
        count.fetch_add(1, Ordering::SeqCst);
        Ok(AnyBackend::new(MemoryBackend::new(Arc::new(SystemClock))))
    });
    (connection, opened)
}

#[test]
fn a_connection_opens_once_late_and_again_after_it_was_closed() {
    run(async {
        let (connection, opened) = counted();
        let cache = Cache::<u64, u64>::builder().backend(connection.clone()).build().unwrap();
        assert_eq!(opened.load(Ordering::SeqCst), 0);
        assert!(!cache.connect().await.unwrap(), "it was not closed");
        assert!(!cache.connect().await.unwrap());
        cache.insert(1, 1).await.unwrap();
        assert_eq!(opened.load(Ordering::SeqCst), 1);
        cache.close().await.unwrap();
        cache.close().await.unwrap();
        assert!(!connection.is_open());
        assert_eq!(cache.get(&1).await.unwrap_err().kind(), ErrorKind::Closed);
        assert!(cache.connect().await.unwrap());
        cache.insert(1, 2).await.unwrap();
        cache.reconnect().await.unwrap();
        assert_eq!(cache.get(&1).await.unwrap(), None, "memory went with the connection");
        assert_eq!(opened.load(Ordering::SeqCst), 3);

        let (connection, opened) = counted();
        let builder = Cache::<u64, u64>::builder().backend(connection).reopen(true);
        let cache = builder.build().unwrap();
        cache.insert(1, 1).await.unwrap();
        cache.close().await.unwrap();
        cache.insert(1, 2).await.unwrap();
        assert_eq!((cache.get(&1).await.unwrap(), opened.load(Ordering::SeqCst)), (Some(2), 2));

        // The connection is a backend that is closed for good.
        let memory = MemoryBackend::new(Arc::new(SystemClock));
        let cache = Cache::<u64, u64>::builder().backend(memory).build().unwrap();
        cache.close().await.unwrap();
        assert_eq!(cache.connect().await.unwrap_err().kind(), ErrorKind::Closed);
        assert_eq!(cache.get(&1).await.unwrap_err().kind(), ErrorKind::Closed);
        let once = Connection::once(Capabilities::new(Scope::Process), || {
            Ok(AnyBackend::new(MemoryBackend::new(Arc::new(SystemClock))))
        });
        assert!(once.connect().await.unwrap() && !once.connect().await.unwrap());
        once.close().await.unwrap();
        assert_eq!(once.incarnation().await.unwrap_err().kind(), ErrorKind::Closed);
        assert!(once.connect().await.unwrap());
    });
}

#[test]
fn a_session_connects_and_closes_as_its_switches_say() {
    run(async {
        let (connection, opened) = counted();
        let builder = Cache::<u64, u64>::builder().backend(connection.clone());
        let cache = builder.session(SessionOptions::new().reconnect(true)).build().unwrap();
        cache.insert(1, 1).await.unwrap();
        let session = cache.session().await.unwrap();
        assert_eq!(opened.load(Ordering::SeqCst), 2, "a new connection");
        session.insert(1, 2).await.unwrap();
        session.end().await.unwrap();
        assert!(!connection.is_open());

        let open = cache.session_with(SessionOptions::new().close(false)).await.unwrap();
        open.insert(1, 3).await.unwrap();
        open.end().await.unwrap();
        assert_eq!(cache.get(&1).await.unwrap(), Some(3));
        drop(cache.session_with(SessionOptions::new()).await.unwrap());
        while connection.is_open() {
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn what_cannot_be_opened_fails_the_call_and_may_be_opened_later() {
    run(async {
        let is_up = Arc::new(AtomicUsize::new(0));
        let up = Arc::clone(&is_up);
        let connection = Connection::new(Capabilities::new(Scope::Process), move || {
            if up.load(Ordering::SeqCst) == 0 {
                return Err(larder::Error::new(ErrorKind::Unavailable, "open", "not yet"));
            }
            Ok(AnyBackend::new(MemoryBackend::new(Arc::new(SystemClock))))
        });
        let cache = Cache::<u64, u64>::builder().backend(connection).build().unwrap();
        assert_eq!(cache.connect().await.unwrap_err().kind(), ErrorKind::Unavailable);
        assert_eq!(cache.get_with(&1, || async { 5 }).await.unwrap(), 5);
        is_up.store(1, Ordering::SeqCst);
        assert!(!cache.connect().await.unwrap());
        cache.insert(2, 6).await.unwrap();
        assert_eq!(cache.count("*").await.unwrap(), 1);
    });
}

/// A connection whose opening lasts as long as the test locks the gate, and the count of its
/// openings.
fn gated() -> (Connection, Arc<Mutex<()>>, Arc<AtomicUsize>) {
    let (gate, opened) = (Arc::new(Mutex::new(())), Arc::new(AtomicUsize::new(0)));
    let (closed, count) = (Arc::clone(&gate), Arc::clone(&opened));
    let connection = Connection::new(Capabilities::new(Scope::Process), move || {
        count.fetch_add(1, Ordering::SeqCst);
        drop(closed.lock().unwrap());
        Ok(AnyBackend::new(MemoryBackend::new(Arc::new(SystemClock))))
    });
    (connection, gate, opened)
}

/// Broken once: a backend was opened under a lock on the thread of the task that needed it.
#[test]
#[expect(clippy::await_holding_lock, reason = "the opening thread waits for it, and no task does")]
fn while_a_backend_is_being_opened_timeouts_hold_and_others_go_on() {
    run(async {
        let (connection, gate, opened) = gated();
        let builder = Cache::<u64, u64>::builder().backend(connection.clone());
        let cache = builder.backend_timeout(Duration::from_millis(100)).strict(true).build();
        let cache = cache.unwrap();
        let kept = gate.lock().unwrap();
        let calls = (0..8).map(|key| {
            let cache = cache.clone();
            tokio::spawn(async move { cache.get(&key).await.unwrap_err().kind() })
        });
        // All calls end in this one thread, though nothing has been opened.
        for call in calls.collect::<Vec<_>>() {
            assert_eq!(call.await.unwrap(), ErrorKind::Timeout);
        }
        assert!(!connection.is_open());
        drop(kept);
        while !connection.is_open() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(cache.get(&1).await.unwrap(), None);
        assert_eq!(opened.load(Ordering::SeqCst), 1, "one thread opened it for all");
    });
}

#[test]
#[expect(clippy::await_holding_lock, reason = "the opening thread waits for it, and no task does")]
fn what_is_closed_while_it_is_being_opened_stays_closed() {
    run(async {
        let (connection, gate, opened) = gated();
        let kept = gate.lock().unwrap();
        let other = connection.clone();
        let call = tokio::spawn(async move { other.clock().await.unwrap_err().kind() });
        while opened.load(Ordering::SeqCst) == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        connection.close().await.unwrap();
        drop(kept);
        assert_eq!(call.await.unwrap(), ErrorKind::Closed);
        assert!(!connection.is_open());
        assert!(connection.connect().await.unwrap());
        assert_eq!(opened.load(Ordering::SeqCst), 2);
    });
}

#[test]
fn a_failed_opening_is_remembered_for_a_moment() {
    run(async {
        let opened = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&opened);
        let connection = Connection::new(Capabilities::new(Scope::Process), move || {
            count.fetch_add(1, Ordering::SeqCst);
            Err(larder::Error::new(ErrorKind::Unavailable, "open", "not yet"))
        });
        for _ in 0..100 {
            assert_eq!(connection.clock().await.unwrap_err().kind(), ErrorKind::Unavailable);
        }
        assert!(opened.load(Ordering::SeqCst) < 10, "{opened:?}");
        let before = opened.load(Ordering::SeqCst);
        assert!(connection.connect().await.is_err());
        assert_eq!(opened.load(Ordering::SeqCst), before + 1, "asked for on purpose: tried again");
        tokio::time::sleep(Duration::from_millis(600)).await;
        assert!(connection.clock().await.is_err());
        assert_eq!(opened.load(Ordering::SeqCst), before + 2);
    });
}
